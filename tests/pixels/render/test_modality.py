"""The Modality LUT: which one applies, and where none does."""

from __future__ import annotations

from struct import pack
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_modality_lut

from gateway.pixels.render.dataset import PER_FRAME, SHARED, Attributes
from gateway.pixels.render.modality import modality
from tests.pixels.render.subject import said

LUT = said(_00283002=[2, 0, 16], _00283006=pack("<2H", 100, 200))
VALUES = np.array([0.0, 1.0, 2.0])


def of(**tags: Any) -> list[float]:
    return list(modality(said(**tags), 1, signed=False).of(VALUES))


def test_slope_and_intercept() -> None:
    assert of(_00281053="2", _00281052="-1024") == [-1024, -1022, -1020]
    assert of() == of(_00281053=1, _00281052=0) == [0, 1, 2]
    assert of(_00281052=5) == [5, 6, 7]


def test_a_slope_of_zero_would_leave_nothing_to_be_seen() -> None:
    assert of(_00281053=0, _00281052=10) == [10, 11, 12]


def test_a_table_wins_and_a_broken_one_does_not() -> None:
    assert of(_00283000=[LUT], _00281053=2) == [100, 200, 200]
    assert of(_00283000=[said(_00283002=[2, 0, 16])], _00281053=2) == [0, 2, 4]


def test_a_frame_has_its_own() -> None:
    frames = [said(_00289145=[said(_00281053=slope, _00281052=0)]) for slope in (3, 4)]
    data = said({PER_FRAME: frames, SHARED: [said(_00289145=[said(_00281053=9)])]}, _00281053=7)
    assert [modality(data, number, signed=False).slope for number in (1, 2, 3)] == [3, 4, 9]


@pytest.mark.parametrize(("relationship", "slope"), [("LOG", 1.0), ("DISP", 1.0), ("LIN", 2.0)])
def test_angiography_is_not_led_back_to_x_ray_intensity(relationship: str, slope: float) -> None:
    tags = {"00080016": "1.2.840.10008.5.1.4.1.1.12.1", "00281040": relationship, "00281053": 2}
    assert modality(said(tags), 1, signed=False).slope == slope


def test_steps_are_those_of_the_slope() -> None:
    assert [modality(said(_00281053=slope), 1, signed=False).step for slope in (0.5, -0.25, 3)] == [0.5, 0.25, 1.0]
    assert modality(said(_00283000=[LUT], _00281053=0.5), 1, signed=False).step == 1.0


@pytest.mark.parametrize("name", ["CT_small.dcm", "mlut_18.dcm"])
def test_pydicom_says_the_same(name: str) -> None:
    ds = pydicom.dcmread(str(get_testdata_file(name)))
    pixels = ds.pixel_array
    expected = apply_modality_lut(pixels, ds)
    del ds.PixelData
    found = modality(Attributes(ds.to_json_dict(bulk_data_threshold=1 << 30)), 1, signed=bool(ds.PixelRepresentation))
    assert np.array_equal(found.of(pixels.astype(float)), expected)
