"""Tables that map values to values: Modality, VOI and Presentation LUTs (PS3.3 C.11.1.1, C.11.2.1.1, C.11.6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.render.cells import Floats
from gateway.pixels.render.dataset import Attributes

DESCRIPTOR, DATA = "00283002", "00283006"


@dataclass(frozen=True)
class Table:
    """:param first: the value that the first entry stands for. :param entries: what comes out. :param bits: of an entry."""

    first: int
    entries: NDArray[Any]
    bits: int

    def of(self, values: Floats) -> Floats:
        """The entries of values; what lies outside gets the first or last one."""
        at = np.clip(np.rint(values) - self.first, 0, self.entries.size - 1)
        found: Floats = self.entries[at.astype(np.intp)].astype(np.float64)
        return found

    def normal(self, values: Floats) -> Floats:
        """The entries of values as shares of the largest that their bits can hold, 0 to 1."""
        return self.of(values) / float((1 << self.bits) - 1)


def table(item: Attributes | None, *, signed: bool) -> Table | None:
    """The table of an item of a LUT sequence, None where it has none that makes sense.

    :param signed: whether values below zero can go in: then a first value above 32767 is one of them, whatever VR it was given.
    """
    if item is None:
        return None
    described = descriptor(item.decimals(DESCRIPTOR), signed=signed)
    data = item.octets(DATA)
    if described is None or not data:
        return None
    count, first, bits = described
    entries = words(data, count, bits)
    if not entries.size:
        return None
    return Table(first, entries, max(bits, int(entries.max()).bit_length(), 1))


def descriptor(numbers: Sequence[float], *, signed: bool) -> tuple[int, int, int] | None:
    """Entries, first value and bits out of the three numbers of a LUT descriptor; no entries mean 65536 (C.11.1.1)."""
    if len(numbers) != 3:
        return None
    count, first, bits = (int(number) for number in numbers)
    count &= 0xFFFF
    first &= 0xFFFF
    if signed and first > 0x7FFF:
        first -= 0x10000
    return count or 0x10000, first, min(max(bits & 0xFFFF, 1), 16)


def words(data: bytes, count: int, bits: int) -> NDArray[Any]:
    """The entries of a table: 16 bits each, or two in a word where each has 8 (C.7.6.3.1.6). As many as there are, at most `count`."""
    if bits <= 8 and len(data) < 2 * count:
        return np.frombuffer(data, np.uint8)[:count]
    return np.frombuffer(data, "<u2", len(data) // 2)[:count]
