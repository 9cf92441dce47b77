"""What is open while a data set is walked: sequences, items, fragments, and how they end (PS3.5 7.5, A.4).

`Structure` is the state of a walk and its stack; `fragments.Fragments` adds pixel data, `dataset.DataSet` elements and items,
`elements.Walk` whole files. Each is the one before it, so that the tight loops find all they need in one object.

1. A *mode* is a method ``(buffer, position) -> position``. It goes as far as it can, then sets another mode, or
   `_need` to the number of bytes without which it cannot go on. A position beyond the buffer is a value being skipped.
2. Containers lie on a stack. One with a defined length ends exactly there; whatever is open inside ends with it.
3. What makes no sense inside a container of defined length costs only that container: it is passed over as one opaque
   value, and its event says ``UN``. Elsewhere it makes the instance unreadable, for nothing tells where to go on.
4. Every header costs a unit of a budget, so no file can make the walk long out of proportion.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, NoReturn

from gateway.dicom.part10 import META, Buffer, Codec
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError

SYNTAX = 0x00020010
UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
OFFSETS = 0x7FE00001
"""Extended Offset Table; (7FE0,0002) holds its lengths."""
LENGTHS = 0x7FE00002
ROWS = 0x00280010

SEQUENCE_ENDS = (b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xff\xfe\xe0\xdd\0\0\0\0")
"""`SEQUENCE_END` and its length in both byte orders."""

SWAPPED = frozenset({0xFEFF00E0, 0xFEFFDDE0})
"""`ITEM` and `SEQUENCE_END` read in the wrong byte order."""

NEVER = 1 << 62
"""An offset that no file reaches."""

OVERRUN = "runs beyond the item or sequence that holds it"

Event = tuple[int, str, int, int, int]
"""Tag, VR, offset of the value, length of the value, number of open sequences around it. See `elements.Walk`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may cost. Real files stay far below; the numbers are those of THREAT_MODEL.md.

    :param elements: element headers; the largest enhanced multi-frames have some 100,000.
    :param items: sequence items; 300,000 empty ones fit into 2.4 MB and block a reader for seconds.
    :param fragments: fragments of encapsulated pixel data, kept as 16 bytes each; a slide of 100,000 x 100,000 has 150,000.
    :param depth: sequences inside each other; structured reports reach about 20.
    :param inflated: bytes that a deflated data set may grow to; deflate packs up to 1 : 1000.
    :param value_kept: bytes of one wanted value; a value with a two-byte length always fits.
    :param header: bytes of headers and of values that are neither bulk data nor opaque.
    """

    elements: int = 200_000
    items: int = 50_000
    fragments: int = 500_000
    depth: int = 64
    inflated: int = 64 << 20
    value_kept: int = 64 << 10
    header: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where the pixel data of the top level lies.

    :param header: offset of the element's first byte.
    :param offset: offset of its value.
    :param length: length of its value, `UNDEFINED` when it is encapsulated (PS3.5 A.4).
    :param end: offset after the element, delimiter included.
    :param fragments: offset and length of each fragment, flat, without the Basic Offset Table.
    :param bot: the value of the Basic Offset Table item, empty where there is none.
    :param extended: value of (7FE0,0001), empty where there is none.
    :param extended_lengths: value of (7FE0,0002), empty where there is none.
    """

    tag: int
    vr: str
    header: int
    offset: int
    length: int
    end: int
    fragments: array[int]
    bot: bytes
    extended: bytes = b""
    extended_lengths: bytes = b""


class Open(NamedTuple):
    """A sequence, an item or a run of fragments that is not finished."""

    mode: Mode
    codec: Codec
    tag: int
    limit: int
    """Offset where it ends at the latest: its own end, or that of what holds it."""
    bounded: bool
    """Whether it has a defined length."""
    depth: int
    events: int
    """How many events there were when it was opened, its own included."""


Mode = Callable[[Buffer, int], int]


class Caught:
    """The raw value of a wanted sequence, gathered while its bytes pass.

    :param start: offset of the value.
    :param bounded: whether the sequence has a defined length.
    :ivar end: offset behind the sequence, its delimiter included; None while it is open.
    """

    def __init__(self, tag: int, vr: str, start: int, bounded: bool) -> None:
        self.tag, self.vr, self.start, self.bounded = tag, vr, start, bounded
        self.end: int | None = None
        self.raw = bytearray()

    def take(self, data: Buffer, base: int, passed: int) -> bool:
        """The next bytes of the stream; whether the value is whole now.

        :param base: offset of the first byte of `data`. :param passed: how many of them are dealt with.
        """
        end = NEVER if self.end is None else self.end
        self.raw += data[self.start + len(self.raw) - base : min(passed, end - base)]
        return self.start + len(self.raw) >= end

    @property
    def value(self) -> tuple[str, bytes]:
        """As it is kept: the items, without the delimiter of an undefined length."""
        ended = not self.bounded and self.raw.endswith(SEQUENCE_ENDS)
        return self.vr, bytes(self.raw[:-8] if ended else self.raw)


@lru_cache(64)
def _special(wanted: frozenset[int]) -> frozenset[int]:
    """Tags at which a walk looks up. Few different ones are wanted, and to make these sets costs a tenth of a small instance's walk."""
    return wanted | PIXELS | {SYNTAX, OFFSETS, LENGTHS, ROWS, 0x00080005}


class Structure:
    """The walk through one data set. `elements.Walk` wraps it for whole files and documents what can be asked."""

    def __init__(self, wanted: Collection[int], record: bool, limits: Limits) -> None:
        self.limits = limits
        self.values: dict[int, tuple[str, bytes]] = {}
        self.events: list[Event] = []
        self.pixels: Pixels | None = None
        self.trailing = 0
        self.unusual = False
        self._record = record
        self._special = _special(frozenset(wanted))
        self._mode: Mode = self._next
        self._outer = self._codec = META  # of the top level, of where the walk is
        self._base = 0  # stream offset of the first byte of the buffer
        self._need = 0
        self._stop = NEVER
        self._stack: list[Open] = []
        self._depth = 0
        self._limit = NEVER
        self._count = 0
        self._budget = limits.elements + 1  # elements after which the loops look up
        self._items = 0
        self._pieces = 0
        self._bulk = 0
        self._tag: int | None = None
        self._fragments: array[int] | None = None
        self._bot: bytes | None = None
        self._pixel_header = (0, "", 0, 0)
        self._only_zeros = False
        self._caught: Caught | None = None

    def _step(self, buffer: Buffer) -> int:
        """Goes as far as the buffer allows; returns the position it came to, which may lie beyond the buffer."""
        position = 0
        self._need = 0
        while not self._need:
            position = self._mode(buffer, position)
        if self._base + position - self._bulk > self.limits.header:
            self._refuse(f"more than limits.header_bytes = {self.limits.header} bytes of header", self._tag)
        if self._caught is not None:
            self._gather(buffer, position)
        return position

    def _gather(self, data: Buffer, passed: int) -> None:
        """Keeps what passes of a wanted sequence; one that is too long is not worth refusing the instance."""
        caught = self._caught
        if caught is None:
            return
        whole = caught.take(data, self._base, passed)
        too_long = len(caught.raw) > self.limits.value_kept
        if whole and not too_long:
            self.values.setdefault(caught.tag, caught.value)
        if whole or too_long:
            self._caught = None

    def _log(self, tag: int, vr: str, start: int, length: int) -> None:
        if self._record:
            self.events.append((tag, vr, self._base + start, length, self._depth))

    # -- the stack -----------------------------------------------------------------------------------------------------

    def _push(self, mode: Mode, codec: Codec, tag: int, start: int, length: int, depth: int) -> None:
        bounded = length != UNDEFINED
        limit = self._base + start + length if bounded else self._limit
        self._stack.append(Open(mode, codec, tag, limit, bounded, depth, len(self.events)))
        self._mode, self._codec, self._limit, self._depth = mode, codec, limit, depth
        self._budget = self.limits.elements + 1

    def _close(self, position: int) -> int:
        """Ends every container that ends here, and goes on with what held it."""
        stack = self._stack
        while stack and stack[-1].limit <= self._base + position:
            stack.pop()
        if stack:
            top = stack[-1]
            self._mode, self._codec, self._limit, self._depth = top.mode, top.codec, top.limit, top.depth
        else:
            self._codec, self._limit, self._depth = self._outer, NEVER, 0
            if self._caught is not None and self._caught.end is None:
                self._caught.end = self._base + position
            self._mode = self._next
        return position

    def _malformed(self, position: int, why: str, tag: int | None) -> int:
        """Passes over the innermost container of defined length, or refuses the instance when there is none."""
        stack = self._stack
        while stack and not stack[-1].bounded:
            stack.pop()
        if not stack:
            self._refuse(f"{why}, at byte {self._base + position}", tag)
        top = stack.pop()
        if self._record:
            del self.events[top.events :]
            found, _, offset, length, depth = self.events[-1]
            self.events[-1] = (found, "UN", offset, length, depth)
        self.unusual = True
        self._fragments = None
        self._bulk += top.limit - self._base - position
        return self._close(top.limit - self._base)

    def _more(self, position: int, need: int) -> int:
        """Waits for `need` bytes from `position`, unless the container ends before them."""
        if self._base + position + need > self._limit:
            return self._malformed(position, "ends in the middle of a header", self._tag)
        self._need = need
        return position

    def _refuse(self, why: str, tag: int | None) -> NoReturn:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, why, tag)

    # -- what the floors above add -------------------------------------------------------------------------------------

    def _loop(self, codec: Codec) -> Mode:
        """The mode for elements that are read by `codec`."""
        raise NotImplementedError

    def _next(self, buffer: Buffer, position: int) -> int:
        """Chooses the mode for what follows at the top level."""
        raise NotImplementedError

    def _reached(self, position: int, tag: int) -> int:
        """A top-level tag beyond `_stop` begins."""
        raise NotImplementedError
