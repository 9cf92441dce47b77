"""Pace and size of frames in motion."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dicomweb.rendering import Viewport
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.cine import pace, shown


def said(tag: str, *values: str) -> dict[str, Any]:
    return {tag: {"vr": "DS", "Value": list(values)}}


@pytest.mark.parametrize(
    ("data", "milliseconds"),
    [
        ({}, 100),
        (said("00181063", "33.3"), 33),
        (said("00181065", "0", "20", "40"), 30),
        (said("00082144", "25"), 40),
        (said("00180040", "10"), 100),
        (said("00181063", "50") | said("00082144", "25"), 50),
        (said("00181063", "0") | said("00180040", "20"), 50),
        (said("00181063", "1"), 20),
        (said("00181063", "99999999"), 10_000),
        (said("00181063", "abc"), 100),
    ],
)
def test_milliseconds_a_frame(data: dict[str, Any], milliseconds: int) -> None:
    assert pace(data) == milliseconds


def test_frames_that_are_passed_over() -> None:
    assert pace(said("00181063", "33.3"), 3) == 100


def test_a_box_that_all_frames_fit_into() -> None:
    image = Image("1.2.840.10008.1.2.1", 100, 200, 1, "MONOCHROME2", False, 8, 8, 7, False, 10)
    assert shown(image, 10, PixelLimits(picture_pixels=200_000)) is None
    assert shown(image, 10, PixelLimits(picture_pixels=50_000)) == Viewport(100, 50)
    assert shown(image, 10, PixelLimits(picture_pixels=1)) == Viewport(1, 1)
