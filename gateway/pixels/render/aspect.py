"""How tall a pixel is for its width: a picture is stretched until it looks as the patient does (PS3.3 C.7.6.3.1.7, 10.7.1)."""

from __future__ import annotations

from gateway.pixels.render.dataset import Attributes

_SPACING = ("00280030", "00181164", "00182010")
"""Pixel Spacing, Imager Pixel Spacing, Nominal Scanned Pixel Spacing: between rows, between columns."""
_RATIO = "00280034"
_MEASURES = "00289110"

_SQUARE = 0.01
"""What is nearer to a square than this is one, written with fewer digits."""
_LARGEST = 20.0
"""A ratio beyond this is no measure of a pixel."""


def aspect(data: Attributes, number: int) -> float:
    """Height of a pixel by its width; 1 where nothing is said.

    :param number: of the frame, from 1.
    """
    measures = data.group(_MEASURES, number)
    for place, tag in [*((measures, tag) for tag in _SPACING[:1] if measures), *((data, tag) for tag in _SPACING), (data, _RATIO)]:
        numbers = place.decimals(tag)
        if len(numbers) == 2 and min(numbers) > 0:
            return _sensible(numbers[0] / numbers[1])
    return 1.0


def _sensible(ratio: float) -> float:
    if abs(ratio - 1) < _SQUARE or not 1 / _LARGEST <= ratio <= _LARGEST:
        return 1.0
    return ratio
