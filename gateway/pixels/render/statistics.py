"""How the values of a picture are distributed, padding left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.render.cells import Floats, Levels

_SAMPLE = 1 << 20


@dataclass(frozen=True)
class Distribution:
    """:param values: ascending. :param below: how many pixels have this value or a smaller one."""

    values: Floats
    below: NDArray[Any]

    def __bool__(self) -> bool:
        return self.values.size > 0

    @property
    def low(self) -> float:
        """The smallest value."""
        return float(self.values[0])

    @property
    def high(self) -> float:
        """The largest value."""
        return float(self.values[-1])

    def at(self, share: float) -> float:
        """The value that a share of the pixels does not exceed, 0 to 1."""
        place = np.searchsorted(self.below, share * float(self.below[-1]))
        return float(self.values[min(int(place), self.values.size - 1)])

    def above(self, value: float) -> Distribution:
        """Of the larger values only."""
        place = int(np.searchsorted(self.values, value, side="right"))
        fewer = self.below[place - 1] if place else 0
        return Distribution(self.values[place:], self.below[place:] - fewer)

    def share(self, low: float, high: float) -> float:
        """How many of the pixels lie between two values, 0 to 1."""
        ends = [int(np.searchsorted(self.values, value, side="right")) for value in (low, high)]
        first, last = (float(self.below[place - 1]) if place else 0.0 for place in ends)
        return (last - first) / float(self.below[-1])


def distribution(levels: Levels, values: Floats, padding: NDArray[np.bool_] | None) -> Distribution:
    """:param values: what `levels.values` became. :param padding: which of them do not count."""
    if levels.counts is None:
        return _of_pixels(values, padding)
    counts = levels.counts if padding is None else np.where(padding, 0, levels.counts)
    there = np.flatnonzero(counts)
    order = there[np.argsort(values[there], kind="stable")]
    return Distribution(values[order], np.cumsum(counts[order]))


def _of_pixels(values: Floats, padding: NDArray[np.bool_] | None) -> Distribution:
    flat = values.reshape(-1) if padding is None else values[~padding]
    sample = flat[:: 1 + flat.size // _SAMPLE]
    ordered = np.sort(sample[np.isfinite(sample)])
    return Distribution(ordered, np.arange(1, ordered.size + 1))
