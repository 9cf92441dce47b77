"""Frames put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.mosaic import mosaic
from gateway.pixels.render.placing import Place
from gateway.pixels.work import Undoable
from tests.pixels.render.subject import Whole

IMAGE = Image("1.2.840.10008.1.2.1", 4, 4, 1, "MONOCHROME2", False, 8, 8, 7, False, 9)
NUMBERS = {"00280010": 4, "00280011": 4, "00280100": 8, "00280101": 8, "00280102": 7, "00280103": 0, "00280002": 1}
DATA: dict[str, Any] = {tag: {"vr": "US", "Value": [value]} for tag, value in NUMBERS.items()}
DATA["00280004"] = {"vr": "CS", "Value": ["MONOCHROME2"]}


def made(*frames: tuple[int, int, int], size: tuple[int, int] = (8, 8), scale: float = 1.0, **more: Any) -> Any:
    """:param frames: row, column and level of each."""
    places = [(Place(number, row, column), Whole(bytes([level]) * 16)) for number, (row, column, level) in enumerate(frames, 1)]
    return mosaic(IMAGE, Attributes(DATA | more), places, size, scale, PixelLimits())


def corners(whole: Any, step: int = 4) -> Sequence[Sequence[int]]:
    found: list[list[int]] = whole[::step, ::step, 0].tolist()
    return found


def test_side_by_side() -> None:
    assert corners(made((0, 0, 10), (0, 4, 20), (4, 0, 30), (4, 4, 40))) == [[10, 20], [30, 40]]


def test_what_is_not_there_is_black_or_as_recommended() -> None:
    assert corners(made((0, 4, 20))) == [[0, 20], [0, 0]]
    white: dict[str, Any] = {"00480015": {"vr": "US", "Value": [65535, 32896, 32896]}}
    assert corners(made((0, 4, 20), **white)) == [[255, 20], [255, 255]]


def test_the_last_of_two_tiles_counts() -> None:
    assert corners(made((0, 0, 200), (0, 0, 10), size=(4, 4))) == [[10]]


@pytest.mark.parametrize(("row", "column"), [(-2, -2), (6, 6), (-100, 3), (3, 10**9), (-4, -4)])
def test_tiles_beyond_the_edges_are_cut(row: int, column: int) -> None:
    whole = made((row, column, 50))
    expected = np.zeros((8, 8), np.uint8)
    expected[max(row, 0) : max(row + 4, 0), max(column, 0) : max(column + 4, 0)] = 50
    assert np.array_equal(whole[..., 0], expected)


@pytest.mark.parametrize("scale", [0.5, 0.3, 0.01])
def test_smaller(scale: float) -> None:
    whole = made((0, 0, 90), (0, 4, 90), (4, 0, 90), (4, 4, 90), scale=scale)
    assert whole.shape[:2] == (max(round(8 * scale), 1),) * 2
    assert scale < 0.1 or np.all(whole == 90)


def test_a_damaged_tile_is_left_out_and_a_damaged_segment_is_not() -> None:
    places = [(Place(1, 0, 0), Whole(bytes([90]) * 16)), (Place(2, 0, 4), Whole(b"short"))]
    red = replace(IMAGE, samples=3, photometric="RGB")
    described: Any = DATA | {"00280002": {"vr": "US", "Value": [3]}, "00280004": {"vr": "CS", "Value": ["RGB"]}}
    tiles = [(Place(1, 0, 0), Whole(bytes([90]) * 48)), (Place(2, 0, 4), Whole(b"short"))]
    assert corners(mosaic(red, Attributes(described), tiles, (4, 8), 1.0, PixelLimits())) == [[90, 0]]
    with pytest.raises(Undoable):
        mosaic(red, Attributes(described), tiles[1:], (4, 8), 1.0, PixelLimits())
    segmented = Attributes(DATA | {"00620002": {"vr": "SQ", "Value": []}})
    with pytest.raises(Undoable):
        mosaic(IMAGE, segmented, places, (4, 8), 1.0, PixelLimits())
