"""Sequences that arrive as one value: their content walked on its own."""

from __future__ import annotations

from struct import pack

from gateway.dicom.elements import Walk
from gateway.dicom.structure import UNDEFINED, Event
from gateway.errors import InstanceError

# The content is dressed as a bare data set with one sequence of undefined length, which the walk knows how to read: any
# sequence of the dictionary will do, this one is the first in most headers (Referenced Image Sequence). An undefined length,
# since the walk would pass over a defined one that makes no sense.
_GROUP, _ELEMENT = 0x0008, 0x1140
_END = 0xFFFE, 0xE0DD, 0


def _dress(explicit: bool, order: str) -> tuple[bytes, bytes]:
    tag = pack(order + "HH", _GROUP, _ELEMENT)
    head = pack(order + "4s2s2xL", tag, b"SQ", UNDEFINED) if explicit else pack(order + "4sL", tag, UNDEFINED)
    return head, pack(order + "HHL", *_END)


_DRESS = {(explicit, order == "<"): _dress(explicit, order) for explicit, order in ((False, "<"), (True, "<"), (True, ">"))}


def items_inside(raw: bytes, offset: int = 0, depth: int = 0, *, explicit: bool = False, little: bool = True) -> list[Event] | None:
    """The events of the items that a sequence's value holds, None when the bytes are not items and nothing else.

    :param raw: the value of the sequence, without its own delimiter.
    :param offset: what is added to all offsets: where `raw` stands in the file.
    :param depth: of the sequence itself.
    :param little: Implicit VR is always little endian.
    """
    head, end = _DRESS[explicit, little or not explicit]
    walk = Walk(record=True)
    try:
        walk.feed(head + raw + end)
        walk.finish()
    except InstanceError:
        return None
    shift = offset - len(head)
    return [(tag, vr, start + shift, length, at + depth) for tag, vr, start, length, at in walk.events[1:]]
