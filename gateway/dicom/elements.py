"""The one walk over a DICOM file: incremental, length-checking, iterative, budgeted; it reads no sockets and no files.

Invariant: any way of cutting the same bytes into `Walk.feed` calls gives the same values, events and verdict.

What is refused: anything cut off (an element, a sequence, a fragment, a deflate stream that does not end), a length that
does not fit into what holds it at a place where nothing tells how to go on, and whatever passes a limit.
What is tolerated, because archives hold it and its meaning is plain: no preamble, no file meta, wrong group lengths, a
transfer syntax that is missing or belied by the first VR, Implicit VR inside Explicit VR, delimiters that end nothing,
delimiters that are missing where the next tag makes it clear, unknown VRs, bytes behind the pixel data.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection

from gateway.dicom.dataset import DataSet
from gateway.dicom.part10 import (
    CODECS,
    DEFLATED,
    DETECT,
    IMPLICIT,
    Buffer,
    Codec,
    codec_of,
    find_start,
    guess_syntax,
    known_syntax,
    looks_explicit,
    uid_text,
)
from gateway.dicom.structure import ITEM, NEVER, PIXELS, ROWS, SYNTAX, UNDEFINED, Event, Limits, Pixels
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError

__all__ = ["ITEM", "PIXELS", "SYNTAX", "UNDEFINED", "Event", "Limits", "Pixels", "Walk"]

LAST = 0x7FDFFFFF
"""No element of the header comes after this tag."""

DEFAULTS = Limits()
PIECE = 64 << 10
"""Bytes that are inflated at a time: what a deflated instance costs in memory."""


class Walk(DataSet):
    """A walk over one file.

    :param wanted: top-level tags whose raw values are kept in `values`; a value longer than ``limits.value_kept`` is refused.
    :param record: keep `events`.
    :param stop_after: `done` becomes true once a top-level tag beyond this one begins, and the rest is not looked at;
    :param needed: unless one of these has not come by then: files whose elements are out of order are read to the pixel data.

    Events are tuples ``(tag, vr, offset, length, depth)``, one an element (file meta included) and one an item:

    - ``offset`` counts from the first byte of the file to the first byte of the value; in a deflated file the data set
      counts as it is after inflating.
    - ``length`` is in bytes, `UNDEFINED` for sequences, items and fragments without one.
    - ``vr`` is what the file says. Implicit VR gets the dictionary's, in its wording (``"US or SS"``), ``LO`` for private
      creators and ``UN`` for the unknown. Sequences are ``SQ`` even where the file says ``UN`` (of undefined length, or
      known to the dictionary as a sequence: PS3.5 6.2.2). An item has ``""``. ``UN`` on a sequence or item of defined
      length means that its content could not be walked: it is one opaque value.
    - ``depth`` is the number of open sequences; an item has the depth of its content.
    - encapsulated pixel data is one event; its fragments are in `pixels`.

    :ivar values: ``{tag: (vr, raw value)}``: what was wanted, and some that the walk needs itself. The first of two equal
        tags counts.
    :ivar syntax: the Transfer Syntax UID of the file meta, or the one that was guessed; "" before it is known.
    :ivar pixels: the pixel data of the top level once it is passed.
    :ivar trailing: bytes after the data set that belong to none.
    :ivar unusual: whether something had to be tolerated.
    :ivar done: see `stop_after`.
    """

    def __init__(
        self,
        *,
        wanted: Collection[int] = (),
        record: bool = False,
        limits: Limits = DEFAULTS,
        stop_after: int | None = None,
        needed: Collection[int] = (),
    ) -> None:
        super().__init__(wanted, record, limits)
        self.position = 0
        self.syntax = ""
        self.done = False
        self._after_tag = NEVER if stop_after is None else stop_after
        self._needed = needed
        self._tail = bytearray()
        self._skip = 0
        self._engine: zlib._Decompress | None = None
        self._inflated = 0
        self._ended = False
        self._final = False
        self._error: InstanceError | None = None
        self._mode = self._detect
        self._need = DETECT
        self._in_data_set = False
        self._before = 0  # elements before the data set

    # -- what is asked -------------------------------------------------------------------------------------------------

    @property
    def implicit(self) -> bool:
        """Whether the top level of the data set has Implicit VR; what the bytes say, not what `syntax` claims."""
        return not self._outer.explicit

    @property
    def little_endian(self) -> bool:
        """The byte order of the top level of the data set."""
        return self._outer.little

    @property
    def charset(self) -> bytes:
        """Raw Specific Character Set (0008,0005), empty where there is none."""
        return self.values.get(0x00080005, ("", b""))[1]

    @property
    def skip(self) -> int:
        """How many of the next bytes of the file need not be seen; pass them by `jump`."""
        return 0 if self._engine or self._caught else self._skip

    def jump(self, count: int) -> None:
        """Passes over `count` bytes of the file without showing them.

        :raises ValueError: for more than `skip`.
        """
        if not 0 <= count <= self.skip:
            raise ValueError(f"jump of {count} bytes where {self.skip} may be passed over")
        self.position += count
        self._base += count
        self._skip -= count

    def feed(self, data: Buffer) -> None:
        """The next bytes of the file; kept only as far as a header or a wanted value is not whole.

        :raises InstanceError: when the file is refused, from then on each time.
        """
        if self._error is not None:
            raise self._error
        self.position += len(data)
        if self.done:
            return
        try:
            self._take(data)
        except InstanceError as error:
            self._error = self._judge(error)
            raise self._error from None

    def finish(self) -> None:
        """The end of the file.

        :raises InstanceError: when anything is cut off, or there was no data set.
        """
        if self.done:
            return
        self._final = True
        self.feed(b"")
        try:
            self._check_end()
        except InstanceError as error:
            self._error = self._judge(error)
            raise self._error from None

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def _consume(self, data: Buffer) -> None:
        """Walks over bytes of the stream (inflated ones, in a deflated data set)."""
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            if self._caught is not None:
                self._gather(data, passed)
            self._base += passed
            if passed == len(data):
                return
            data = memoryview(data)[passed:]
        if self._tail:
            self._tail += data
            data = self._tail
        if len(data) < self._need and not self._final:
            if data is not self._tail:
                self._tail = bytearray(data)
            return
        self._tail = bytearray()
        came_to = self._step(data)
        if came_to > len(data):
            self._skip = came_to - len(data)
        elif came_to < len(data):
            self._tail = bytearray(data[came_to:])
        self._base += len(data) - len(self._tail)

    def _take(self, data: Buffer) -> None:
        """Walks over bytes of the file."""
        engine = self._engine
        if engine is None:
            self._consume(data)
            engine = self._engine
            if engine is None:
                return
            data, self._tail = self._tail, bytearray()  # the file meta ended in these bytes; what follows it is deflated
        view = memoryview(data)
        for start in range(0, len(view) or 1, PIECE):  # zlib copies what it could not take yet
            if not self.done:
                self._inflate(engine, view[start : start + PIECE])

    def _inflate(self, engine: zlib._Decompress, data: Buffer) -> None:
        """Walks over what `data` inflates to, `PIECE` bytes at a time."""
        more = not self._ended
        if self._ended:
            self.trailing += len(data)
            self._consume(b"")
        while more:
            try:
                piece = engine.decompress(data, PIECE)
            except zlib.error:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "the deflated data set is damaged", SYNTAX) from None
            self._inflated += len(piece)
            if self._inflated > self.limits.inflated:
                self._refuse(f"the data set inflates to more than limits.inflated_bytes = {self.limits.inflated}", SYNTAX)
            self._consume(piece)
            data = engine.unconsumed_tail
            more = not (engine.eof or self.done) and (len(piece) == PIECE or len(data) > 0)
        if engine.eof and not self._ended:
            self._ended = True
            self.trailing += len(engine.unused_data)

    # -- the beginning of a file ---------------------------------------------------------------------------------------

    def _detect(self, buffer: Buffer, position: int) -> int:
        """Preamble and magic (PS3.10 7.1)."""
        if len(buffer) < DETECT and not self._final:
            self._need = DETECT
            return position
        start = find_start(buffer[:DETECT])
        if start is None:
            self._refuse("not a DICOM file: no DICM at byte 128, and no data set from the first byte on", None)
        self.unusual = start == 0
        self._mode = self._meta
        return start

    def _meta(self, buffer: Buffer, position: int) -> int:
        """File meta information: group 0002, to its last element whatever its group length says (PS3.10 7.1)."""
        if len(buffer) - position < 8 and not self._final:
            self._need = 8
        elif bytes(buffer[position : position + 2]) == b"\x02\x00":
            self._enter(CODECS[looks_explicit(buffer[position : position + 8]), True], 0x0002FFFF)
        else:
            self._mode = self._begin
            self.unusual = True
        return position

    def _begin(self, buffer: Buffer, position: int) -> int:
        """The first element of the data set, or the first byte of a deflated one."""
        if len(buffer) - position < 8 and not self._final:
            self._need = 8
            return position
        head = bytes(buffer[position : position + 8])
        if head == b"\0\0\0\0\4\0\0\0":  # a command set, Implicit VR always (PS3.7 6.3.1), as dumps of messages have
            self._enter(CODECS[False, True], 0x0000FFFF)
            return position
        self.syntax = uid_text(self.values.get(SYNTAX, ("", b""))[1])
        if self.syntax in DEFLATED and self._engine is None:
            self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
            self._need = 1
            return position
        self.unusual |= not self.syntax
        self.syntax = self.syntax or guess_syntax(head)
        codec = codec_of(self.syntax, head)
        self.unusual |= codec.explicit == (self.syntax == IMPLICIT)
        self._enter(codec, self._after_tag)
        self._in_data_set = True
        self._before = self._count
        return position

    def _enter(self, codec: Codec, stop: int) -> None:
        """Goes on with top-level elements read by `codec`, up to the first tag beyond `stop`."""
        self._outer = self._codec = codec
        self._stop = stop
        self._mode = self._loop(codec)

    def _reached(self, position: int, tag: int) -> int:
        if not self._in_data_set:
            self._mode = self._begin
        elif tag >> 16 == 0xFFFE:  # a stray delimiter, which stands for no place in the order of tags
            return self._delimiter(position, tag)
        elif self._stop < LAST and not all(tag in self.values for tag in self._needed):
            self._stop = LAST
        else:
            self.done = True
            self._mode = self._ignore
        return position

    def _ignore(self, buffer: Buffer, position: int) -> int:
        self._need = 1
        return len(buffer)

    # -- the end of a file ---------------------------------------------------------------------------------------------

    def _check_end(self) -> None:
        """Refuses what is cut off."""
        if self._engine is not None and not self._ended:
            self._refuse("the deflated data set is cut off", SYNTAX)
        if self._skip:
            self._refuse(f"cut off: {self._skip} bytes of its value are missing", self._tag)
        if self._stack:
            tags = [container.tag for container in self._stack if container.tag != ITEM]
            self._refuse("cut off: its end is missing", tags[-1])
        if self._tail:
            self._check_tail()
        if not self._in_data_set or self._count == self._before:
            self._refuse("there is no data set", None)
        if self._only_zeros and self.pixels is None and ROWS in self.values:
            self._refuse("an image without pixel data, followed by zero bytes", None)

    def _check_tail(self) -> None:
        """Fewer bytes than a header at the end: padding, when no tag that may follow begins like that."""
        padding = not any(self._tail) and self._in_data_set
        if not padding or (self.pixels is None and len(self._tail) < 2):
            self._refuse("cut off inside an element", self._tag)
        self._only_zeros = True
        self.trailing += len(self._tail)

    def _judge(self, error: InstanceError) -> InstanceError:
        """What an unreadable data set in an unknown transfer syntax is refused for."""
        if error.reason is not Reason.CANNOT_UNDERSTAND or not self.syntax or known_syntax(self.syntax):
            return error
        why = f"the transfer syntax is not known, and the data set cannot be read as Explicit VR Little Endian: {error.message}"
        return InstanceError(Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, why, SYNTAX)
