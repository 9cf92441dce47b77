"""Segments in their colours (PS3.3 C.8.20, C.10.7.1.1): black where there is none.

- BINARY: the segment's Recommended Display CIELab Value where the bit is set.
- FRACTIONAL: that colour, as strong as the fraction of Maximum Fractional Value.
- LABELMAP: each cell's number is that of its segment; cells that are Pixel Padding Value, or no segment's, are black. One with a
  palette of its own is drawn with this.

A segment without a colour gets one of eight by its number. Where segments meet, the brighter colour of each channel shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.render.dataset import Attributes
from gateway.pixels.work import Undoable

Pixels = NDArray[np.uint8]

_OWN = ((230, 70, 60), (70, 180, 80), (70, 110, 230), (240, 190, 50), (160, 80, 200), (50, 190, 200), (240, 130, 40), (230, 110, 170))
_WHITE = (0.9642, 1.0, 0.8249)
"""XYZ of D50, the white of CIELab in DICOM."""
_TO_SRGB = np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]])
"""XYZ of D50 to linear sRGB, adapted to D65 (Bradford)."""


def srgb(lightness: int, a: int, b: int) -> tuple[int, int, int]:
    """A CIELab colour of 16 bits as DICOM writes it (0 to 65535 for L* 0 to 100, a* and b* -128 to 127) in sRGB."""
    level = (lightness / 65535 * 100 + 16) / 116
    shifted = (level + (a / 65535 * 255 - 128) / 500, level, level - (b / 65535 * 255 - 128) / 200)
    xyz = [white * (t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29)) for white, t in zip(_WHITE, shifted, strict=True)]
    linear = np.clip(_TO_SRGB @ np.array(xyz), 0, 1)
    coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = np.rint(coded * 255).astype(int).tolist()
    return red, green, blue


def colours(data: Attributes) -> dict[int, tuple[int, int, int]]:
    """The colour of each segment by its number."""
    found = {}
    for place, one in enumerate(data.items("00620002")):
        number = one.number("00620004")
        lab = [int(value) for value in one.decimals("0062000D")]
        number = place + 1 if number is None else number
        found[number] = srgb(*lab) if len(lab) == 3 else _OWN[(number - 1) % len(_OWN)]
    return found


def coloured(cells: NDArray[np.generic], data: Attributes, number: int) -> Pixels:
    """A frame in the colours of its segments: (rows, columns, 3).

    :param cells: (rows, columns). :param number: of the frame, from 1.
    :raises Undoable: for cells of several samples.
    """
    if cells.ndim != 2:
        raise Undoable("a segmentation has one sample a pixel, and this one has several")
    palette = colours(data)
    if data.text("00620001") == "LABELMAP":
        return _labelled(cells, palette, data.number("00280120"))
    colour = np.array(palette.get(_segment(data, number), _OWN[0]), np.float32)
    most = data.number("0062000E") or 255 if data.text("00620001") == "FRACTIONAL" else 1
    strength = np.clip(cells.astype(np.float32) / most, 0, 1)
    return np.rint(strength[..., np.newaxis] * colour).astype(np.uint8)


def _segment(data: Attributes, number: int) -> int:
    """The segment that a frame shows. With TILED_FULL nothing says so: segment after segment has all its tiles."""
    own = data.group("0062000A", number)
    found = own.number("0062000B") if own is not None else None
    if found is not None:
        return found
    every = list(colours(data))
    frames = data.number("00280008") or 1
    return every[min((number - 1) * len(every) // max(frames, 1), len(every) - 1)] if every else 1


def _labelled(cells: NDArray[np.generic], palette: dict[int, tuple[int, int, int]], padding: int | None) -> Pixels:
    table = np.zeros((65536, 3), np.uint8)
    for number, colour in palette.items():
        if 0 <= number < len(table) and number != padding:
            table[number] = colour
    if padding is None:
        table[0] = 0
    return table[np.clip(cells.astype(np.int64), 0, 65535)]
