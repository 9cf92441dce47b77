"""Sequences that arrive as one value: their content walked on its own."""

from __future__ import annotations

from struct import pack

from gateway.dicom.elements import Walk
from gateway.dicom.part10 import BIG_ENDIAN, EXPLICIT, IMPLICIT
from gateway.dicom.structure import UNDEFINED, Event
from gateway.errors import InstanceError

# Any sequence of the dictionary can hold the content; this one is the first in most headers: Referenced Image Sequence.
_GROUP, _ELEMENT = 0x0008, 0x1140


def items_inside(raw: bytes, offset: int = 0, depth: int = 0, *, explicit: bool = False, little: bool = True) -> list[Event] | None:
    """The events of the items that a sequence's value holds, None when the bytes are not items and nothing else.

    :param raw: the value of the sequence, without its own delimiter.
    :param offset: what is added to all offsets: where `raw` stands in the file.
    :param depth: of the sequence itself.
    """
    head = _head(explicit, little)
    walk = Walk(record=True)
    try:
        walk.feed(head)
        walk.feed(raw)
        walk.feed(pack("<HHL" if little else ">HHL", 0xFFFE, 0xE0DD, 0))
        walk.finish()
    except InstanceError:
        return None
    shift = offset - len(head)
    first = next(index for index, event in enumerate(walk.events) if event[0] == _GROUP << 16 | _ELEMENT) + 1
    return [(tag, vr, start + shift, length, at + depth) for tag, vr, start, length, at in walk.events[first:]]


def _head(explicit: bool, little: bool) -> bytes:
    """A file up to the value of its only element, a sequence of undefined length."""
    syntax = (EXPLICIT if little else BIG_ENDIAN) if explicit else IMPLICIT
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    order = "<" if little else ">"
    tag = pack(order + "HH", _GROUP, _ELEMENT)
    header = pack(order + "4s2s2xL", tag, b"SQ", UNDEFINED) if explicit else pack(order + "4sL", tag, UNDEFINED)
    return bytes(128) + b"DICM" + pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid + header
