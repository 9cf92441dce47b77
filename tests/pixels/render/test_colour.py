"""Colour spaces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom.pixels.processing import convert_color_space

from gateway.pixels.image import Image
from gateway.pixels.render.colour import coloured
from gateway.pixels.work import Undoable

IMAGE = Image("", 16, 16, 3, "RGB", False, 8, 8, 7, False, 1)
PIXELS = np.random.default_rng(3).integers(0, 256, (16, 16, 3)).astype(np.uint8)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_ICT", "MONOCHROME2"])
def test_what_is_red_green_and_blue_stays(photometric: str) -> None:
    assert np.array_equal(coloured(PIXELS, photometric, IMAGE), PIXELS)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_luminance_and_chrominance_as_pydicom_converts_them(photometric: str) -> None:
    expected = convert_color_space(PIXELS, "YBR_FULL", "RGB").astype(int)
    assert np.abs(coloured(PIXELS, photometric, IMAGE) - expected).max() <= 1


def test_video_levels() -> None:
    levels = np.array([[[16, 128, 128], [235, 128, 128], [0, 128, 128], [82, 90, 240]]], np.uint8)
    assert coloured(levels, "YBR_PARTIAL_422", IMAGE).tolist() == [[[0, 0, 0], [255, 255, 255], [0, 0, 0], [255, 1, 0]]]


SIZES = [("u2", 16, 0x1234, 0x12), ("u2", 12, 0xFFF, 0xFF), ("u2", 8, 77, 77), ("u4", 32, 1 << 31, 0x80)]
SIZES += [("u1", 5, 31, 255), ("u1", 1, 1, 255), ("i2", 16, -32768, 0), ("i2", 16, 0, 128)]


@pytest.mark.parametrize(("kind", "stored", "sample", "shown"), SIZES)
def test_samples_of_other_sizes(kind: str, stored: int, sample: int, shown: int) -> None:
    image = replace(IMAGE, allocated=8 * int(kind[1]), stored=stored, high=stored - 1, signed=kind[0] == "i")
    assert coloured(np.full((1, 1, 3), sample, kind), "RGB", image).tolist() == [[[shown] * 3]]


@pytest.mark.parametrize(("photometric", "samples"), [("ARGB", 4), ("CMYK", 4), ("HSV", 3), ("RGB", 4), ("YBR_FULL", 2), ("XYB", 3)])
def test_what_nobody_has_any_more_is_refused_by_name(photometric: str, samples: int) -> None:
    said = f"^pictures of Photometric Interpretation {photometric} with {samples} samples a pixel cannot be drawn$"
    with pytest.raises(Undoable, match=said):
        coloured(np.zeros((2, 2, samples), np.uint8), photometric, IMAGE)


def test_fractions_are_no_colours() -> None:
    with pytest.raises(Undoable, match="floating-point"):
        coloured(np.zeros((2, 2, 3), np.float32), "RGB", IMAGE)
