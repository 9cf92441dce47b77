"""Where each frame of the pixel data lies, found once and kept as a few bytes (PS3.3 C.7.6.3, PS3.5 8 and A.4).

`frame_table` builds a `FrameTable` from a finished walk; the table is its own serialised form, and finds the spans of a frame
without looking at the rest of itself. Native pixel data is a handful of numbers; encapsulated pixel data four bytes a
fragment (eight beyond 4 GiB), since fragments follow each other without gaps.

What instances claim and what is there may differ. A frame exists when all of its bytes are there: a file that declares a
million frames and holds one has one. Where fragments belong to is taken from the first of these that holds together:
Extended Offset Table, Basic Offset Table, one fragment a frame, one frame of all fragments, codestream markers.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.dicom.byteorder import swapped
from gateway.dicom.elements import UNDEFINED, Pixels, Walk
from gateway.dicom.explicit import word_size
from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, known_syntax
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError, NotFound

SAMPLES = 0x00280002
PHOTOMETRIC = 0x00280004
FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS = 0x00280100

TABLE_TAGS = frozenset({SAMPLES, PHOTOMETRIC, FRAMES, ROWS, COLUMNS, BITS})
"""What a walk must want for `frame_table`."""

Read = Callable[[int, int], bytes]
"""``read(offset, length)``: bytes of the stream that the walk's offsets count in."""

_HEADER = struct.Struct("<4sBBBxQQQQ")
_MAGIC = b"FT01"
_NATIVE, _NARROW, _WIDE = range(3)
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))
_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL ")
"""First bytes of a codestream: JPEG and JPEG-LS, JPEG 2000 and HTJ2K, JP2, JPEG XL bare and boxed."""


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The place of each frame.

    :param raw: the serialised table: a header of numbers; for encapsulated pixel data then the position of each fragment, and of
        the end, relative to the first; then, unless each frame is one fragment, the first fragment of each frame, and their
        number; then, if any frame has padding, the bytes of padding of each.
    """

    raw: bytes

    @classmethod
    def from_bytes(cls, raw: bytes) -> FrameTable:
        """The table that `to_bytes` wrote.

        :raises ValueError: when it is none.
        """
        table = cls(raw)
        if len(raw) < _HEADER.size or raw[:4] != _MAGIC or len(raw) != table._size():
            raise ValueError("not a frame table")
        return table

    def to_bytes(self) -> bytes:
        """The table in the form that `from_bytes` reads."""
        return self.raw

    @property
    def frames(self) -> int:
        """How many whole frames there are; not what Number of Frames claims."""
        count: int = self._fields()[4]
        return count

    @property
    def as_stored(self) -> bool:
        """Whether the bytes of a frame's spans are the frame: no bits to be shifted, no bytes to be swapped."""
        _, kind, word, _, _, _, bits, _ = self._fields()
        return kind != _NATIVE or (bits % 8 == 0 and word == 1)

    def spans(self, frame: int) -> list[tuple[int, int]]:
        """Offset and length of each piece of a frame, in order; unless `as_stored`, the bytes around its bits.

        :param frame: from 1.
        :raises NotFound: naming the number of frames.
        """
        _, kind, word, trimmed, count, base, bits, fragments = self._fields()
        if not 1 <= frame <= count:
            raise NotFound(f"frame {frame} is not there: the instance has {count} frame{'s' * (count != 1)}")
        if kind == _NATIVE:
            start, stop = self._cut(frame, bits, word)
            return [(base + start, stop - start)]
        layout = _Layout(kind, count, fragments, trimmed)
        first, behind = layout.fragments_of(self.raw, frame)
        ends = layout.positions(self.raw, first, behind + 1)
        found = [(base + start, stop - start - 8) for start, stop in pairwise(ends)]
        padding = layout.padding_of(self.raw, frame)
        if padding:
            offset, length = found[-1]
            found[-1] = (offset, length - padding)
        return found

    def frame(self, frame: int, read: Read) -> bytes:
        """The bytes of a frame: a codestream as stored, native pixels in little endian order with the first bit first.

        :param frame: from 1.
        :raises NotFound: naming the number of frames.
        """
        pieces = [read(offset, length) for offset, length in self.spans(frame)]
        if self.as_stored:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        _, _, word, _, _, _, bits, _ = self._fields()
        skipped = (frame - 1) * bits - 8 * self._cut(frame, bits, word)[0]
        return extract_bits(swapped(pieces[0], word), skipped, bits)

    def _fields(self) -> tuple[bytes, int, int, int, int, int, int, int]:
        return _HEADER.unpack_from(self.raw)

    @staticmethod
    def _cut(frame: int, bits: int, word: int) -> tuple[int, int]:
        """First byte and byte behind a native frame, in whole words."""
        start = (frame - 1) * bits // 8
        stop = -(-frame * bits // 8)
        return start - start % word, stop + -stop % word

    def _size(self) -> int:
        _, kind, _, trimmed, count, _, _, fragments = self._fields()
        return _HEADER.size if kind == _NATIVE else _Layout(kind, count, fragments, trimmed).size


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in the table of encapsulated pixel data."""

    kind: int
    frames: int
    fragments: int
    trimmed: int

    @property
    def _code(self) -> str:
        return "Q" if self.kind == _WIDE else "L"

    @property
    def _index(self) -> int:
        return _HEADER.size + struct.calcsize(f"<{self.fragments + 1}{self._code}")

    @property
    def _padding(self) -> int:
        return self._index + (0 if self.fragments == self.frames else 4 * (self.frames + 1))

    @property
    def size(self) -> int:
        return self._padding + (self.frames if self.trimmed else 0)

    def fragments_of(self, raw: bytes, frame: int) -> tuple[int, int]:
        """Index of the first fragment of a frame and of that behind its last."""
        if self.fragments == self.frames:
            return frame - 1, frame
        first, behind = struct.unpack_from("<2L", raw, self._index + 4 * (frame - 1))
        return first, behind

    def positions(self, raw: bytes, first: int, behind: int) -> tuple[int, ...]:
        """Positions of the fragments ``[first, behind)``."""
        width = struct.calcsize(f"<{self._code}")
        return struct.unpack_from(f"<{behind - first}{self._code}", raw, _HEADER.size + width * first)

    def padding_of(self, raw: bytes, frame: int) -> int:
        return raw[self._padding + frame - 1] if self.trimmed else 0


def extract_bits(data: bytes, bit_offset: int, bits: int) -> bytes:
    """`bits` bits of `data` from `bit_offset` on; bits count from the least significant one of each byte (PS3.5 8.1.1).

    :return: whole bytes; the bits behind the last one are zero.
    """
    if bit_offset % 8 == 0 and bits % 8 == 0:
        return data[bit_offset // 8 : (bit_offset + bits) // 8]
    number = int.from_bytes(data, "little") >> bit_offset
    return (number & ((1 << bits) - 1)).to_bytes(-(-bits // 8), "little")


def frame_table(walk: Walk, read: Read) -> FrameTable:
    """The frame table of a file.

    :param walk: finished, over the whole file; it wanted `TABLE_TAGS`.
    :param read: only called where fragments tell by their own first bytes alone which frame they belong to.
    :raises InstanceError: when there is no pixel data, or nothing tells where frames begin.
    """
    pixels = walk.pixels
    if pixels is None:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "there is no pixel data")
    declared = max(_number(walk, FRAMES) or 1, 1)
    if pixels.length == UNDEFINED:
        return _encapsulated(pixels, declared, walk.syntax, read)
    return _native(walk, pixels, declared)


# -- native pixel data -------------------------------------------------------------------------------------------------


def _native(walk: Walk, pixels: Pixels, declared: int) -> FrameTable:
    if walk.syntax not in DEFLATED | {IMPLICIT, EXPLICIT, BIG_ENDIAN} and known_syntax(walk.syntax):
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "pixel data of an encapsulated transfer syntax is not in fragments", pixels.tag)
    rows, columns, bits = (_required(walk, tag) for tag in (ROWS, COLUMNS, BITS))
    samples = _number(walk, SAMPLES) or 1
    frame = rows * columns * samples * bits
    if samples == 3 and _text(walk, PHOTOMETRIC).endswith("_422") and 8 * pixels.length < frame * declared:
        frame = frame // 3 * 2  # two pixels share their chrominance (PS3.3 C.7.6.3.1.2); many writers claim it and do not
    if not frame:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "a frame has no pixels", ROWS)
    count = min(declared, 8 * pixels.length // frame)
    word = 1 if walk.little_endian else word_size(pixels.vr, bits)
    return FrameTable(_HEADER.pack(_MAGIC, _NATIVE, word, 0, count, pixels.offset, frame, 0))


def _required(walk: Walk, tag: int) -> int:
    number = _number(walk, tag)
    if number is None:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "pixel data without this attribute cannot be cut into frames", tag)
    return number


def _number(walk: Walk, tag: int) -> int | None:
    """The first value of an integer attribute, None when it is missing or no number."""
    vr, value = walk.values.get(tag, ("", b""))
    if tag != FRAMES and vr != "IS":
        return int.from_bytes(value[:2], "little" if walk.little_endian else "big") if len(value) >= 2 else None
    word = _text(walk, tag).partition("\\")[0].strip()
    return int(word) if word.isdecimal() and len(word) <= 12 else None


def _text(walk: Walk, tag: int) -> str:
    return walk.values.get(tag, ("", b""))[1].decode("ascii", "replace").strip("\0 ")


# -- encapsulated pixel data -------------------------------------------------------------------------------------------


def _encapsulated(pixels: Pixels, declared: int, syntax: str, read: Read) -> FrameTable:
    offsets, lengths = pixels.fragments[::2].tolist(), pixels.fragments[1::2].tolist()
    firsts, padding = _frames_of(pixels, offsets, lengths, 1 if syntax in _VIDEO else declared, read)
    base = offsets[0] if offsets else pixels.offset
    positions = [offset - base for offset in offsets]
    positions.append(positions[-1] + lengths[-1] + 8 if positions else 0)
    kind = _NARROW if positions[-1] < 1 << 32 else _WIDE
    raw = _HEADER.pack(_MAGIC, kind, 1, bool(padding), len(firsts), base, 0, len(offsets))
    raw += struct.pack(f"<{len(positions)}{'L' if kind == _NARROW else 'Q'}", *positions)
    if len(firsts) != len(offsets):
        raw += struct.pack(f"<{len(firsts) + 1}L", *firsts, len(offsets))
    return FrameTable(raw + padding)


def _frames_of(pixels: Pixels, offsets: list[int], lengths: list[int], declared: int, read: Read) -> tuple[Sequence[int], bytes]:
    """Index of the first fragment of each frame, and bytes of padding of each frame (empty for none)."""
    count = len(offsets)
    extended = _table(pixels.extended, "Q", offsets, declared)
    if extended is not None:
        return extended, _padding(pixels.extended_lengths, extended, lengths)
    basic = _table(pixels.bot, "L", offsets, declared)
    if basic is not None:
        return basic, b""
    if count <= declared:
        return range(count), b""
    if declared == 1:
        return [0], b""
    heads = [read(offset, min(length, 8)) for offset, length in zip(offsets, lengths, strict=True)]
    kind = next((start for start in _STARTS if heads[0].startswith(start)), None)
    firsts = [index for index, head in enumerate(heads) if kind is not None and head.startswith(kind)]
    if len(firsts) != declared:
        raise InstanceError(
            Reason.CANNOT_UNDERSTAND, f"nothing tells which of {count} fragments belong to which of {declared} frames", pixels.tag
        )
    return firsts, b""


def _table(raw: bytes, code: str, offsets: list[int], declared: int) -> list[int] | None:
    """First fragments by an offset table, None when it does not hold together with the fragments or the number of frames."""
    width = struct.calcsize(f"<{code}")
    if not raw or len(raw) != width * declared or not offsets:
        return None
    firsts: list[int] = []
    for offset in struct.unpack(f"<{declared}{code}", raw):
        index = bisect_left(offsets, offset + offsets[0])
        if index == len(offsets) or offsets[index] != offset + offsets[0] or (firsts and index <= firsts[-1]):
            return None
        firsts.append(index)
    return firsts if firsts[0] == 0 else None


def _padding(raw: bytes, firsts: list[int], lengths: list[int]) -> bytes:
    """Bytes of padding of each frame by the Extended Offset Table Lengths (PS3.3 C.7.6.3.1.8); empty when they are not right."""
    if len(raw) != 8 * len(firsts):
        return b""
    stored = [sum(lengths[first:behind]) for first, behind in zip(firsts, [*firsts[1:], len(lengths)], strict=True)]
    padding = [have - said for have, said in zip(stored, struct.unpack(f"<{len(firsts)}Q", raw), strict=True)]
    return bytes(padding) if set(padding) == {0, 1} or set(padding) == {1} else b""
