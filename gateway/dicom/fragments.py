"""Pixel data in fragments, and what may follow the pixel data (PS3.5 A.4, 7.8.1)."""

from __future__ import annotations

from array import array
from dataclasses import replace

from gateway.dicom.part10 import Buffer
from gateway.dicom.structure import (
    ITEM_END,
    LENGTHS,
    OFFSETS,
    OVERRUN,
    SEQUENCE_END,
    UNDEFINED,
    Pixels,
    Structure,
)
from gateway.dicom.vrs import LONG, SHORT


class Fragments(Structure):
    """The part of a walk that knows pixel data. After it only elements that may stand there are read; anything else is
    `trailing`: stored, but not understood.
    """

    # -- fragments -----------------------------------------------------------------------------------------------------

    def _open_fragments(self, position: int, tag: int, vr: str, start: int, pixels: bool) -> int:
        """Enters a value in fragments (PS3.5 A.4); only those of the top-level pixel data are remembered."""
        self._count += 1
        self._log(tag, vr, start, UNDEFINED)
        if pixels and self.pixels is None:
            self._fragments = array("Q")
            self._bot = None
            self._pixel_header = (tag, vr, self._base + position, self._base + start)
        self._push(self._run, self._codec, tag, start, UNDEFINED, self._depth)
        return start

    def _run(self, buffer: Buffer, position: int) -> int:
        """Between the fragments; the first one is the Basic Offset Table."""
        unpack, base, size, limit = self._codec.plain.unpack_from, self._base, len(buffer), self._limit - self._base
        fragments = self._fragments
        while size - position >= 8:
            group, element, length = unpack(buffer, position)
            start = position + 8
            if start > limit:
                return self._malformed(position, OVERRUN, self._tag)
            if group != 0xFFFE or element != 0xE000 or length == UNDEFINED:
                return self._end_run(position, group << 16 | element)
            after = start + length
            if after > limit:
                return self._malformed(position, OVERRUN, self._tag)
            if fragments is not None:
                if self._bot is not None:
                    fragments.extend((base + start, length))
                elif length > 4 * self.limits.fragments:
                    self._refuse(f"a Basic Offset Table of {length} bytes is longer than the limit of fragments allows", self._tag)
                elif after > size:
                    return self._more(position, 8 + length)
                else:
                    self._bot = bytes(buffer[start:after])
            self._pieces += 1
            if self._pieces > self.limits.fragments:
                self._refuse(f"more than limits.fragments = {self.limits.fragments} fragments", self._tag)
            self._bulk += length
            position = after
        return self._more(position, 8)

    def _end_run(self, position: int, tag: int) -> int:
        if tag != SEQUENCE_END:
            return self._malformed(position, "holds something that is not a fragment", self._tag)
        if self._fragments is not None:
            name, vr, header, offset = self._pixel_header
            self._found(Pixels(name, vr, header, offset, UNDEFINED, self._base + position + 8, self._fragments, self._bot or b""))
            self._fragments = None
        self._stack.pop()
        return self._close(position + 8)

    # -- after the pixel data ------------------------------------------------------------------------------------------

    def _found(self, pixels: Pixels) -> None:
        """The pixel data is passed; the first wins should there be two."""
        if self.pixels is None:
            tables = (self.values.get(tag, ("", b""))[1] for tag in (OFFSETS, LENGTHS))
            self.pixels = replace(pixels, extended=next(tables), extended_lengths=next(tables))
        self._mode = self._after

    def _next(self, buffer: Buffer, position: int) -> int:
        self._mode = self._loop(self._outer) if self.pixels is None else self._after
        return position

    def _after(self, buffer: Buffer, position: int) -> int:
        """Before each element that follows the pixel data: private groups, signatures, padding, or garbage."""
        if len(buffer) - position < 8:
            self._need = 8
            return position
        group, element, raw, _ = self._codec.head.unpack_from(buffer, position)
        tag = group << 16 | element
        last = self.pixels.tag if self.pixels else 0
        plausible = raw in SHORT or raw in LONG if self._codec.explicit else group & 1 or group in (0x7FE0, 0xFFFA, 0xFFFC)
        if tag in (ITEM_END, SEQUENCE_END) or (tag > last and plausible):
            self._budget = self._count + 1
            self._mode = self._loop(self._codec)
        else:
            self._mode = self._trail
        return position

    def _trail(self, buffer: Buffer, position: int) -> int:
        """Bytes that belong to no data set, to the end of the file."""
        rest = bytes(buffer[position:])
        if self._only_zeros and rest.strip(b"\0"):
            self._refuse(f"zero bytes before byte {self._base + len(buffer)} where an element should begin", None)
        self.trailing += len(rest)
        self._bulk += len(rest)
        self._need = 1
        return len(buffer)

    def _spent(self, position: int) -> int:
        """The element budget is used up: that of the instance, or the one element that `_after` let through."""
        if self._count > self.limits.elements:
            self._refuse(f"more than limits.elements = {self.limits.elements} elements", self._tag)
        self._mode = self._after
        return position
