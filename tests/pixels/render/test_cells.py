"""Cells become values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pixels.image import Image
from gateway.pixels.render.cells import Levels, levels

IMAGE = Image("", 1, 4, 1, "MONOCHROME2", False, 16, 12, 11, True, 1)


def values(found: Levels) -> list[float]:
    return (found.values if found.index is None else found.values[found.index]).reshape(-1).tolist()


def test_bits_above_high_bit_are_no_part_of_a_value_and_the_sign_is() -> None:
    cells = np.array([[0x0FFF, 0xF001, 0x0800, 0x07FF]], np.uint16).view(np.int16)
    assert values(levels(cells, IMAGE)) == [-1, 1, -2048, 2047]
    assert values(levels(cells.view(np.uint16), replace(IMAGE, signed=False))) == [4095, 1, 2048, 2047]


def test_values_may_be_in_the_upper_bits() -> None:
    assert values(levels(np.array([[0x1230]], np.uint16), replace(IMAGE, signed=False, high=15))) == [0x123]


@given(st.data(), st.integers(1, 16), st.booleans())
def test_a_table_says_what_pixel_by_pixel_maths_says(data: st.DataObject, stored: int, signed: bool) -> None:
    allocated = 8 if stored <= 8 else 16
    high = data.draw(st.integers(stored - 1, allocated - 1))
    cells = data.draw(st.lists(st.integers(0, (1 << allocated) - 1), min_size=1, max_size=9))
    low = [cell >> (high + 1 - stored) & (1 << stored) - 1 for cell in cells]
    expected = [value - (1 << stored) if signed and value >> (stored - 1) else value for value in low]
    array: Any = np.array([cells], f"u{allocated // 8}").view(f"{'i' if signed else 'u'}{allocated // 8}")
    image = replace(IMAGE, allocated=allocated, stored=stored, high=high, signed=signed)
    assert values(levels(array, image)) == expected


@pytest.mark.parametrize(("kind", "step"), [("u4", 1.0), ("i4", 1.0), ("f4", 0.0), ("f8", 0.0)])
def test_wide_cells_are_their_own_table(kind: str, step: float) -> None:
    found = levels(np.array([[1, 2]], kind), replace(IMAGE, allocated=int(kind[1]) * 8, stored=int(kind[1]) * 8, high=int(kind[1]) * 8 - 1))
    assert found.index is None and found.step == step and found.counts is None and values(found) == [1, 2]


def test_what_is_not_a_number_is_the_least() -> None:
    assert values(levels(np.array([[np.nan, np.inf, 1.5]], np.float32), IMAGE)) == [-np.inf, np.inf, 1.5]


def test_large_frames_are_counted_in_a_part_of_their_pixels() -> None:
    found = levels(np.ones((2048, 1024), np.uint8), replace(IMAGE, allocated=8, stored=8, high=7, signed=False))
    assert found.counts is not None and 1 << 19 <= found.counts.sum() == found.counts[1] < 1 << 21
