"""Padding: excluded, and black."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.pixels.image import Image
from gateway.pixels.render.cells import Levels
from gateway.pixels.render.padding import padding
from tests.pixels.render.subject import said, shown

VALUES = np.array([-2000.0, -1024.0, 0.0, 63536.0, 65535.0])


def padded(signed: bool, **tags: Any) -> list[bool] | None:
    image = Image("", 1, 1, 1, "MONOCHROME2", False, 16, 16, 15, signed, 1)
    found = padding(said(**tags), image, Levels(VALUES))
    return None if found is None else found.tolist()


def test_one_value_or_a_range_in_either_order() -> None:
    assert padded(True, _00280120=-2000) == [True, False, False, False, False]
    assert (
        padded(True, _00280120=-2000, _00280121=-1024)
        == padded(True, _00280120=-1024, _00280121=-2000)
        == [True, True, False, False, False]
    )
    assert padded(True) is None and padded(True, _00280121=5) is None


def test_a_value_with_the_wrong_sign_is_the_one_that_was_meant() -> None:
    assert padded(True, _00280120=63536) == [True, False, False, False, False]
    assert padded(False, _00280120=-2000) == [False, False, False, True, False]


@pytest.mark.parametrize("tag", ["_00280122", "_00280123"])
def test_floating_point_padding(tag: str) -> None:
    assert padded(True, **{tag: -1024.0}) == [False, True, False, False, False]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count_for_the_window(photometric: str) -> None:
    cells = np.full((10, 10), -2000, np.int16)
    cells[2:8, 2:8] = np.arange(36).reshape(6, 6) + 1000
    found = shown(cells, {"00280120": -2000}, photometric=photometric)
    assert (found[0] == 0).all()
    assert {found[2, 2], found[7, 7]} == {0, 255} and found[5, 2] in range(100, 160)
