"""Implicit VR, Big Endian and deflated files become Explicit VR Little Endian ones while their bytes arrive (PS3.5 A.1 to A.5).

Rules:

1. Memory is bounded: values longer than `LARGE` pass in pieces; the rest is held until the first such value, which as a rule
   is the pixel data, or until `HELD` bytes wait. So VRs that hang on other elements are chosen with these at hand.
2. A sequence of defined length that turns out to hold no items becomes one opaque value in the walk; so nothing of it goes
   out before its end has come, unless `HELD` bytes wait. Should it go wrong after that, the transcoder fails.
3. What trails behind the data set is dropped. The preamble and all else in the file meta information stay.
4. A deflated data set is inflated and not walked again: it is Explicit VR Little Endian inside, and was walked when it came.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from struct import unpack_from

from gateway.dicom.byteorder import swapped
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.explicit import Writer, word_size
from gateway.dicom.filemeta import file_meta
from gateway.dicom.part10 import DEFLATED, EXPLICIT, Buffer
from gateway.dicom.structure import ITEM, UNDEFINED, Event
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError

LARGE = 64 << 10
"""Bytes from which a value passes in pieces."""

HELD = 8 << 20
"""Bytes that may wait (rules 1 and 2). Headers are smaller, waveforms in sequences as a rule too."""

PIECE = 64 << 10
"""Bytes that are inflated at a time."""

SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018

_LITTLE_ITEM = b"\xfe\xff\x00\xe0"


def frame_bytes(raw: bytes, vr: str, bits: int, big_endian: bool) -> bytes:
    """Native pixel data in little endian.

    :param raw: a frame, or any other part of the value that begins and ends between two words.
    :param vr: of the pixel data; ``OB`` has no byte order.
    :param bits: Bits Allocated (0028,0100).
    """
    return swapped(raw, word_size(vr, bits)) if big_endian else raw


def inflated(data: bytes, limits: Limits = Limits()) -> bytes:
    """A deflated file with its data set inflated: the bytes that the offsets of a walk over it count in.

    :raises InstanceError: when the walk refuses it.
    """
    walk = Walk(record=True, limits=limits)
    walk.feed(data)
    walk.finish()
    start = meta_end(walk.events)
    return data[:start] + zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], limits.inflated)


def meta_end(events: Sequence[Event]) -> int:
    """Where the data set of a file with meta information begins."""
    return max((offset + length for tag, _, offset, length, _ in events if tag >> 16 == 2), default=0)


class Transcoder:
    """Takes a file in pieces and gives a file in Explicit VR Little Endian in pieces.

    Any way of cutting the same bytes into `feed` calls gives the same output, cut in other places.
    """

    def __init__(self, *, limits: Limits = Limits()) -> None:
        self._walk = Walk(record=True, wanted=(SOP_CLASS, SOP_INSTANCE), limits=limits)
        self._limits = limits
        self._writer: Writer | None = None
        self._held = bytearray()
        self._base = 0  # offset in the file of the first byte held
        self._next = 0  # index of the first event that is not written
        self._scan = 0  # index of the first event that is not known to stay
        self._risky: list[int] = []  # indexes of events that were written all the same (rule 2)
        self._rest = 0  # bytes of a large value that have not come,
        self._word = 1  # how they are swapped,
        self._fill = b""  # and what follows them
        self._engine: zlib._Decompress | None = None
        self._inflated = 0

    def feed(self, data: Buffer) -> list[bytes]:
        """The next bytes of the file in, what can be written of the new one out.

        :raises InstanceError: when the walk refuses the file, or it cannot be written in native form.
        """
        if self._engine is not None:
            return self._inflate(self._engine, data)
        self._walk.feed(data)
        self._held += data
        if self._walk.syntax in DEFLATED:
            return self._begin_inflating()
        self._advance(final=False)
        return self._taken()

    def finish(self) -> list[bytes]:
        """The end of the file in, the rest of the new one out.

        :raises InstanceError: when anything is cut off.
        """
        if self._engine is not None:
            if not self._engine.eof:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "the deflated data set is cut off")
            return []
        self._walk.finish()
        self._advance(final=True)
        self._begin().end()
        return self._taken()

    def _taken(self) -> list[bytes]:
        if self._writer is None:
            return []
        out, self._writer.out = self._writer.out, []
        return out

    # -- when ----------------------------------------------------------------------------------------------------------

    def _advance(self, final: bool) -> None:
        """Writes what rules 1 and 2 allow."""
        events = self._walk.events
        if any(index >= len(events) or events[index][1] == "UN" for index in self._risky):
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "a sequence of defined length holds something that is not an item")
        while self._pass_large() and self._find_large():
            self._write(self._scan)
            self._begin_large(events[self._scan])
            self._scan = self._next = self._scan + 1
        if not self._rest and (final or len(self._held) > HELD):
            self._write(self._scan)

    def _find_large(self) -> bool:
        """Moves `_scan` to the next large value that may be written; False when there is none yet."""
        events = self._walk.events
        for index in range(self._scan, len(events)):
            self._scan = index
            event = events[index]
            if not _holds_items(event):
                if event[3] > LARGE:
                    return True
            elif event[3] != UNDEFINED and event[2] + event[3] > self._walk.position:
                if len(self._held) <= HELD:
                    return False
                self._risky.append(index)
        self._scan = len(events)
        return False

    def _write(self, stop: int) -> None:
        """Writes events up to `stop` as far as their values are there, and lets go of their bytes."""
        writer, end = self._begin(), self._base
        for event in self._walk.events[self._next : stop]:
            tag, vr, offset, length, depth = event
            opens = _holds_items(event)
            if not opens and offset + length > self._walk.position:
                break
            if opens and tag == ITEM:
                writer.item(depth)
            elif opens:
                writer.sequence(tag, depth, self._value(offset, 4) == _LITTLE_ITEM or self._walk.little_endian)
            elif _is_written(event):
                writer.value(tag, vr, depth, self._value(offset, length))
            end = offset if opens else offset + length
            self._next += 1
        self._drop(end)

    def _begin(self) -> Writer:
        """The writer; the beginning of the new file is written first."""
        if self._writer is None:
            self._writer = Writer(self._walk.little_endian, self._later)
            self._writer.out.append(self._head())
        return self._writer

    def _head(self) -> bytes:
        """Preamble and file meta information (PS3.10 7.1)."""
        preamble = bytes(self._held[:128]) if self._held[128:132] == b"DICM" else bytes(128)
        old = {tag: self._value(offset, length) for tag, _, offset, length, _ in self._walk.events if tag >> 16 == 2}
        sop_class, sop = (self._walk.values.get(tag, ("", b""))[1] for tag in (SOP_CLASS, SOP_INSTANCE))
        return preamble + b"DICM" + file_meta(old, EXPLICIT, sop_class, sop)

    def _later(self, tag: int) -> int | None:
        """First number of a root element among the events that wait."""
        for name, _, offset, length, depth in self._walk.events[self._next :]:
            if name == tag and depth == 0 and 2 <= length <= self._walk.position - offset:
                return int(unpack_from("<H" if self._walk.little_endian else ">H", self._held, offset - self._base)[0])
        return None

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def _value(self, offset: int, length: int) -> bytes:
        start = offset - self._base
        return bytes(self._held[start : start + length])

    def _drop(self, end: int) -> None:
        del self._held[: end - self._base]
        self._base = end

    def _begin_large(self, event: Event) -> None:
        tag, vr, offset, length, depth = event
        if length == UNDEFINED or not _is_written(event):
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "a value in fragments in a native transfer syntax", tag)
        self._word, self._fill = self._begin().header(tag, vr, depth, length)
        self._rest = length
        self._drop(offset)

    def _pass_large(self) -> bool:
        """Passes on what is there of a large value; whether nothing of it is missing any more."""
        if not self._rest:
            return True
        count = min(self._rest, len(self._held))
        if count < self._rest:
            count -= count % self._word
        if count:
            self._begin().out.append(swapped(self._value(self._base, count), self._word))
            self._drop(self._base + count)
            self._rest -= count
        if not self._rest and self._fill:
            self._begin().out.append(self._fill)
        return not self._rest

    # -- deflated files ------------------------------------------------------------------------------------------------

    def _begin_inflating(self) -> list[bytes]:
        """A deflated data set is Explicit VR Little Endian inside (PS3.5 A.5): only the file meta information is new."""
        start = meta_end(self._walk.events)
        self._engine = engine = zlib.decompressobj(-zlib.MAX_WBITS)
        head, rest = self._head(), bytes(self._held[start:])
        self._held.clear()
        return [head, *self._inflate(engine, rest)]

    def _inflate(self, engine: zlib._Decompress, data: Buffer) -> list[bytes]:
        out: list[bytes] = []
        more = not engine.eof
        while more:
            try:
                piece = engine.decompress(data, PIECE)
            except zlib.error:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "the deflated data set is damaged") from None
            self._inflated += len(piece)
            if self._inflated > self._limits.inflated:
                limit = self._limits.inflated
                raise InstanceError(Reason.CANNOT_UNDERSTAND, f"the data set inflates to more than limits.inflated_bytes = {limit}")
            if piece:
                out.append(piece)
            data = engine.unconsumed_tail
            more = not engine.eof and (len(piece) == PIECE or len(data) > 0)
        return out


def _holds_items(event: Event) -> bool:
    """Whether it is a sequence or an item.

    :raises InstanceError: for an item that the walk could not enter: nothing tells what its bytes mean.
    """
    if event[0] == ITEM and event[1]:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "the content of a sequence item is not a data set")
    return event[0] == ITEM or event[1] == "SQ"


def _is_written(event: Event) -> bool:
    """Group lengths, the file meta information and commands have no place in the new data set."""
    return event[0] & 0xFFFF != 0 and event[0] >> 16 not in (0, 2)
