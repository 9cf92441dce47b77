"""The part of a picture that is shown, and how large (PS3.18 8.3.5.1.3; 9.5 for regions in fractions).

Maths first, pixels last: `plan` says what will be seen, and nothing is made of a plan that is too large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.pixels.render.writing import Pixels
from gateway.pixels.work import Misasked, Undoable


@dataclass(frozen=True, slots=True)
class Plan:
    """:param box: left, top, right and bottom of what is shown, in pixels of the picture. :param size: width and height of the result.
    :param mirrored: left to right. :param flipped: upside down."""

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    mirrored: bool = False
    flipped: bool = False


def fitted(pixels: Pixels, rendering: Rendering, *, aspect: float = 1.0, limit: int = 1 << 26) -> Pixels:
    """A picture cut, turned and scaled as it was asked for.

    :param aspect: height of a pixel by its width. :param limit: pixels of the result.
    :raises Misasked: when nothing of the picture lies in the region, or the result would be larger than it may be.
    :raises Undoable: when the picture is too large as it is.
    """
    planned = plan(pixels.shape[1], pixels.shape[0], rendering, aspect=aspect, limit=limit)
    turned = _scaled(pixels, planned)[:: -1 if planned.flipped else 1, :: -1 if planned.mirrored else 1]
    return np.ascontiguousarray(turned)


def plan(width: int, height: int, rendering: Rendering, *, aspect: float = 1.0, limit: int = 1 << 26) -> Plan:
    """What of a picture is shown, and how large.

    :param width: of the picture, in its pixels. :param height: likewise. :param aspect, limit, raises: see `fitted`.
    """
    box: tuple[float, float, float, float] = (0.0, 0.0, float(width), float(height))
    mirrored = flipped = False
    if rendering.region is not None:
        left, top, right, bottom = rendering.region
        box = _inside(box, (left * width, top * height, right * width, bottom * height))
    viewport = rendering.viewport
    if viewport is not None:
        source, mirrored, flipped = _source(box, viewport)
        box = _inside(box, source)
    size = _size(box[2] - box[0], box[3] - box[1], viewport, aspect)
    if size[0] * size[1] > limit:
        error = Undoable if viewport is None else Misasked
        raise error(f"a picture of {size[0]} x {size[1]} pixels is too large: at most {limit} pixels are drawn")
    return Plan(box, size, mirrored, flipped)


def _source(box: tuple[float, float, float, float], viewport: Viewport) -> tuple[tuple[float, float, float, float], bool, bool]:
    """The region that a viewport names, and whether it is turned; what it leaves out reaches to the end of the picture."""
    left, top, width, height = viewport.source
    x = box[0] + (left or 0.0)
    y = box[1] + (top or 0.0)
    right = box[2] if width is None else x + abs(width)
    bottom = box[3] if height is None else y + abs(height)
    return (x, y, right, bottom), width is not None and width < 0, height is not None and height < 0


def _inside(outer: tuple[float, float, float, float], box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The part of a region that is there."""
    left, top = max(box[0], outer[0]), max(box[1], outer[1])
    right, bottom = min(box[2], outer[2]), min(box[3], outer[3])
    if not (left < right and top < bottom):
        raise Misasked("the region lies outside of the picture")
    return left, top, right, bottom


def _size(width: float, height: float, viewport: Viewport | None, aspect: float) -> tuple[int, int]:
    """Width and height of the result: the largest that fits, in the right proportions; without a viewport no pixel gets lost."""
    shown_width, shown_height = (width, height * aspect) if aspect >= 1 else (width / aspect, height)
    scale = 1.0 if viewport is None else min(viewport.width / shown_width, viewport.height / shown_height)
    return max(round(shown_width * scale), 1), max(round(shown_height * scale), 1)


def _scaled(pixels: Pixels, planned: Plan) -> Pixels:
    left, top, right, bottom = planned.box
    width, height = right - left, bottom - top
    if width == planned.size[0] and height == planned.size[1] and all(edge == int(edge) for edge in planned.box):
        return pixels[int(top) : int(bottom), int(left) : int(right)]
    across, down = width / planned.size[0], height / planned.size[1]
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(planned.size, _filter(across, down), planned.box))


def _filter(across: float, down: float) -> Pillow.Resampling:
    """Averages of whole areas where pixels become fewer, a smooth curve through them where they become more."""
    if across < 1 or down < 1:
        return Pillow.Resampling.BICUBIC
    whole = across == int(across) and down == int(down)
    return Pillow.Resampling.BOX if whole else Pillow.Resampling.HAMMING
