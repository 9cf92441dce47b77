"""Where frames go that belong together in one picture; pure.

- Tiles of a slide (PS3.3 C.8.12.14, C.7.6.17): where their functional groups say, or row by row for TILED_FULL. Of several optical
  paths and focal planes the first one is taken.
- Segments (PS3.3 C.8.20): all frames of one place, so that all segments are seen together; of a slide's segmentation all tiles.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from gateway.pixels.image import Image, Json, number, text
from gateway.pixels.render.dataset import PER_FRAME, Attributes

MOST = 65_536
"""Frames that are placed: far more than go into one picture. What claims millions of them is not believed so far."""

ROWS, COLUMNS = "00480007", "00480006"
"""Total Pixel Matrix Rows and Columns."""


class Place(NamedTuple):
    """A frame's place in the picture.

    :param number: of the frame, from 1. :param row: of its upper left pixel, from 0. :param column: likewise.
    """

    number: int
    row: int
    column: int


def matrix(data: Json) -> tuple[int, int] | None:
    """Rows and columns of the Total Pixel Matrix, None where there is none."""
    rows, columns = number(data, ROWS), number(data, COLUMNS)
    return (rows, columns) if rows and columns and rows > 0 and columns > 0 else None


def tiles(data: Json, image: Image) -> list[Place]:
    """Where the tiles of a slide go: those of the first optical path and focal plane."""
    size = matrix(data)
    if size is None:
        return []
    if _is_full(data):
        return list(_row_by_row(image, size, 1))
    seen: set[tuple[int, int]] = set()
    found: list[Place] = []
    path = None
    for one in _listed(data, image):
        own = Attributes(data).group("00480207", one.number)
        path = path or (own and own.text("00480106"))
        if (one.row, one.column) not in seen and (own is None or own.text("00480106") == path):
            seen.add((one.row, one.column))
            found.append(one)
    return found


def segments(data: Json, image: Image) -> tuple[list[Place], tuple[int, int]]:
    """The frames of a segmentation that are one picture, and its rows and columns."""
    size = matrix(data)
    if size is None:
        places = list(_places(Attributes(data), image.frames).values())
        return [Place(one, 0, 0) for one in places[len(places) // 2]], (image.rows, image.columns)
    if _is_full(data):
        across, down = -(-size[1] // image.columns), -(-size[0] // image.rows)
        return list(_row_by_row(image, size, max(image.frames // (across * down), 1))), size
    return list(_listed(data, image)), size


def _is_full(data: Json) -> bool:
    return text(data, "00209311") == "TILED_FULL" or PER_FRAME not in data


def _row_by_row(image: Image, size: tuple[int, int], times: int) -> Iterator[Place]:
    across, down = -(-size[1] // image.columns), -(-size[0] // image.rows)
    for place in range(min(across * down * times, image.frames, MOST)):
        row, column = divmod(place % (across * down), across)
        yield Place(place + 1, row * image.rows, column * image.columns)


def _listed(data: Json, image: Image) -> Iterator[Place]:
    """Tiles by their own word: Column and Row Position In Total Image Pixel Matrix count from 1."""
    read = Attributes(data)
    for one in range(1, min(image.frames, len(read.values(PER_FRAME)), MOST) + 1):
        position = read.group("0048021A", one)
        row, column = (position.number("0048021F"), position.number("0048021E")) if position is not None else (None, None)
        if row is not None and column is not None:
            yield Place(one, row - 1, column - 1)


def _places(data: Attributes, frames: int) -> dict[Hashable, list[int]]:
    """Frames by where they lie; the middle one alone where none of them says so."""
    if not data.values(PER_FRAME):
        return {None: [(frames + 1) // 2]}
    found: dict[Hashable, list[int]] = {}
    for one in range(1, min(frames, len(data.values(PER_FRAME)), MOST) + 1):
        found.setdefault(_place(data, one), []).append(one)
    return found


def _place(data: Attributes, one: int) -> Hashable:
    """What frames of one place share: their position, or the frame that they were made from."""
    if (plane := data.group("00209113", one)) is not None and (position := plane.decimals("00200032")):
        return tuple(round(value, 2) for value in position)
    derived = data.group("00089124", one)
    source = derived.item("00082112") if derived is not None else None
    if source is not None and source.text("00081155"):
        return source.text("00081155"), source.number("00081160")
    return one
