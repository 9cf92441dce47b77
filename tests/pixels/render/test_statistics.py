"""Distributions of values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.pixels.render.cells import Levels
from gateway.pixels.render.statistics import Distribution, distribution


def of(pixels: list[int], padding: int | None = None, *, table: bool = True) -> Distribution:
    cells: Any = np.array(pixels, np.uint8)
    values = np.arange(256, dtype=np.float64) if table else cells.astype(np.float64)
    return distribution(Levels(values, cells if table else None), values, None if padding is None else values == padding)


pixel_lists = st.lists(st.integers(0, 255), min_size=1, max_size=60)


@given(pixel_lists, st.floats(0.01, 1))
def test_with_a_table_and_without_it_is_the_same(pixels: list[int], share: float) -> None:
    one, other = of(pixels), of(pixels, table=False)
    assert (one.low, one.high, one.at(share)) == (other.low, other.high, other.at(share)) and one.low == min(pixels)


@given(pixel_lists, st.floats(0.01, 1))
def test_a_share_of_the_pixels_is_not_larger(pixels: list[int], share: float) -> None:
    value = of(pixels).at(share)
    assert sum(pixel <= value for pixel in pixels) >= share * len(pixels) - 1e-9
    assert sum(pixel < value for pixel in pixels) < share * len(pixels)


@given(pixel_lists, st.integers(0, 255), st.integers(0, 255))
def test_above_and_between(pixels: list[int], one: int, other: int) -> None:
    low, high = sorted((one, other))
    larger = [pixel for pixel in pixels if pixel > low]
    rest = of(pixels).above(low)
    assert bool(rest) == bool(larger) and (not larger or (rest.low, rest.high, rest.at(1.0)) == (min(larger), max(larger), max(larger)))
    assert np.isclose(of(pixels).share(low, high), sum(low < pixel <= high for pixel in pixels) / len(pixels))


def test_padding_does_not_count() -> None:
    for table in (True, False):
        found = of([0, 0, 0, 5, 6], 0, table=table)
        assert (found.low, found.high) == (5, 6)
        assert not of([0, 0], 0, table=table)


def test_infinite_values_do_not_count() -> None:
    values = np.array([-np.inf, 1.0, 2.0, np.inf])
    found = distribution(Levels(values), values, None)
    assert (found.low, found.high) == (1.0, 2.0)
