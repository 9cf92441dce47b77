"""Pictures as an animated GIF that starts again when it has ended."""

from __future__ import annotations

import io
from collections.abc import Iterable

from PIL import Image as Picture

from gateway.pixels.render.writing import Pixels


def gif(pictures: Iterable[Pixels], pace: int) -> bytes:
    """An animated GIF: grey pictures with 256 greys, coloured ones with the 256 colours of each that come nearest.

    :param pictures: taken one after the other; all of one size. :param pace: milliseconds each.
    """
    every = map(_indexed, pictures)
    out = io.BytesIO()
    next(every).save(out, "GIF", save_all=True, append_images=every, duration=pace, loop=0, optimize=False, disposal=1)
    return out.getvalue()


def _indexed(pixels: Pixels) -> Picture.Image:
    picture = Picture.fromarray(pixels)
    return picture if pixels.ndim == 2 else picture.quantize(256, Picture.Quantize.FASTOCTREE, dither=Picture.Dither.NONE)
