"""What compressed frames say of themselves, read before anything is decoded: a few bytes, no memory, no codec.

`check` holds that against the data set and the limits. A codestream of another size than Rows and Columns is refused, naming both:
a decoder would give pixels that nobody can place, or take memory that the header never announced. Fewer or more bits than
Bits Stored are usual in files of the real world and harmless, as long as they fit into Bits Allocated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from gateway.pixels import boxes, syntaxes
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_JPEG_LS_FRAME = 0xF7
_LOSSLESS_FRAME = 0xC3
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _ADOBE, _JFIF = 0xDA, 0xEE, 0xE0

_END = b"\xff\xd9"
"""Of JPEG, JPEG-LS and JPEG 2000, and never inside of their data. Some decoders make up what is missing, as if it were seen."""

_JP2 = b"\0\0\0\x0cjP  "
_SIZ = b"\xff\x4f\xff\x51"
_JXL, _JXL_BOXED = b"\xff\x0a", b"\0\0\0\x0cJXL "
_RLE_HEADER = struct.Struct("<16L")
_LONGEST_RUN = 64
"""Bytes that a byte of RLE makes at most: two of them repeat one 128 times (PS3.5 G.3.1)."""


@dataclass(frozen=True, slots=True)
class Codestream:
    """The header of a compressed frame.

    :param kind: ``JPEG``, ``JPEG-LS``, ``JPEG 2000`` (HTJ2K too) or ``JPEG XL``.
    :param samples: 0 for JPEG XL, which says it too far behind. :param precision: bits of a sample; 0 for JPEG XL.
    :param signed: JPEG 2000 only.
    :param lossless: JPEG's predictive process (SOF3). :param least: bytes that a whole frame takes at the very least.
    :param transform: of an Adobe marker (0 RGB, 1 YCbCr), None without one. :param jfif: whether there is a JFIF marker.
    :param identifiers: of JPEG's components.
    """

    kind: str
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    lossless: bool = False
    least: int = 0
    transform: int | None = None
    jfif: bool = False
    identifiers: bytes = b""


def check(data: bytes, image: Image, frame_bytes: int) -> Codestream | None:
    """That a frame may be decoded.

    :param data: a compressed frame. :param image: what the data set says. :param frame_bytes: limit of a decoded frame.
    :return: its header; None for RLE, deflated and uncompressed frames, which say nothing of the image.
    :raises Undoable: for a frame that is too large, is not what its transfer syntax says, or contradicts the data set.
    """
    check_size(image, frame_bytes)
    if image.syntax in syntaxes.UNCOMPRESSED | {syntaxes.DEFLATED_FRAMES}:
        return None
    if image.syntax == syntaxes.RLE:
        segments(data, image)
        return None
    found = header(data)
    if found is None or found.kind != _expected(image.syntax):
        raise Undoable(f"a frame is not the {_expected(image.syntax)} that transfer syntax {image.syntax} says")
    _compare(found, image, len(data))
    if found.kind != "JPEG XL" and data.rfind(_END) < 0:
        raise Undoable(f"a frame of transfer syntax {image.syntax} is cut: the end of its {found.kind} codestream is missing")
    return found


def check_size(image: Image, frame_bytes: int) -> None:
    """That a decoded frame stays within the limit.

    :raises Undoable: naming both sizes.
    """
    if image.frame_bytes > frame_bytes:
        raise Undoable(f"a frame of {_shape(image)} takes {image.frame_bytes} bytes decoded: more than the {frame_bytes} allowed here")


def _compare(found: Codestream, image: Image, length: int) -> None:
    found = replace(found, samples=image.samples) if found.kind == "JPEG XL" else found
    if (found.rows, found.columns, found.samples) != (image.rows, image.columns, image.samples):
        raise Undoable(f"a frame of transfer syntax {image.syntax} holds {_shape(found)}, and its data set says {_shape(image)}")
    if found.precision > max(image.allocated, 8):
        raise Undoable(f"a frame of transfer syntax {image.syntax} has {found.precision} bits a sample for {image.allocated} allocated")
    if found.least > length:
        raise Undoable(f"a frame of transfer syntax {image.syntax} is cut: {length} bytes for {_shape(image)}")


def _shape(what: Image | Codestream) -> str:
    return f"{what.rows} x {what.columns} pixels of {what.samples} sample{'s' * (what.samples != 1)}"


def _expected(syntax: str) -> str:
    if syntax in syntaxes.JPEG_DCT | syntaxes.JPEG_PREDICTED:
        return "JPEG"
    if syntax in syntaxes.JPEG_LS_ALL:
        return "JPEG-LS"
    return "JPEG XL" if syntax in syntaxes.JPEG_XL_ALL else "JPEG 2000"


def header(data: bytes) -> Codestream | None:
    """What a codestream says of itself, by its first bytes; None when it is none of those known or ends too early."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith((_JP2, _SIZ)):
            return _jpeg_2000(data)
        if data.startswith((_JXL, _JXL_BOXED)):
            return _jpeg_xl(data)
    except (struct.error, IndexError):
        pass
    return None


# -- JPEG (ISO/IEC 10918-1 B.2) and JPEG-LS (14495-1 C.2) --------------------------------------------------------------


def _jpeg(data: bytes) -> Codestream | None:
    transform, jfif = None, False
    for marker, start, length in _segments_of_jpeg(data):
        if marker == _ADOBE and length >= 12 and data.startswith(b"Adobe", start):
            transform = data[start + 11]
        elif marker == _JFIF and data.startswith(b"JFIF\0", start):
            jfif = True
        elif marker == _JPEG_LS_FRAME or marker in _JPEG_FRAMES:
            return _frame_header(data, marker, start, transform, jfif)
        elif marker == _START_OF_SCAN:
            return None
    return None


def _segments_of_jpeg(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start of its content and length of that, for each segment."""
    position = 2
    while position < len(data):
        if data[position] != 0xFF:
            return
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte (B.1.1.2)
            position += 1
        elif marker in _BARE_MARKERS:
            position += 2
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            yield marker, position + 4, length - 2
            position += 2 + max(length, 2)


def _frame_header(data: bytes, marker: int, start: int, transform: int | None, jfif: bool) -> Codestream:
    precision, rows, columns, samples = struct.unpack_from(">BHHB", data, start)
    components = data[start + 6 : start + 6 + 3 * samples]
    return Codestream(
        "JPEG-LS" if marker == _JPEG_LS_FRAME else "JPEG",
        rows,
        columns,
        samples,
        precision,
        lossless=marker == _LOSSLESS_FRAME,
        least=_least(marker, rows * columns, samples),
        transform=transform,
        jfif=jfif,
        identifiers=components[::3],
    )


def _least(marker: int, pixels: int, samples: int) -> int:
    """Huffman codes have at least one bit: one a sample, or one a block of 64."""
    if marker == _LOSSLESS_FRAME:
        return pixels * samples // 8
    return pixels // 64 // 8 if marker in _HUFFMAN_FRAMES else 0


# -- JPEG 2000 (ISO/IEC 15444-1 A.5.1 and I.4) -------------------------------------------------------------------------


def _jpeg_2000(data: bytes) -> Codestream | None:
    start = _content(data, b"jp2c") if data.startswith(_JP2) else 0
    if start is None or not data.startswith(_SIZ, start):
        return None
    right, bottom, left, top = struct.unpack_from(">4L", data, start + 8)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    components = data[start + 42 : start + 42 + 3 * samples]
    depth = components[0]
    return Codestream(
        "JPEG 2000",
        bottom - top,
        right - left,
        samples,
        max(component & 0x7F for component in components[::3]) + 1,
        signed=bool(depth & 0x80),
    )


def _content(data: bytes, name: bytes) -> int | None:
    box = boxes.find(data, name)
    return None if box is None else box.start


# -- JPEG XL (ISO/IEC 18181-1 D.2 and D.3) -----------------------------------------------------------------------------


def _jpeg_xl(data: bytes) -> Codestream | None:
    start: int | None = 0
    if data.startswith(_JXL_BOXED):
        start = _content(data, b"jxlc")
        if start is None:
            start = _content(data, b"jxlp")
            start = None if start is None else start + 4  # its number
    if start is None or not data.startswith(_JXL, start):
        return None
    bits = _Bits(data[start + 2 : start + 64])
    rows, columns = _size(bits)
    return Codestream("JPEG XL", rows, columns, 0, 0)


class _Bits:
    """Bits from the least significant one of the first byte on."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise IndexError
        taken = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        return taken

    def choice(self, *options: tuple[int, int]) -> int:
        """U32: an offset and a number of bits to be added, one pair of four."""
        offset, count = options[self.take(2)]
        return offset + self.take(count)


_SIDE = ((1, 9), (1, 13), (1, 18), (1, 30))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def _size(bits: _Bits) -> tuple[int, int]:
    """SizeHeader: rows and columns."""
    small = bits.take(1)
    rows = 8 * (bits.take(5) + 1) if small else bits.choice(*_SIDE)
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = _RATIOS[ratio - 1]
        return rows, rows * numerator // denominator
    return rows, 8 * (bits.take(5) + 1) if small else bits.choice(*_SIDE)


# -- RLE (PS3.5 G.3 and G.5) -------------------------------------------------------------------------------------------


def segments(data: bytes, image: Image) -> list[tuple[int, int]]:
    """Start and end of each segment of a frame.

    :raises Undoable: when they are not as many as a pixel has bytes, lie outside of the frame, or are too short for its rows.
    """
    expected = max(image.samples * image.allocated // 8, 1)
    if len(data) < _RLE_HEADER.size:
        raise Undoable(f"a frame of transfer syntax {image.syntax} has no RLE header")
    count, *offsets = _RLE_HEADER.unpack_from(data)
    if count != expected or not 0 < count <= 15:
        raise Undoable(f"a frame of transfer syntax {image.syntax} has {count} segments; {_shape(image)} have {expected}")
    starts = [*offsets[:count], len(data)]
    found = list(pairwise(starts))
    if any(not _RLE_HEADER.size <= start <= end for start, end in found):
        raise Undoable(f"a frame of transfer syntax {image.syntax} has segments outside of itself")
    if any(_LONGEST_RUN * (end - start) < image.frame_bytes // expected for start, end in found):
        raise Undoable(f"a frame of transfer syntax {image.syntax} is cut: {len(data)} bytes for {_shape(image)}")
    return found
