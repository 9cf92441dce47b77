"""A data set written as Explicit VR Little Endian, element by element (PS3.5 A.2).

Sequences and items get undefined lengths, so nothing has to be known of what comes. Values keep their meaning; they are
padded to an even length. Group lengths are dropped. What no dictionary knows is UN, whose value is little endian by
definition (PS3.5 6.2.2), and so is a value that the length field of its VR cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack_from

from gateway.dicom.byteorder import WORD, swapped
from gateway.dicom.resolve import LUT_DESCRIPTOR, PIXEL_REPRESENTATION, chosen_vr
from gateway.dicom.structure import PIXELS, UNDEFINED
from gateway.dicom.vrs import LONG

BITS_ALLOCATED = 0x00280100

_FACTS = frozenset({PIXEL_REPRESENTATION, LUT_DESCRIPTOR, BITS_ALLOCATED})
_ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
_ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"

_LONG = frozenset(LONG.values())
_SPACE = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"})


def padding(vr: str, length: int) -> bytes:
    """What makes a value of `length` bytes even: a space for text, a NUL for UIDs and binary values (PS3.5 6.2)."""
    if length % 2 == 0:
        return b""
    return b" " if vr in _SPACE else b"\0"


def element_header(tag: int, vr: str, length: int) -> bytes:
    """Tag, VR and length (PS3.5 7.1.2); a VR with a length of two bytes becomes UN when `length` does not fit."""
    if vr in _LONG or length > 0xFFFF:
        name = vr.encode() if vr in _LONG else b"UN"
        return pack("<HH2s2xL", tag >> 16, tag & 0xFFFF, name, length)
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def word_size(vr: str, bits: int) -> int:
    """How many bytes of pixel data change their order together.

    :param bits: Bits Allocated (0028,0100). Pixels of 32 and 64 bits are swapped as a whole, as pydicom and GDCM have it;
        DCMTK swaps words of 16 bits. Files of the first kind exist, and the standard has retired the matter.
    """
    return bits // 8 if vr == "OW" and bits in (32, 64) else WORD.get(vr, 1)


class _Set:
    """A data set that is being written: the root, or an item.

    :param little: the byte order that its numbers come in.
    """

    __slots__ = ("facts", "little", "little_items", "open")

    def __init__(self, little: bool) -> None:
        self.little = little
        self.facts: dict[int, int] = {}  # numbers that decide on other elements
        self.open = False  # whether a sequence in it has no end yet
        self.little_items = little


class Writer:
    """Writes one data set; what is written gathers in `out`.

    Elements come in the order of the file. `depth` is the number of sequences around the element.

    :param little: the byte order that values come in.
    :param later: looks up the first number of an element of the root that is still to come.
    """

    def __init__(self, little: bool, later: Callable[[int], int | None]) -> None:
        self.out: list[bytes] = []
        self._sets = [_Set(little)]
        self._later = later

    def sequence(self, tag: int, depth: int, little: bool) -> None:
        """Begins a sequence whose items have that byte order."""
        current = self._leave(depth)
        current.open, current.little_items = True, little
        self.out.append(element_header(tag, "SQ", UNDEFINED))

    def item(self, depth: int) -> None:
        """Begins an item; `depth` is that of its content."""
        self._close(depth)
        self._sets.append(_Set(self._sets[-1].little_items))
        self.out.append(_ITEM)

    def value(self, tag: int, vr: str, depth: int, raw: bytes) -> None:
        """A whole element."""
        word, fill = self.header(tag, vr, depth, len(raw))
        self.out.append(swapped(raw, word) + fill)
        current = self._sets[-1]
        if tag in _FACTS and len(raw) >= 2:
            current.facts[tag] = unpack_from("<H" if current.little else ">H", raw)[0]

    def header(self, tag: int, vr: str, depth: int, length: int) -> tuple[int, bytes]:
        """The header of an element whose value the caller brings.

        :returns: the size of the words in which to swap the value, and what to put behind it.
        """
        current = self._leave(depth)
        vr = chosen_vr(vr, self._find)
        fill = padding(vr, length)
        self.out.append(element_header(tag, vr, length + len(fill)))
        if current.little:
            return 1, fill
        pixels = tag in PIXELS and depth == 0
        return word_size(vr, current.facts.get(BITS_ALLOCATED, 16)) if pixels else WORD.get(vr, 1), fill

    def end(self) -> None:
        """Ends all that is open."""
        self._leave(0)

    def _leave(self, depth: int) -> _Set:
        """The data set at `depth`, with everything below it ended."""
        self._close(depth + 1)
        current = self._sets[-1]
        if current.open:
            current.open = False
            self.out.append(_SEQUENCE_END)
        return current

    def _close(self, count: int) -> None:
        """Ends items until `count` data sets are left."""
        while len(self._sets) > count:
            if self._sets.pop().open:
                self.out.append(_SEQUENCE_END)
            self.out.append(_ITEM_END)

    def _find(self, tag: int) -> int | None:
        for current in reversed(self._sets):
            if tag in current.facts:
                return current.facts[tag]
        return self._later(tag)
