"""Elements and items of a data set, stepped over header by header (PS3.5 7.1, 7.5)."""

from __future__ import annotations

import struct
from array import array

from gateway.dicom.fragments import Fragments
from gateway.dicom.part10 import CODECS, Buffer, Codec, looks_explicit
from gateway.dicom.structure import (
    ITEM,
    ITEM_END,
    LENGTHS,
    NEVER,
    OFFSETS,
    OVERRUN,
    PIXELS,
    SEQUENCE_END,
    SWAPPED,
    UNDEFINED,
    Caught,
    Mode,
    Pixels,
)
from gateway.dicom.vrs import BULK, LONG, PLAIN, SHORT, implicit_vr


class DataSet(Fragments):
    """The part of a walk that knows elements, sequences and items."""

    def _loop(self, codec: Codec) -> Mode:
        return self._explicit if codec.explicit else self._implicit

    def _explicit(self, buffer: Buffer, position: int) -> int:
        """Elements with Explicit VR (PS3.5 7.1.2). The loop holds only what every element of every file needs."""
        unpack, short, base, size = self._codec.head.unpack_from, SHORT.get, self._base, len(buffer)
        depth, limit = self._depth, self._limit - base
        stop, special = (NEVER, ()) if self._stack else (self._stop, self._special)
        record, values, kept, add = self._record, self.values, self.limits.value_kept, self.events.append
        tag, count = self._tag, self._count
        try:
            for count in range(self._count, self._budget):
                group, element, raw, length = unpack(buffer, position)
                tag = group << 16 | element
                if tag > stop:
                    self._count, self._tag = count, tag
                    return self._reached(position, tag)
                vr = short(raw)
                if vr is None:
                    self._count, self._tag = count, tag
                    return self._wide(buffer, position, tag, raw)
                start = position + 8
                after = start + length
                if tag in special:
                    if after > size or length > kept:
                        self._count, self._tag = count, tag
                        return self._element(buffer, position, tag, vr, start, length)
                    values.setdefault(tag, (vr, bytes(buffer[start:after])))
                if after > limit:
                    self._count, self._tag = count, tag
                    return self._malformed(position, OVERRUN, tag)
                if record:
                    add((tag, vr, base + start, length, depth))
                position = after
                if after == limit:
                    self._count, self._tag = count + 1, tag
                    return self._close(position)
            self._count, self._tag = self._budget, tag
            return self._spent(position)
        except struct.error:
            self._count, self._tag = count, tag
            return self._more(position, 8)

    def _implicit(self, buffer: Buffer, position: int) -> int:
        """Elements with Implicit VR (PS3.5 7.1.3); the twin of `_explicit`."""
        unpack, known, base, size = self._codec.plain.unpack_from, PLAIN.get, self._base, len(buffer)
        depth, limit = self._depth, self._limit - base
        stop, special = (NEVER, ()) if self._stack else (self._stop, self._special)
        record, values, kept, add = self._record, self.values, self.limits.value_kept, self.events.append
        tag, count = self._tag, self._count
        try:
            for count in range(self._count, self._budget):
                group, element, length = unpack(buffer, position)
                tag = group << 16 | element
                if tag > stop:
                    self._count, self._tag = count, tag
                    return self._reached(position, tag)
                vr = known(tag)
                if vr is None or length == UNDEFINED:
                    self._count, self._tag = count, tag
                    return self._plain(buffer, position, tag)
                start = position + 8
                after = start + length
                if tag in special:
                    if after > size or length > kept:
                        self._count, self._tag = count, tag
                        return self._element(buffer, position, tag, vr, start, length)
                    values.setdefault(tag, (vr, bytes(buffer[start:after])))
                if after > limit:
                    self._count, self._tag = count, tag
                    return self._malformed(position, OVERRUN, tag)
                if record:
                    add((tag, vr, base + start, length, depth))
                position = after
                if after == limit:
                    self._count, self._tag = count + 1, tag
                    return self._close(position)
            self._count, self._tag = self._budget, tag
            return self._spent(position)
        except struct.error:
            self._count, self._tag = count, tag
            return self._more(position, 8)

    def _wide(self, buffer: Buffer, position: int, tag: int, raw: bytes) -> int:
        """One element of `_explicit` whose VR has a four-byte length, or is none at all."""
        vr = LONG.get(raw)
        if vr is not None:
            if len(buffer) - position < 12:
                return self._more(position, 12)
            return self._element(buffer, position, tag, vr, position + 12, self._codec.length.unpack_from(buffer, position + 8)[0])
        if b"AA" <= raw <= b"ZZ":  # a VR of a later edition, or a writer's own: two-byte length, as pydicom has it
            return self._element(buffer, position, tag, "UN", position + 8, self._codec.head.unpack_from(buffer, position)[3])
        return self._plain(buffer, position, tag)

    def _plain(self, buffer: Buffer, position: int, tag: int) -> int:
        """One element without VR: delimiters, and whatever `_implicit` has no quick answer for."""
        length = self._codec.length.unpack_from(buffer, position + 4)[0]
        if self._base + position + 8 > self._limit:
            return self._malformed(position, OVERRUN, tag)
        if tag >> 16 == 0xFFFE:
            return self._delimiter(position, tag)
        if tag == 0 and length == 0 and not self._stack:
            self._only_zeros = True
            self._mode = self._trail
            return position
        return self._element(buffer, position, tag, implicit_vr(tag), position + 8, length)

    def _element(self, buffer: Buffer, position: int, tag: int, vr: str, start: int, length: int) -> int:
        """One element whose header is read; all that the two loops leave to it."""
        self._tag = tag
        after = start + (0 if length == UNDEFINED else length)
        if self._base + after > self._limit:
            return self._malformed(position, OVERRUN, tag)
        special = not self._stack and tag in self._special
        pixels = special and tag in PIXELS
        if not pixels and (vr == "SQ" or (vr == "UN" and (length == UNDEFINED or implicit_vr(tag) == "SQ"))):
            if special:
                self._gather(buffer, position)
                self._caught = Caught(tag, vr, self._base + start, length != UNDEFINED)
            return self._open_sequence(position, tag, start, length)
        if length == UNDEFINED:
            return self._open_fragments(position, tag, vr, start, pixels)
        if pixels:
            self._found(Pixels(tag, vr, self._base + position, self._base + start, length, self._base + after, array("Q"), b""))
        elif special and not self._keep(buffer, position, tag, vr, start, length):
            return position
        if vr in BULK:
            self._bulk += length
        self._count += 1
        self._log(tag, vr, start, length)
        return self._close(after) if self._base + after == self._limit else after

    def _keep(self, buffer: Buffer, position: int, tag: int, vr: str, start: int, length: int) -> bool:
        """Whether a wanted value is kept; False when it is not all there yet."""
        table = tag in (OFFSETS, LENGTHS)  # eight bytes a frame, so its own bound
        name, bound = ("8 * limits.fragments", 8 * self.limits.fragments) if table else ("limits.value_bytes", self.limits.value_kept)
        if length > bound:
            self._refuse(f"a value of {length} bytes is longer than {name} = {bound}", tag)
        if start + length > len(buffer):
            self._need = start + length - position
            return False
        self.values.setdefault(tag, (vr, bytes(buffer[start : start + length])))
        return True

    # -- sequences and items -------------------------------------------------------------------------------------------

    def _open_sequence(self, position: int, tag: int, start: int, length: int) -> int:
        """Enters a sequence (PS3.5 7.5)."""
        if self._depth >= self.limits.depth:
            self._refuse(f"more than limits.depth = {self.limits.depth} sequences inside each other", tag)
        self._count += 1
        self._log(tag, "SQ", start, length)
        if length == 0:
            return self._close(start)
        self._push(self._sequence, self._codec, tag, start, length, self._depth + 1)
        return start

    def _sequence(self, buffer: Buffer, position: int) -> int:
        """Between the items of a sequence (PS3.5 7.5.1)."""
        codec, base, size = self._codec, self._base, len(buffer)
        limit = self._limit - base
        while size - position >= 8:
            group, element, length = codec.plain.unpack_from(buffer, position)
            start = position + 8
            if start > limit:
                return self._malformed(position, OVERRUN, self._tag)
            if group != 0xFFFE or element != 0xE000:
                return self._between(position, group << 16 | element)
            if start + (0 if length == UNDEFINED else length) > limit:
                return self._malformed(position, OVERRUN, ITEM)
            if codec.explicit and size - start < min(length, 6):
                return self._more(position, 8 + min(length, 6))
            self._items += 1
            if self._items > self.limits.items:
                self._refuse(f"more than limits.items = {self.limits.items} sequence items", self._stack[-1].tag)
            self._log(ITEM, "", start, length)
            if length:
                # An item may be Implicit VR inside Explicit VR, never the other way round; pydicom decides alike.
                inner = CODECS[codec.explicit and looks_explicit(buffer[start : start + 6]), codec.little]
                self._push(self._loop(inner), inner, ITEM, start, length, self._depth)
                return start
            position = start
            if position == limit:
                return self._close(position)
        return self._more(position, 8)

    def _between(self, position: int, tag: int) -> int:
        """Something that is not an item where one may begin."""
        top = self._stack[-1]
        if tag == SEQUENCE_END:
            self._stack.pop()
            return self._close(top.limit - self._base if top.bounded else position + 8)
        if tag == ITEM_END:
            return self._stray(position)
        if tag in SWAPPED and not self._codec.little:
            # A sequence of VR UN is Implicit VR Little Endian in any data set (PS3.5 6.2.2 note 2).
            self._codec = CODECS[False, True]
            self._stack[-1] = top._replace(codec=self._codec)
            return position
        return self._malformed(position, "holds something that is not an item", top.tag)

    def _delimiter(self, position: int, tag: int) -> int:
        """A tag of group FFFE among elements."""
        top = self._stack[-1] if self._stack else None
        if top is not None and not top.bounded:
            self._stack.pop()
            if tag == ITEM_END:
                return self._close(position + 8)
            self.unusual = True  # the item was not ended: what follows belongs to its sequence
            return self._close(position)
        if tag == ITEM and top is not None:
            return self._malformed(position, "an item outside of a sequence", tag)
        return self._stray(position)

    def _stray(self, position: int) -> int:
        """A delimiter that ends nothing, or a top-level item that begins nothing: eight bytes to be passed over.

        Some writers leave delimiters behind containers of defined length, some give sequences and items a length of 0 and put
        their content after it.
        """
        self.unusual = True
        self._count += 1
        if self._count > self.limits.elements:
            return self._spent(position)
        return self._close(position + 8)
