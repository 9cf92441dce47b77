"""Animated GIFs."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Picture

from gateway.pixels.render.moving import gif


def test_frames_times_and_no_end() -> None:
    frames = [np.full((4, 6), level, np.uint8) for level in (0, 128, 255)]
    picture = Picture.open(io.BytesIO(gif(iter(frames), 70)))
    assert (picture.size, picture.info["loop"], picture.info["duration"]) == ((6, 4), 0, 70)
    seen = []
    for number in range(3):
        picture.seek(number)
        seen.append(int(np.asarray(picture.convert("L"))[2, 2]))
    assert seen == [0, 128, 255]


def test_colours_come_near() -> None:
    ramp = np.zeros((16, 16, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(0, 256, 16), np.arange(0, 256, 16)[:, np.newaxis]
    shown = np.asarray(Picture.open(io.BytesIO(gif([ramp], 70))).convert("RGB"))
    assert np.abs(shown.astype(int) - ramp).max() <= 16
