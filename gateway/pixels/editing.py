"""Elements of a little endian data set changed, added and taken out; every other byte stays as it was (PS3.5 7).

A data set that is read and written again comes out tidied: private elements, odd lengths and sequences look different. Here only
the bytes of the elements in question are exchanged. What grows or shrinks inside a sequence changes the lengths of the items and
sequences around it, where these have one. The length of a group that changes is taken out: it is retired (PS3.5 7.2), and wrong
ones do harm.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from struct import pack
from typing import NamedTuple

from gateway.dicom.explicit import element_header, padding
from gateway.dicom.structure import ITEM, UNDEFINED, Event
from gateway.dicom.vrs import LONG, SHORT


class _Edit(NamedTuple):
    """:param order: the tag, for what comes to the same place."""

    first: int
    behind: int
    order: int
    new: bytes


class Editor:
    """Changes of one data set, gathered and then made at once.

    :param data: what the events count in, Explicit VR Little Endian at the top level.
    :param events: of a recorded walk.
    :param start: where the data set begins; what stands before it is left out.
    :param last: the place before which elements are added at the latest; None for the end.
    """

    def __init__(self, data: bytes, events: Sequence[Event], start: int = 0, last: int | None = None) -> None:
        self._data = data
        self._events = events
        self._start = start
        self._last = len(data) if last is None else last
        self._edits: list[_Edit] = []
        self._grown: list[tuple[int, int]] = []  # a place inside a sequence, and how many bytes there are more
        top = [event for event in events if event[4] == 0 and event[2] > start and event[0] != ITEM]
        self._top = {event[0]: event for event in reversed(top)}  # the first of two equal tags counts
        self._firsts = sorted((self._header(event), event[0]) for event in top)

    # -- elements of the top level

    def value(self, tag: int) -> bytes | None:
        """The raw value of a top-level element, None where there is none."""
        event = self._top.get(tag)
        return None if event is None or event[3] == UNDEFINED else self._data[event[2] : event[2] + event[3]]

    def place(self, tag: int) -> int:
        """Where a top-level element would be added: before the first that comes after it."""
        return min(next((first for first, other in self._firsts if other > tag), self._last), self._last)

    def set(self, tag: int, vr: str, value: bytes) -> None:
        """Gives a top-level element a value. One that is there keeps the VR that it was written with."""
        value += padding(vr, len(value))
        if tag in self._top:
            self.change(self._top[tag], value)
        else:
            place = self.place(tag)
            self._edits.append(_Edit(place, place, tag, element_header(tag, vr, len(value)) + value))
            self._forget_length(tag)

    def remove(self, tag: int) -> None:
        """Takes a top-level element out, if it is there."""
        event = self._top.pop(tag, None)
        if event is not None:
            self._cut(event)
            self._forget_length(tag)

    def _forget_length(self, tag: int) -> None:
        self.remove(tag & 0xFFFF0000)

    def _cut(self, event: Event) -> None:
        first = self._header(event)
        behind = event[2] + event[3]
        if event[3] == UNDEFINED:
            behind = next((other for other, _ in self._firsts if other > first), len(self._data))
        # There is nothing left to change there; what was added in front of it stays.
        self._edits = [edit for edit in self._edits if not first <= edit.first < behind or edit.behind == first]
        self._grown = [(place, by) for place, by in self._grown if not first <= place < behind]
        self._edits.append(_Edit(first, behind, event[0], b""))

    # -- any element

    def change(self, event: Event, value: bytes) -> None:
        """Gives an element another value of even length."""
        self._replace(event, event[2] + event[3], self._headed(event, len(value)) + value)

    def exchange(self, event: Event, behind: int, vr: str, value: bytes) -> None:
        """Puts a plain value of even length in the place of one in fragments.

        :param behind: the byte behind it, its delimiter included.
        """
        first = self._header(event)
        name = vr.encode() + b"\0\0" if event[2] - first == 12 else b""
        self._replace(event, behind, self._data[first : first + 4] + name + pack("<L", len(value)) + value)

    def take_out(self, event: Event, behind: int) -> None:
        """Takes an element out, up to the byte `behind`."""
        self._replace(event, behind, b"")

    def _replace(self, event: Event, behind: int, new: bytes) -> None:
        first = self._header(event)
        self._edits.append(_Edit(first, behind, event[0], new))
        if event[4]:
            self._grown.append((first, len(new) - (behind - first)))
        else:
            self._forget_length(event[0])

    def _headed(self, event: Event, length: int) -> bytes:
        """The header of an element as it was written, with another length."""
        first = self._header(event)
        if event[2] - first == 12:
            return self._data[first : first + 8] + pack("<L", length)
        if self._data[first + 4 : first + 6] in SHORT:
            return self._data[first : first + 6] + pack("<H", length)
        return self._data[first : first + 4] + pack("<L", length)

    def _header(self, event: Event) -> int:
        """Where an element begins: eight bytes before its value, or twelve (PS3.5 7.1.2)."""
        tag, offset = pack("<HH", event[0] >> 16, event[0] & 0xFFFF), event[2]
        short = self._data[offset - 8 : offset - 4] == tag and self._data[offset - 4 : offset - 2] not in LONG
        return offset - 8 if short else offset - 12

    # -- all of it

    def written(self, place: int, tag: int) -> tuple[bytes, bytes]:
        """The data set with all changes, cut in two: before the place where an element of this tag belongs, and from there on."""
        edits = sorted([*self._edits, *self._lengths()])
        cut = bisect_left(edits, (place, place, tag, b""))
        return self._made(edits[:cut], self._start, place), self._made(edits[cut:], place, len(self._data))

    def _made(self, edits: Sequence[_Edit], first: int, behind: int) -> bytes:
        out: list[bytes] = []
        for edit in edits:
            out += self._data[first : edit.first], edit.new
            first = edit.behind
        return b"".join([*out, self._data[first:behind]])

    def _lengths(self) -> Iterator[_Edit]:
        """The lengths of what is around changes inside sequences."""
        grown = sorted(self._grown)
        places = [place for place, _ in grown]
        for tag, vr, offset, length, _ in self._events if grown else ():
            if length != UNDEFINED and (vr == "SQ" or (tag == ITEM and not vr)):
                more = sum(by for _, by in grown[bisect_left(places, offset) : bisect_left(places, offset + length)])
                if more:
                    yield _Edit(offset - 4, offset, ITEM, pack("<L", length + more))
