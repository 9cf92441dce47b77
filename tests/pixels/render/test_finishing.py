"""From shown pixels to a file, in the right order."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.finishing import finished
from gateway.pixels.work import Undoable
from tests.pixels.render.subject import said

COLOUR = np.full((20, 40, 3), (200, 30, 30), np.uint8)


def test_all_at_once() -> None:
    rendering = Rendering(viewport=Viewport(300, 300), annotation=("patient",), icc="displayp3", quality=95)
    made = finished(COLOUR, said({"00100020": "ID", "00280034": [2, 1]}), "image/jpeg", rendering, PixelLimits())
    opened = Pillow.open(io.BytesIO(b"".join(made.content)))
    assert made.facts == {"width": 300, "height": 300} and opened.size == (300, 300), "pixels twice as high as wide"
    assert "icc_profile" in opened.info
    pixels = np.asarray(opened)
    assert pixels[200:, 200:].std(axis=(0, 1)).max() < 2, "nothing but one colour"
    assert pixels[:40, :40].min(axis=2).max() > 200, "text is drawn after the colours were converted, in white"


def test_the_limit_counts_what_comes_out() -> None:
    few = PixelLimits(picture_pixels=100)
    with pytest.raises(Undoable, match="too large"):
        finished(COLOUR, said(), "image/png", Rendering(), few)
    assert finished(COLOUR, said(), "image/png", Rendering(viewport=Viewport(10, 10)), few).facts == {"width": 10, "height": 5}
