"""What is still to be done for an instance in another transfer syntax, as the gateway sees it after the first job.

Damaged data may have taken over the process that did it, so nothing that it told is believed unchecked: sizes add up, frames lie within
the instance, native frames have the length that was announced.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.dicom.frames import FrameTable
from gateway.errors import NotFound
from gateway.pixels import syntaxes
from gateway.pixels.conversion import converted
from gateway.pixels.image import Image
from gateway.pixels.instances import NUMBERS, Begin, Further
from gateway.pixels.recoding import Recoding
from gateway.pixels.work import Fact, Input, NotDrawable, Region, Result, Undoable

TABLE = 64 << 20
"""Bytes of a frame table at most; that of a slide of 150,000 fragments has 600 KB."""


class Sizes(NamedTuple):
    """Bytes up to the pixels, of the first pixels, behind all pixels; and how many frames were done."""

    head: int
    pixels: int
    tail: int
    done: int


@dataclass(frozen=True, slots=True)
class Plan:
    """:param result: of `Begin`.
    :param recoding: None where there are no pixels. :param table: where the frames lie.
    """

    result: Result
    sizes: Sizes
    recoding: Recoding | None
    table: FrameTable

    @classmethod
    def of(cls, result: Result, begin: Begin) -> Plan | None:
        """None where the instance is stored in the wanted transfer syntax after all.

        :raises NotDrawable: when the process told nonsense.
        """
        if result.facts.get("as_stored") is True:
            return None
        sizes = Sizes(*_integers(result.facts, "sizes", 3), *_integers(result.facts, "done", 1))
        told = sum(sizes[:3])
        if min(sizes) < 0 or told > result.length:
            raise _nonsense()
        if "image" not in result.facts:
            return cls(result, sizes, None, FrameTable(b""))
        try:
            before = _heard(result.facts)
            recoding = Recoding(before, converted(before, begin.target), begin.quality, begin.frame_bytes)
            table = FrameTable.from_bytes(_read(result, told))
        except (Undoable, ValueError, struct.error):
            raise _nonsense() from None
        if recoding.native and sizes.pixels != recoding.length(sizes.done):
            raise _nonsense()
        return cls(result, sizes, recoding, table)

    @property
    def finished(self) -> bool:
        """Whether there are no frames left."""
        return self.recoding is None or self.sizes.done >= self.recoding.after.frames

    @property
    def length(self) -> int | None:
        """Bytes of the new file, None where nobody knows yet."""
        if self.recoding is None or self.finished:
            return sum(self.sizes[:3])
        if not self.recoding.native:
            return None
        return self.sizes.head + self.recoding.length(self.recoding.after.frames) + self.sizes.tail

    @property
    def beginning(self) -> bytes | Region:
        """The new file as far as it is made, all of it when it is finished. Regions are as those of `Result.region`."""
        head, pixels, tail, _ = self.sizes
        return self.result.region(0, head + pixels + (tail if self.finished else 0))

    @property
    def ending(self) -> bytes | Region:
        """What comes behind the last frame."""
        return self.result.region(self.sizes.head + self.sizes.pixels, self.sizes.tail)

    def jobs(self, whole: Region) -> Iterator[tuple[Further, list[Input]]]:
        """Work and inputs for all other frames, in order.

        :param whole: the instance. :raises NotDrawable: when its frames are not where they were said to be.
        """
        first = self.sizes.done + 1
        while self.recoding is not None and first <= self.recoding.after.frames:
            count = self.recoding.count(first)
            if self.recoding.before.syntax in syntaxes.NATIVE:
                yield Further(self.recoding, self.table.to_bytes(), first, count), [[whole]]
            else:
                yield Further(self.recoding, b"", first, count), [self._frame(whole, first + more) for more in range(count)]
            first += count

    def _frame(self, whole: Region, number: int) -> Input:
        try:
            spans = self.table.spans(number)
        except (IndexError, NotFound, struct.error):
            raise _nonsense() from None
        if any(offset < 0 or not 0 <= length <= whole.length - offset for offset, length in spans):
            raise _nonsense()
        return [Region(whole.descriptor, whole.offset + offset, length) for offset, length in spans]


def check(further: Further, result: Result) -> None:
    """:raises NotDrawable: when more frames have not the length that was announced for them."""
    if further.recoding.native and result.length != further.recoding.length(further.count):
        raise _nonsense()


def _read(result: Result, offset: int) -> bytes:
    """The frame table, which lies in memory, so that reading it hardly takes time."""
    if result.length - offset > TABLE:
        raise _nonsense()
    part = result.region(offset)
    if isinstance(part, bytes):
        return part
    try:
        return os.pread(part.descriptor, part.length, part.offset)
    finally:
        os.close(part.descriptor)


def _heard(facts: Mapping[str, Fact]) -> Image:
    """:raises NotDrawable: :raises ValueError: when it is no image."""
    rows, columns, samples, planar, allocated, stored, high, signed, frames, floating = _integers(facts, "image", len(NUMBERS))
    words = facts.get("words")
    if not isinstance(words, list) or not min(rows, columns, samples, allocated, frames) > 0:
        raise ValueError
    syntax, photometric = map(str, words)
    return Image(syntax, rows, columns, samples, photometric, bool(planar), allocated, stored, high, bool(signed), frames, bool(floating))


def _integers(facts: Mapping[str, Fact], name: str, count: int) -> list[int]:
    """:raises NotDrawable: when a fact is not that many whole numbers."""
    found = facts.get(name)
    values = [one for one in (found if isinstance(found, list) else [found]) if type(one) is int]
    if len(values) != count:
        raise _nonsense()
    return values


def _nonsense() -> NotDrawable:
    return NotDrawable("what the decoder told of the instance does not hold together")
