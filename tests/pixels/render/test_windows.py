"""Window functions against the formulas of the standard and pydicom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from gateway.dicomweb.rendering import Window, WindowFunction
from gateway.pixels.render.windows import edges, spanning, windowed

finite = st.floats(-1e6, 1e6)
widths = st.floats(1, 1e5)
whole = st.lists(st.integers(-5000, 5000), min_size=1, max_size=20)
functions: st.SearchStrategy[WindowFunction] = st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"])


def of(value: float, window: Window, step: float = 1.0) -> float:
    return float(windowed(np.array([value]), window, step)[0])


def test_the_examples_of_the_standard() -> None:
    """PS3.3 C.11.2.1.2.1: windows of 4096 at 2048, and of 1 at 2048."""
    assert of(0, Window(2048, 4096)) == 0.0 and of(4095, Window(2048, 4096)) == 1.0
    assert of(2047, Window(2048, 1)) == 0.0 and of(2048, Window(2048, 1)) == 1.0
    assert of(0, Window(2048, 4096, "LINEAR_EXACT")) == 0.0 and of(4096, Window(2048, 4096, "LINEAR_EXACT")) == 1.0


@given(whole, st.integers(-3000, 3000), st.integers(2, 9000), functions)
def test_pydicom_says_the_same(values: list[int], center: int, width: int, function: WindowFunction) -> None:
    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = center, width, function
    ds.PhotometricInterpretation, ds.BitsStored, ds.PixelRepresentation = "MONOCHROME2", 16, 1
    array = np.array(values, np.int16)
    with np.errstate(over="ignore"):  # in its sigmoid function, far out
        expected = (apply_windowing(array, ds) + 32768) / 65535
    assert np.allclose(windowed(array.astype(float), Window(center, width, function)), expected, atol=1e-9)


@given(st.lists(finite, min_size=2, max_size=20), finite, widths | st.floats(-10, 1), functions)
def test_a_brighter_value_is_never_shown_darker(values: list[float], center: float, width: float, function: WindowFunction) -> None:
    found = windowed(np.sort(np.array([*values, -np.inf, np.inf])), Window(center, width, function))
    assert found.min() == found[0] >= 0 and found.max() == found[-1] <= 1 and (np.diff(found) >= 0).all()


def test_a_window_of_fractions_is_not_black_and_white() -> None:
    """Parametric maps from 0 to 1, PET in SUV: a linear window of the standard, 1 narrower, would have no width left."""
    assert of(0.25, Window(0.5, 1.0), 0.0) == pytest.approx(0.25)
    assert of(0.25, Window(0.5, 1.0), 1e-4) == pytest.approx(0.25, abs=1e-3)
    assert of(0.05, Window(0.1, 0.2)) == pytest.approx(0.25)
    assert of(0.25, Window(0.5, 1.0)) == 1.0


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("width", [0.0, -5.0])
def test_no_width_is_a_threshold(width: float, function: WindowFunction) -> None:
    assert [of(value, Window(10, width, function)) for value in (9, 10, 10.1)] == [0, 0, 1]


@given(finite, st.floats(1e-3, 1e5))
def test_spanning_shows_its_ends_black_and_white(low: float, width: float) -> None:
    high = low + width
    window = spanning(low, high)
    assert of(low - width / 100, window) == 0 and of(high + width / 100, window) == 1
    assert edges(window) == pytest.approx((low, high), abs=1e-3)
