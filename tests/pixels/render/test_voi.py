"""Which window or table a frame is shown with."""

from __future__ import annotations

from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from gateway.dicomweb.rendering import Rendering, Window
from gateway.pixels.decoding import Decoded
from gateway.pixels.render.dataset import PER_FRAME, SHARED
from gateway.pixels.render.pipeline import window_of
from tests.pixels.render.subject import said, shown, subject

RAMP = np.arange(0, 1024, 64, dtype=np.uint16).reshape(4, 4)
LUT = said(_00283002=[1024, 0, 8], _00283006=bytes(range(255, 255 - 4, -1)) * 256)
PLAIN = {"00281050": 512, "00281051": 1024}


def window(tags: dict[str, Any], number: int = 1, array: np.ndarray[Any, Any] = RAMP) -> Window | None:
    own = {"00280010": 4, "00280011": 4, "00280100": 16, "00280101": 12, "00280103": int(array.dtype.kind == "i")}
    return window_of(Decoded(array, "MONOCHROME2"), said({**own, **tags}), number)


def test_what_was_asked_for_wins() -> None:
    asked = Rendering(window=Window(100, 10))
    assert np.array_equal(shown(RAMP, {**PLAIN, "00283010": [LUT]}, asked), shown(RAMP, {}, asked))


def test_a_table_is_preferred_to_a_window() -> None:
    assert window({**PLAIN, "00283010": [LUT]}) is None
    assert shown(RAMP, {**PLAIN, "00283010": [LUT]})[0, 0] == 255
    assert window({**PLAIN, "00283010": [said()]}) == Window(512, 1024)


def test_the_first_window_counts_with_its_function() -> None:
    tags = {"00281050": ["512", "7"], "00281051": ["1024", "9"], "00281056": "SIGMOID"}
    assert window(tags) == Window(512, 1024, "SIGMOID")
    assert window({**tags, "00281056": "WAVY"}) == Window(512, 1024, "LINEAR")


def test_a_frame_has_its_own_window() -> None:
    frames = [said(_00289132=[said(_00281050=center, _00281051=100)]) for center in (300, 400)]
    tags = {**PLAIN, PER_FRAME: frames, SHARED: [said(_00289132=[said(_00281050=500, _00281051=100)])]}
    assert [found.center for number in (1, 2, 3) if (found := window(tags, number))] == [300, 400, 500]


@pytest.mark.parametrize(("center", "width"), [(512, 0), (512, -1), (None, 5), (512, None), (90_000, 100), (-5000, 10)])
def test_a_window_that_shows_nothing_is_passed_over(center: Any, width: Any) -> None:
    found = window({"00281050": center, "00281051": width})
    assert found is not None and (found.center, found.width) != (center, width) and 0 <= found.center <= 1024


def test_an_empty_slice_stays_black() -> None:
    """Air alone is outside of a window of soft tissue and still right in it."""
    air = np.full((4, 4), -1000, np.int16)
    assert not shown(air, {"00281050": 40, "00281051": 400}).any()


def test_a_window_for_stored_values_goes_where_these_went() -> None:
    """PET of some makers: windows in stored values beside a small slope."""
    tags = {"00281050": 2048, "00281051": 4096, "00281053": 1e-3, "00281052": 0}
    found = window(tags)
    assert found is not None and (found.center, found.width) == pytest.approx((2.048, 4.096))


def test_presentation_tables_and_shapes() -> None:
    inverse = shown(RAMP, {**PLAIN, "20500020": "INVERSE"})
    assert np.array_equal(inverse, shown(RAMP, PLAIN, photometric="MONOCHROME1"))
    assert np.array_equal(inverse, 255 - shown(RAMP, PLAIN))
    assert np.array_equal(inverse, shown(RAMP, {**PLAIN, "20500020": "INVERSE"}, photometric="MONOCHROME1"))
    halved = said(_00283002=[2, 0, 16], _00283006=pack("<2H", 0, 32767))
    assert shown(RAMP, {**PLAIN, "20500010": [halved]}).max() in (0, 127)


@pytest.mark.parametrize("name", ["vlut_04.dcm", "MR_small.dcm", "693_UNCR.dcm", "MR2_UNCR.dcm"])
def test_pydicom_shows_the_same(name: str) -> None:
    """Its VOI LUT and windows, which it gives in all of the stored range."""
    path = Path(str(get_testdata_file(name)))
    ds, seen = pydicom.dcmread(path), subject(path.read_bytes())
    assert seen is not None
    values = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(float)
    low, high = (0.0, 65535.0) if "VOILUTSequence" in ds else _outputs(ds)
    assert np.abs(seen.drawn() - (values - low) / (high - low) * 255).max() <= 0.6


def _outputs(ds: pydicom.Dataset) -> tuple[float, float]:
    """What pydicom's windowing shows as black and as white."""
    low = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    return low * slope + intercept, (low + 2**ds.BitsStored - 1) * slope + intercept
