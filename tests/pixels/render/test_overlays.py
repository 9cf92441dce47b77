"""Overlay planes: where they are, and when they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.pixels.render.subject import shown

GREY = np.full((4, 4), 100, np.uint8)


def plane(*bits: tuple[int, int], rows: int = 4, columns: int = 4, frames: int = 1, group: str = "6000", **more: Any) -> dict[str, Any]:
    cells = np.zeros((frames * rows, columns), np.uint8)
    for row, column in bits:
        cells[row, column] = 1
    data = np.packbits(cells.reshape(-1), bitorder="little").tobytes()
    tags = {"0010": rows, "0011": columns, "0040": "G", "0050": [1, 1], "0100": 1, "0102": 0, "3000": data}
    return {group + tag: value for tag, value in (tags | {tag.lstrip("_"): value for tag, value in more.items()}).items()}


def white(tags: dict[str, Any], cells: Any = GREY, **more: Any) -> list[tuple[int, int]]:
    """Rows and columns of the white pixels."""
    return [(int(row), int(column)) for row, column in np.argwhere(shown(cells, tags, **more) == 255)]


def test_graphics_are_white_also_where_grey_is_inverted() -> None:
    assert white(plane((1, 2), (3, 0))) == [(1, 2), (3, 0)]
    assert white(plane((1, 2)), photometric="MONOCHROME1") == [(1, 2)]


def test_several_planes() -> None:
    assert white({**plane((0, 0)), **plane((1, 1), group="601E")}) == [(0, 0), (1, 1)]
    assert white(plane((1, 1), group="6020")) == []


def test_regions_of_interest_and_hidden_planes_are_not_drawn() -> None:
    assert white(plane((0, 0), _0040="R")) == []
    assert white(plane((0, 0), _1001="")) == [] and white(plane((0, 0), _1001="ABOVE")) == [(0, 0)]


ORIGINS = [([2, 3], [(1, 2)]), ([0, 1], [(2, 3)]), ([-2, -2], [(0, 0)]), ([9, 9], []), ([-100, 1], []), ([4, 4], [(3, 3)])]


@pytest.mark.parametrize(("origin", "expected"), ORIGINS)
def test_an_origin_may_be_anywhere(origin: list[int], expected: list[tuple[int, int]]) -> None:
    assert white(plane((0, 0), (3, 3), _0050=origin)) == expected


def test_a_plane_may_be_larger_than_the_picture() -> None:
    assert white(plane((0, 0), (6, 6), rows=7, columns=7)) == [(0, 0)]


def test_each_frame_has_its_own_and_those_without_have_none() -> None:
    tags = plane((0, 0), (3, 1), (5, 2), rows=2, columns=3, frames=3, _0015=3, _0051=2)
    assert [white(tags, number=number) for number in (1, 2, 3, 4, 5)] == [[], [(0, 0)], [(1, 1)], [(1, 2)], []]
    assert white(plane((0, 0)), number=7) == [(0, 0)]


def test_a_plane_in_the_unused_bits_of_cells() -> None:
    cells = np.full((2, 2), 100, np.uint16)
    cells[0, 1] |= 0x8000
    tags = {"00280101": 8, "00280102": 7, "60000010": 2, "60000011": 2, "60000040": "G", "60000100": 16, "60000102": 15, "60000050": [1, 1]}
    assert white(tags, cells) == [(0, 1)]
    assert white({**tags, "60000102": 2}, cells) == [], "a bit of the values is no plane"
    assert white({**tags, "60000102": 16}, cells) == []
    signed = cells.view(np.int16)
    assert white({**tags, "00280103": 1}, signed) == [(0, 1)]


def test_over_colour() -> None:
    assert shown(np.zeros((4, 4, 3), np.uint8), plane((2, 2)), photometric="RGB")[2, 2].tolist() == [255, 255, 255]


@pytest.mark.parametrize("wrong", [{"_3000": b"\1"}, {"_0010": 0}, {"_0010": 60000, "_0011": 60000}, {"_0011": "x"}, {"_0050": []}])
def test_planes_that_are_damaged_cost_nobody_the_picture(wrong: dict[str, Any]) -> None:
    assert white(plane((1, 1), **wrong)) in ([], [(1, 1)])
