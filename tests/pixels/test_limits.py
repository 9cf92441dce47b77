"""The bounds of what is decoded and drawn are those of the settings."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from gateway.opening import pixel_limits
from gateway.pixels.limits import PixelLimits
from gateway.sections.pixels import Pixels


def test_what_is_set_by_default_is_the_default() -> None:
    assert pixel_limits(Pixels()) == PixelLimits()


def test_what_is_set_is_what_counts() -> None:
    assert pixel_limits(Pixels(frame_bytes=1 << 20, picture_pixels=2, cine_frames=3, area_bytes=4 << 20)) == PixelLimits(
        1 << 20, 2, 3, 4 << 20
    )


def test_limits_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        PixelLimits().cine_frames = 1  # type: ignore[misc]  # that this is an error is what the test shows
