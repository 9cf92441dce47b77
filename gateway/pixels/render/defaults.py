"""The window of a picture that says none, as a radiologist would set it. docs/rendering.md has the table."""

from __future__ import annotations

from gateway.dicomweb.rendering import Window
from gateway.pixels.image import Image
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.modality import Modality
from gateway.pixels.render.statistics import Distribution
from gateway.pixels.render.windows import edges, spanning

SOFT_TISSUE = Window(40.0, 400.0)
"""In Hounsfield units."""

_FROM_ZERO = {"PT": 0.999, "NM": 0.999, "RTDOSE": 1.0}
"""Modalities that count something: black is none of it, white the value that this share of the pixels that have any does not exceed."""

_DARKEST, _BRIGHTEST = 0.005, 0.995
_AIR = -500.0
_ENOUGH = 0.05
_BACKGROUND, _SKIN = 0.25, 0.05


def default_window(data: Attributes, image: Image, modality: Modality, found: Distribution, possible: tuple[float, float]) -> Window:
    """A window for values after the Modality LUT.

    :param found: the values of the frame. :param possible: the smallest and largest that there can be.
    """
    if not found or found.low == found.high:
        return spanning(*possible)
    kind = data.text("00080060")
    if kind in _FROM_ZERO and found.high > 0:
        return spanning(0.0, found.above(0.0).at(_FROM_ZERO[kind]))
    if image.stored <= 8 and image.allocated <= 16:
        return spanning(*possible)
    if kind == "CT" and _in_hounsfield(data, modality, found):
        return SOFT_TISSUE
    return _mammogram(found) if kind == "MG" else _between(found)


def _in_hounsfield(data: Attributes, modality: Modality, found: Distribution) -> bool:
    """Whether a CT image is a slice through somebody: air and soft tissue are there, and it says that it counts in them."""
    if not modality.given or modality.kind not in ("", "HU") or "LOCALIZER" in data.texts("00080008"):
        return False
    return found.low <= _AIR and found.share(*edges(SOFT_TISSUE)) >= _ENOUGH


def _mammogram(found: Distribution) -> Window:
    """Around the breast there is air of one value, far below all tissue; from there on, skin would be as white as everything else."""
    if found.share(found.low - 1, found.low) < _BACKGROUND:
        return _between(found)
    tissue = found.above(found.low)
    low, high = tissue.at(_SKIN), tissue.at(_BRIGHTEST)
    return spanning(low, high) if low < high else _between(found)


def _between(found: Distribution) -> Window:
    """From the darkest values to the brightest but for outliers; a black background, however large, does not count for the latter."""
    low, high = found.at(_DARKEST), found.above(found.low).at(_BRIGHTEST)
    return spanning(low, high) if low < high else spanning(found.low, found.high)
