"""What a presentation state does to a picture whose values are right already (PS3.4 N.2.4 to N.2.7, PS3.3 C.10.4 to C.10.6, C.7.6.11).

In this order:
1. Shutters: what lies outside of them becomes their presentation value.
2. Displayed Area: the part of the picture that is shown; beyond its edges there is nothing, black.
3. Spatial transformation: rotated clockwise, then flipped.
4. Scaled to the viewport, or so that its pixels are square, or by a magnification.
5. Graphics and text on top, always upright and of the same strength, in the colour of their layer with a dark edge around it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw

from gateway.dicomweb.rendering import Rendering
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.graphics import Sheet, drawn
from gateway.pixels.render.presented import referring
from gateway.pixels.render.segments import srgb
from gateway.pixels.render.viewport import fitted
from gateway.pixels.render.writing import Pixels
from gateway.pixels.work import Undoable

MAGNIFIED = 8.0
"""Times that a picture is made larger at most, whatever its presentation state says."""


def presented(
    pixels: Pixels, image: Attributes, state: Attributes, sop: str, number: int, rendering: Rendering, limits: PixelLimits
) -> Pixels:
    """The picture as the state wants it.

    :param pixels: in the size of the image. :param image: its header. :param sop: its SOP Instance UID. :param number: of the frame.
    :raises Undoable: when no part of the picture is shown, or it would be too large.
    """
    shown = shuttered(pixels, state)
    area = Area.of(referring(state.items("0070005A"), sop, number), pixels.shape[1], pixels.shape[0])
    if area.width * area.height > limits.picture_pixels:
        raise Undoable("the presentation state shows an area that is larger than any picture that is drawn")
    turn = Turn(round((state.number("00700042") or 0) / 90) % 4, state.text("00700041") == "Y")
    shown = turn.pixels(area.cut(shown))
    aspect = 1 / area.aspect if turn.quarters % 2 else area.aspect
    scaled = _scaled(shown, rendering, aspect, area.magnification, limits)
    sheet = Sheet(area.left, area.top, area.width, area.height, turn, scaled.shape[1], scaled.shape[0])
    return drawn(scaled, sheet, state, sop, number)


def _scaled(shown: Pixels, rendering: Rendering, aspect: float, magnification: float, limits: PixelLimits) -> Pixels:
    """As large as it will be in the end, so that graphics are drawn on what is seen; parts of it are cut out later."""
    viewport = rendering.viewport
    whole = viewport is not None and rendering.region is None and all(one is None for one in viewport.source)
    wanted = replace(rendering, region=None, viewport=viewport if whole else None)
    if viewport is None and magnification > 1:
        shown = fitted(shown, wanted, aspect=aspect, limit=limits.picture_pixels)
        size = (round(shown.shape[1] * magnification), round(shown.shape[0] * magnification))
        if size[0] * size[1] > limits.picture_pixels:
            return shown
        return np.asarray(Picture.fromarray(shown).resize(size, Picture.Resampling.BICUBIC))
    return fitted(shown, wanted, aspect=aspect, limit=limits.picture_pixels)


# -- 1


def shuttered(pixels: Pixels, state: Attributes) -> Pixels:
    """The picture within its shutters."""
    shapes = state.texts("00181600")
    if not shapes:
        return pixels
    rows, columns = pixels.shape[:2]
    row, column = np.ogrid[1 : rows + 1, 1 : columns + 1]
    seen = np.ones((rows, columns), bool)
    if "RECTANGULAR" in shapes:
        left, right, upper, lower = (state.decimal(tag) for tag in ("00181602", "00181604", "00181606", "00181608"))
        seen &= (column >= (left or 1)) & (column <= (columns if right is None else right))
        seen &= (row >= (upper or 1)) & (row <= (rows if lower is None else lower))
    center, radius = state.decimals("00181610"), state.decimal("00181612")
    if "CIRCULAR" in shapes and len(center) == 2 and radius is not None:
        seen &= np.hypot(row - center[0], column - center[1]) <= radius
    vertices = state.decimals("00181620")
    if "POLYGONAL" in shapes and len(vertices) >= 6:
        seen &= _polygon(vertices, rows, columns)
    return np.where(seen if pixels.ndim == 2 else seen[..., np.newaxis], pixels, _outside(state, pixels.ndim)).astype(np.uint8)


def _polygon(vertices: list[float], rows: int, columns: int) -> NDArray[np.bool_]:
    """What lies within vertices that are given as row and column, from 1."""
    mask = Picture.new("1", (columns, rows))
    corners = [(column - 1, row - 1) for row, column in zip(vertices[::2], vertices[1::2], strict=False)]
    ImageDraw.Draw(mask).polygon(corners, fill=1, outline=1)
    return np.asarray(mask)


def _outside(state: Attributes, dimensions: int) -> NDArray[np.uint8] | int:
    """Shutter Presentation Value, or its colour; black for lack of both."""
    lab = [int(value) for value in state.decimals("00181624")]
    if dimensions == 3 and len(lab) == 3:
        return np.array(srgb(*lab), np.uint8)
    return round((state.number("00181622") or 0) / 65535 * 255) & 0xFF


# -- 2


@dataclass(frozen=True, slots=True)
class Area:
    """The part of the picture that is shown, in its own pixels from 0; it may reach beyond the picture.

    :param aspect: height of a pixel by its width. :param magnification: 1 for no such wish.
    """

    left: int
    top: int
    width: int
    height: int
    aspect: float = 1.0
    magnification: float = 1.0

    @classmethod
    def of(cls, items: list[Attributes], columns: int, rows: int) -> Area:
        """The area of the first item of Displayed Area Selection Sequence that applies; the whole picture for lack of one."""
        if not items:
            return cls(0, 0, columns, rows)
        one = items[0]
        first, last = one.decimals("00700052"), one.decimals("00700053")
        if len(first) != 2 or len(last) != 2:
            first, last = [1, 1], [columns, rows]
        left, right = sorted((round(first[0]), round(last[0])))
        top, bottom = sorted((round(first[1]), round(last[1])))
        if right < 1 or bottom < 1 or left > columns or top > rows:
            raise Undoable("the presentation state shows an area in which there is no picture")
        spacing, ratio = one.decimals("00700101"), one.decimals("00700102")
        both = spacing if len(spacing) == 2 else ratio
        aspect = both[0] / both[1] if len(both) == 2 and min(both) > 0 else 1.0
        magnified = one.text("00700100") == "MAGNIFY"
        times = min(max(one.decimal("00700103") or 1.0, 1.0), MAGNIFIED) if magnified else 1.0
        return cls(left - 1, top - 1, right - left + 1, bottom - top + 1, min(max(aspect, 0.05), 20.0), times)

    def cut(self, pixels: Pixels) -> Pixels:
        """The area, black where there is no picture."""
        rows, columns = pixels.shape[:2]
        whole = np.zeros((self.height, self.width, *pixels.shape[2:]), np.uint8)
        top, left = max(self.top, 0), max(self.left, 0)
        part = pixels[top : min(self.top + self.height, rows), left : min(self.left + self.width, columns)]
        whole[top - self.top : top - self.top + part.shape[0], left - self.left : left - self.left + part.shape[1]] = part
        return whole


# -- 3


@dataclass(frozen=True, slots=True)
class Turn:
    """:param quarters: clockwise. :param flipped: left to right, afterwards."""

    quarters: int = 0
    flipped: bool = False

    def pixels(self, pixels: Pixels) -> Pixels:
        """The picture turned."""
        turned = np.rot90(pixels, -self.quarters)
        return np.ascontiguousarray(turned[:, ::-1] if self.flipped else turned)

    def point(self, x: float, y: float, width: float, height: float) -> tuple[float, float]:
        """Where a point of a picture of that size is afterwards."""
        for _ in range(self.quarters):
            x, y, width, height = height - y, x, height, width
        return (width - x if self.flipped else x), y

    def size(self, width: float, height: float) -> tuple[float, float]:
        """Width and height afterwards."""
        return (height, width) if self.quarters % 2 else (width, height)
