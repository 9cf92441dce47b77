"""Samples of colour become red, green and blue of 8 bits (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from gateway.pixels.image import Image
from gateway.pixels.native import Array, values
from gateway.pixels.render.writing import Pixels
from gateway.pixels.work import Undoable

_AS_IT_IS = frozenset({"RGB", "YBR_RCT", "YBR_ICT", "MONOCHROME1", "MONOCHROME2"})
"""RGB, what codecs have turned into it, and what can only be it since it has three samples."""

_FULL = frozenset({"YBR_FULL", "YBR_FULL_422"})
_PARTIAL = frozenset({"YBR_PARTIAL_422", "YBR_PARTIAL_420"})

_FROM_PARTIAL = np.array([[1.1644, 0.0, 1.5960], [1.1644, -0.3917, -0.8130], [1.1644, 2.0173, 0.0]])
_PARTIAL_BLACK = np.array([16.0, 128.0, 128.0])


def coloured(array: Array, photometric: str, image: Image) -> Pixels:
    """Red, green and blue of a frame of three samples a pixel.

    :param photometric: of the samples; chrominance is at full resolution.
    :raises Undoable: for colour spaces that nobody has any more.
    """
    if array.ndim != 3 or array.shape[2] != 3 or photometric not in _AS_IT_IS | _FULL | _PARTIAL:
        samples = array.shape[2] if array.ndim == 3 else 1
        raise Undoable(f"pictures of Photometric Interpretation {photometric} with {samples} samples a pixel cannot be drawn")
    samples8 = _eight_bits(array, image)
    if photometric in _FULL:
        return np.asarray(Pillow.fromarray(samples8, "YCbCr").convert("RGB"))
    return _from_partial(samples8) if photometric in _PARTIAL else samples8


def _eight_bits(array: Array, image: Image) -> Pixels:
    """The highest 8 bits of samples that have more, and all of the range for those that have fewer."""
    if array.dtype.kind == "f":
        raise Undoable("colour of floating-point numbers cannot be drawn")
    whole = array.dtype.itemsize * 8
    stored = min(image.stored, whole)
    if array.dtype == np.uint8 and stored == 8:
        return np.ascontiguousarray(array)
    samples: NDArray[np.int64] = values(array, image).astype(np.int64)
    if array.dtype.kind == "i":
        samples += 1 << (stored - 1)
    scaled = samples >> (stored - 8) if stored >= 8 else samples * 255 // ((1 << stored) - 1)
    return scaled.clip(0, 255).astype(np.uint8)


def _from_partial(samples: Pixels) -> Pixels:
    """From ITU-R BT.601 levels of 16 to 235."""
    found: NDArray[np.float64] = (samples - _PARTIAL_BLACK) @ _FROM_PARTIAL.T
    return found.round().clip(0, 255).astype(np.uint8)
