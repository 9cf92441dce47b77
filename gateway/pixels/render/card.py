"""A card that says what kind of thing something is, for lists of thumbnails: no value of a patient is on it."""

from __future__ import annotations

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from gateway.pixels.render.writing import Pixels

SIDE = 512
_GROUND, _EDGE, _TITLE, _LINE = (38, 44, 54), (84, 96, 116), (236, 240, 246), (158, 172, 192)


def card(title: str, line: str) -> Pixels:
    """The card: (512, 512, 3).

    :param title: a word or two. :param line: below it, in smaller letters.
    """
    picture = Picture.new("RGB", (SIDE, SIDE), _GROUND)
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((16, 16, SIDE - 17, SIDE - 17), 36, outline=_EDGE, width=8)
    _centred(draw, title, 220, 150, _TITLE)
    _centred(draw, line, 365, 64, _LINE)
    return np.asarray(picture)


def _centred(draw: ImageDraw.ImageDraw, words: str, middle: int, size: int, colour: tuple[int, int, int]) -> None:
    """Written as large as it fits between the edges."""
    while size > 16 and draw.textlength(words, ImageFont.load_default(size)) > SIDE - 80:
        size -= 4
    draw.text((SIDE / 2, middle), words, colour, ImageFont.load_default(size), anchor="mm")
