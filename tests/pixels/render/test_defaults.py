"""Windows of pictures that say none, as a radiologist would call sensible."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from gateway.dicomweb.rendering import Window
from gateway.pixels.decoding import Decoded
from gateway.pixels.render.defaults import SOFT_TISSUE
from gateway.pixels.render.pipeline import window_of
from gateway.pixels.render.windows import edges
from tests.pixels.render.subject import said

RNG = np.random.default_rng(7)
CT = {"00080060": "CT", "00281052": -1024, "00281053": 1}


def window(array: np.ndarray[Any, Any], tags: Mapping[str, Any] = MappingProxyType({}), stored: int | None = None) -> Window:
    bits = array.dtype.itemsize * 8
    own = {"00280010": array.shape[0], "00280011": array.shape[1], "00280100": bits, "00280101": stored or bits}
    own |= {"00280103": int(array.dtype.kind == "i")}
    found = window_of(Decoded(array, "MONOCHROME2"), said({**own, **tags}), 1)
    assert found is not None
    return found


def body() -> np.ndarray[Any, Any]:
    """A slice: air around soft tissue with some bone."""
    cells = np.full((64, 64), 24, np.uint16)
    cells[16:48, 16:48] = RNG.normal(1064, 30, (32, 32)).astype(np.uint16)
    cells[30:34, 30:34] = 2000
    return cells


def test_ct_in_hounsfield_units_shows_soft_tissue() -> None:
    assert window(body(), CT) == SOFT_TISSUE
    assert window(body(), {**CT, "00281054": "HU"}) == SOFT_TISSUE


@pytest.mark.parametrize(
    "tags",
    [{"00080008": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, {"00281054": "US"}, {"00281052": None, "00281053": None}, {"00080060": "MR"}],
)
def test_what_is_no_slice_in_hounsfield_units_is_shown_by_its_values(tags: dict[str, Any]) -> None:
    assert window(body(), {**CT, **tags}) != SOFT_TISSUE


def test_a_large_black_background_does_not_count() -> None:
    cells = np.zeros((100, 100), np.uint16)
    cells[:5, :20] = np.arange(1000, 2000, 10).reshape(5, 20)
    low, high = edges(window(cells))
    assert low == 0 and 1900 < high < 2000


def test_outliers_do_not_count() -> None:
    cells = RNG.integers(400, 600, (100, 100)).astype(np.uint16)
    cells[0, :3] = 0, 65535, 65535
    low, high = edges(window(cells))
    assert 395 <= low <= 405 and 590 <= high <= 605


@pytest.mark.parametrize("modality", ["PT", "NM", "RTDOSE"])
def test_what_counts_something_begins_at_nothing(modality: str) -> None:
    cells = RNG.poisson(5, (64, 64)).astype(np.uint16)
    cells[10:13, 10:13] = 900
    low, high = edges(window(cells, {"00080060": modality}))
    assert low == 0 and high == 900


def test_eight_bits_are_shown_as_they_are() -> None:
    cells = RNG.integers(30, 60, (8, 8)).astype(np.uint8)
    assert edges(window(cells)) == (0, 255)
    assert edges(window(cells & 15, stored=4)) == (0, 15)
    assert edges(window(cells.astype(np.uint16), {"00281053": 2, "00281052": 0}, 8)) == (0, 510)


def test_a_picture_of_one_value_is_shown_within_what_could_be() -> None:
    assert edges(window(np.full((4, 4), 7, np.uint16), stored=12)) == (0, 4095)


def test_two_values_are_told_apart() -> None:
    cells = np.zeros((50, 50), np.uint16)
    cells[3, 3] = 9
    assert edges(window(cells)) == (0, 9)


def test_floating_point_pixels() -> None:
    cells = RNG.uniform(0, 1, (64, 64)).astype(np.float32)
    cells[0, 0] = np.nan
    low, high = edges(window(cells))
    assert 0 <= low < 0.02 and 0.98 < high <= 1


def test_a_mammogram_shows_the_tissue_and_not_the_air_around_it() -> None:
    cells = np.zeros((100, 100), np.uint16)
    cells[:, 60:] = RNG.normal(2400, 150, (100, 40)).astype(np.uint16)
    low, high = edges(window(cells, {"00080060": "MG"}))
    assert 2000 < low < 2300 and 2600 < high < 3000
    assert edges(window(cells, {"00080060": "MR"}))[0] == 0
    assert edges(window(cells[:, 55:], {"00080060": "MG"}))[0] == 0, "too little air to be air"
