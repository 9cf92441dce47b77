"""Overlay planes, drawn white (PS3.3 C.9.2): graphics that the modality laid over the picture.

Only graphics (Overlay Type G) are drawn; regions of interest (R) would cover what they are about. A plane with an Overlay Activation
Layer that is empty is not drawn: that is how a presentation state hides it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.native import Array
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.writing import Pixels

WHITE = 255

_ROWS, _COLUMNS, _FRAMES, _TYPE, _ORIGIN, _FIRST, _BITS, _POSITION, _LAYER, _DATA = (
    ("0010", "0011", "0015", "0040", "0050", "0051", "0100", "0102", "1001", "3000")
)  # fmt: skip


def overlaid(pixels: Pixels, cells: Array, data: Attributes, number: int) -> Pixels:
    """A picture with the overlays of its frame; the same one where it has none.

    :param cells: as decoded; bits of them that are not pixel values may be a plane (C.9.2, retired).
    :param number: of the frame, from 1.
    """
    for plane, top, left in _planes(cells, data, number):
        pixels = _drawn(pixels, plane, top, left)
    return pixels


def _drawn(pixels: Pixels, plane: NDArray[np.bool_], top: int, left: int) -> Pixels:
    """:param top: row of the picture where the plane begins, from 0 and perhaps outside. :param left: the column."""
    rows, columns = pixels.shape[:2]
    inside = plane[max(-top, 0) : max(rows - top, 0), max(-left, 0) : max(columns - left, 0)]
    if not inside.any():
        return pixels
    pixels = pixels if pixels.flags.writeable else pixels.copy()
    top, left = max(top, 0), max(left, 0)
    pixels[top : top + inside.shape[0], left : left + inside.shape[1]][inside] = WHITE
    return pixels


def _planes(cells: Array, data: Attributes, number: int) -> Iterator[tuple[NDArray[np.bool_], int, int]]:
    for group in [f"{group:04X}" for group in range(0x6000, 0x6020, 2)]:
        if group + _ROWS not in data and group + _BITS not in data:
            continue
        if data.text(group + _TYPE) == "R" or (group + _LAYER in data and not data.text(group + _LAYER)):
            continue
        plane = _plane(cells, data, group, number)
        if plane is not None:
            origin = [int(value) for value in data.decimals(group + _ORIGIN)] or [1, 1]
            yield plane, origin[0] - 1, (origin[1] if len(origin) > 1 else 1) - 1


def _plane(cells: Array, data: Attributes, group: str, number: int) -> NDArray[np.bool_] | None:
    """The plane of a frame, None where it has none."""
    if group + _DATA not in data:
        return _among_pixels(cells, data, group)
    rows, columns = data.number(group + _ROWS) or 0, data.number(group + _COLUMNS) or 0
    frames, first = data.number(group + _FRAMES) or 1, data.number(group + _FIRST) or 1
    size = rows * columns
    at = number - first
    if size <= 0 or not 0 <= at < frames:
        # One plane without a number of frames belongs to all of them.
        if size <= 0 or frames > 1 or group + _FIRST in data:
            return None
        at = 0
    start = at * size
    octets = data.octets(group + _DATA) or b""
    if len(octets) * 8 < start + size:
        return None
    packed = np.frombuffer(octets, np.uint8)[start // 8 : -(-(start + size) // 8)]
    bits = np.unpackbits(packed, bitorder="little")[start % 8 : start % 8 + size]
    return bits.reshape(rows, columns).astype(bool)


def _among_pixels(cells: Array, data: Attributes, group: str) -> NDArray[np.bool_] | None:
    """A plane in a bit of the cells that is not a value's."""
    position, bits = data.number(group + _POSITION), data.number(group + _BITS)
    stored, high = data.number("00280101"), data.number("00280102")
    if cells.ndim != 2 or cells.dtype.kind == "f" or position is None or not bits or bits == 1 or stored is None:
        return None
    high = stored - 1 if high is None else high
    if not 0 <= position < cells.dtype.itemsize * 8 or high - stored < position <= high:
        return None
    found: NDArray[np.bool_] = (cells & np.array(1).astype(cells.dtype) << position) != 0
    return found
