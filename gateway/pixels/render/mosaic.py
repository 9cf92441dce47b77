"""Frames put together to one picture: tiles side by side, segments upon each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Picture

from gateway.dicomweb.rendering import AS_IT_IS
from gateway.pixels.decoding import Decoded, decoded
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.pipeline import displayed
from gateway.pixels.render.placing import Place
from gateway.pixels.render.segments import coloured, srgb
from gateway.pixels.render.steady import steady
from gateway.pixels.render.writing import Pixels
from gateway.pixels.work import Given, Undoable


def mosaic(
    image: Image, data: Attributes, frames: Sequence[tuple[Place, Given]], size: tuple[int, int], scale: float, limits: PixelLimits
) -> Pixels:
    """The picture: (rows, columns, 3). Where segments overlap the brighter one of each channel shows. Where nothing is, it is black, or
    Recommended Absent Pixel CIELab Value; so is a tile of a slide that is damaged, which can be seen. A segment that is missing could
    not: it is an error.

    :param size: rows and columns of the whole. :param scale: how much smaller it is drawn; each frame is made so first.
    """
    whole = np.empty((max(round(size[0] * scale), 1), max(round(size[1] * scale), 1), 3), np.uint8)
    whole[:] = absent(data)
    segmented = "00620002" in data and image.photometric != "PALETTE COLOR"

    def look(place: int) -> tuple[Decoded, Attributes, int]:
        return decoded(frames[place][1].read(), image, limits.frame_bytes), data, frames[place][0].number

    rendering = AS_IT_IS if segmented or image.samples > 1 else steady(AS_IT_IS, len(frames), look)
    refusals = []
    for number, (place, _) in enumerate(frames):
        try:
            frame, *_ = look(number)
        except Undoable as error:
            refusals.append(error)
            continue
        shown = coloured(frame.array, data, place.number) if segmented else displayed(frame, data, place.number, rendering)
        _put(whole, shown if shown.ndim == 3 else np.repeat(shown[..., np.newaxis], 3, axis=2), place, scale, onto=segmented)
    if refusals and (segmented or len(refusals) == len(frames)):
        raise refusals[0]
    return whole


def absent(data: Attributes) -> tuple[int, int, int]:
    """The colour of what no tile covers."""
    lab = [int(value) for value in data.decimals("00480015")]
    return srgb(*lab) if len(lab) == 3 else (0, 0, 0)


def _put(whole: Pixels, shown: Pixels, place: Place, scale: float, *, onto: bool) -> None:
    rows, columns = shown.shape[:2]
    top, left = round(place.row * scale), round(place.column * scale)
    bottom, right = round((place.row + rows) * scale), round((place.column + columns) * scale)
    if bottom <= top or right <= left:
        return
    if (bottom - top, right - left) != (rows, columns):
        shown = np.asarray(Picture.fromarray(shown).resize((right - left, bottom - top), Picture.Resampling.BOX))
    first, upper = max(-top, 0), max(-left, 0)
    where = whole[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    part = shown[first : first + where.shape[0], upper : upper + where.shape[1]]
    where[:] = np.maximum(where, part) if onto else part
