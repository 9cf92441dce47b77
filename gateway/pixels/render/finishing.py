"""Shown pixels become a picture file: the viewport, the colour profile, annotations, the encoding; in this order (PS3.18 8.3.5)."""

from __future__ import annotations

from gateway.dicomweb.rendering import Rendering
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.annotations import burned
from gateway.pixels.render.aspect import aspect
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.icc import profiled
from gateway.pixels.render.viewport import fitted
from gateway.pixels.render.writing import Pixels, written
from gateway.pixels.work import Made

__all__ = ["Pixels", "finished"]


def finished(pixels: Pixels, data: Attributes, media: str, rendering: Rendering, limits: PixelLimits, *, number: int = 1) -> Made:
    """The file of a picture; its facts are ``width`` and ``height``.

    :param pixels: as `pipeline.displayed` gives them. :param data: of the instance, with bulk data. :param media: one of `writing.MEDIA`.
    :param number: of the frame, from 1.
    :raises Undoable: when it is larger than the limit or the format allows, or nothing lies in the region that was asked for.
    """
    shown = fitted(pixels, rendering, aspect=aspect(data, number), limit=limits.picture_pixels)
    shown, profile = profiled(shown, data, rendering.icc)
    shown = burned(shown, data, rendering, number=number)
    return Made([written(shown, media, rendering.quality, profile)], {"width": shown.shape[1], "height": shown.shape[0]})
