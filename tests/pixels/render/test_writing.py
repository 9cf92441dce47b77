"""Picture files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from gateway.pixels.render.writing import MEDIA, written
from gateway.pixels.work import Undoable

SMOOTH = (np.add.outer(np.arange(64), np.arange(96)) * 1.5).astype(np.uint8)
COLOUR = np.stack([SMOOTH, SMOOTH[::-1], 255 - SMOOTH], axis=-1)


def read(data: bytes) -> Any:
    return np.asarray(Pillow.open(io.BytesIO(data)))


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("pixels", [SMOOTH, COLOUR], ids=["grey", "colour"])
def test_others_can_read_it(media: str, pixels: Any) -> None:
    data = written(pixels, media)
    opened = Pillow.open(io.BytesIO(data))
    assert Pillow.MIME[str(opened.format)] == media and opened.size == (96, 64)
    found = np.asarray(opened.convert("RGB" if pixels.ndim == 3 else "L")).astype(int)
    worst = 0 if media == "image/png" or (media == "image/gif" and pixels.ndim == 2) else 12 if media == "image/jpeg" else 64
    assert np.abs(found - pixels).max() <= worst


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_png_is_exact_in_any_size(rows: int, columns: int, colour: bool, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3) if colour else (rows, columns)).astype(np.uint8)
    assert np.array_equal(read(written(pixels, "image/png")), pixels)


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("shape", [(1000, 1), (1000, 2), (1000, 1, 3), (1, 1000)])
def test_narrow_noise_has_room(media: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    found = read(written(pixels, media, 100))
    assert found.shape[:2] == shape[:2] and (media != "image/png" or np.array_equal(found, pixels))


def test_quality_is_worth_bytes() -> None:
    sizes = [len(written(COLOUR, "image/jpeg", quality)) for quality in (1, 30, 60, 90, 100)]
    assert sizes == sorted(sizes) and sizes[0] * 2 < sizes[-1]
    assert written(COLOUR, "image/jpeg") == written(COLOUR, "image/jpeg", 90)
    assert written(COLOUR, "image/png", 1) == written(COLOUR, "image/png", 100)


def test_colour_is_at_full_resolution_in_good_quality_only() -> None:
    def factors(quality: int) -> int:
        """Of the first component: 0x11 for none, 0x22 for twice as many."""
        data = written(COLOUR, "image/jpeg", quality)
        return data[data.index(b"\xff\xc0") + 11]

    assert (factors(90), factors(89)) == (0x11, 0x22)


@pytest.mark.parametrize(("media", "sides"), [("image/jpeg", (1, 65501)), ("image/gif", (65536, 1)), ("image/bmp", (1, 1))])
def test_what_a_format_cannot_hold_is_refused(media: str, sides: tuple[int, int]) -> None:
    with pytest.raises(Undoable, match=f"cannot be written as {media}"):
        written(np.zeros(sides, np.uint8), media)
