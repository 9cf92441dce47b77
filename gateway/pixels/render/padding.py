"""Pixels that were added to make an image rectangular (PS3.3 C.7.5.1.1.2): no part of the picture, and black in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.image import Image
from gateway.pixels.render.cells import Levels
from gateway.pixels.render.dataset import Attributes

_VALUE, _LIMIT = "00280120", "00280121"
_FLOATING = (("00280122", "00280124"), ("00280123", "00280125"))
"""Float and Double Float Pixel Padding Value and Range Limit."""


def padding(data: Attributes, image: Image, levels: Levels) -> NDArray[np.bool_] | None:
    """Which of the values are padding, None where none can be."""
    limits = _limits(data, image)
    if limits is None:
        return None
    low, high = limits
    return (levels.values >= low) & (levels.values <= high)


def _limits(data: Attributes, image: Image) -> tuple[float, float] | None:
    """The smallest and largest value that is padding."""
    for value, limit in _FLOATING:
        first = data.decimal(value)
        if first is not None:
            second = data.decimal(limit)
            return _ordered(first, first if second is None else second)
    first = data.decimal(_VALUE)
    if first is None:
        return None
    second = data.decimal(_LIMIT)
    return _ordered(_as_stored(first, image), _as_stored(first if second is None else second, image))


def _as_stored(value: float, image: Image) -> float:
    """A value that was written with the wrong VR: 63536 for -2000."""
    if image.signed and value >= 1 << (image.allocated - 1):
        return value - (1 << image.allocated)
    if not image.signed and value < 0:
        return value + (1 << image.allocated)
    return value


def _ordered(first: float, second: float) -> tuple[float, float]:
    return min(first, second), max(first, second)
