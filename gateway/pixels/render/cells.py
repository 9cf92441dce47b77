"""Cells become values: Bits Stored, High Bit and sign (PS3.3 C.7.6.3.1), each value once where there are fewer of them than pixels.

All maths of the grey pipeline is done on `Levels.values`. For 8 and 16 bits that is a table over all values that a cell can have, and
the pixels are looked up in what becomes of it at the end; for 32 bits and floating point it is the pixels themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.image import Image
from gateway.pixels.native import values

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """The stored values of a frame.

    :param values: of each table entry, or of each pixel.
    :param index: the table entry of each pixel; None where `values` are the pixels.
    :param step: from one value to the next: 1, or 0 for floating-point numbers.
    """

    values: Floats
    index: NDArray[Any] | None = None
    step: float = 1.0

    def pixels(self, results: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What became of `values`, pixel by pixel."""
        return results if self.index is None else np.take(results, self.index, axis=0)

    @cached_property
    def counts(self) -> NDArray[np.int64] | None:
        """How many pixels have each table entry, of large frames in every n-th pixel; None without a table."""
        if self.index is None:
            return None
        sample = self.index.reshape(-1)[:: 1 + self.index.size // _SAMPLE]
        return np.bincount(sample, minlength=self.values.size)


_SAMPLE = 1 << 20
"""Pixels that are enough to know how bright a picture is."""


def levels(array: NDArray[Any], image: Image) -> Levels:
    """The values of a decoded frame of one sample a pixel; not a number is the smallest there is.

    :param array: integers or floating-point numbers, as they are in the cells.
    """
    size = array.dtype.itemsize
    if array.dtype.kind == "f":
        return Levels(np.nan_to_num(array, nan=-np.inf, posinf=np.inf, neginf=-np.inf).astype(np.float64), step=0.0)
    fits = size * 8 == image.allocated
    if size > 2:
        return Levels((values(array, image) if fits else array).astype(np.float64))
    index = np.ascontiguousarray(array).view(f"u{size}")
    codes = np.arange(1 << 8 * size, dtype=index.dtype).view(array.dtype)
    return Levels((values(codes, image) if fits else codes).astype(np.float64), index)
