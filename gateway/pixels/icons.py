"""Compressed pictures inside sequences, icons nearly always (PS3.3 F.7, PS3.5 A.4).

They are compressed as the pixel data of the instance is, and would be in a codec that nobody expects once that is in another one. So
they are decoded: a native picture inside a sequence may be in any data set. One that cannot be decoded is left out: an Icon
Image Sequence as a whole, elsewhere the one element.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from

from gateway.dicom.structure import ITEM, PIXELS, UNDEFINED, Event
from gateway.pixels import syntaxes
from gateway.pixels.conversion import converted
from gateway.pixels.editing import Editor
from gateway.pixels.exchange import Pieces
from gateway.pixels.headers import Header, differences, image_from
from gateway.pixels.transcode import Transcode
from gateway.pixels.work import Undoable

ICONS = 0x00880200
"""Icon Image Sequence."""

VALUE = 256
"""Bytes of a value that may describe a picture."""

_DELIMITER = 0xE0DD


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture in fragments inside a sequence.

    :param event: its element. :param siblings: all elements of its item.
    :param codestream: its fragments together. :param behind: the byte behind its delimiter.
    """

    event: Event
    siblings: dict[int, Event]
    codestream: bytes
    behind: int


def decode_icons(editor: Editor, header: Header, syntax: str, frame_bytes: int) -> None:
    """Puts plain pictures in the place of compressed ones inside sequences.

    :param syntax: the transfer syntax that they are compressed in.
    """
    lost = False
    for index, event in enumerate(header.walk.events):
        if event[0] not in PIXELS or event[3] != UNDEFINED or not event[4]:
            continue
        is_icon = _outermost(header, index) == ICONS
        if is_icon and lost:
            continue
        picture = _picture(header, index)
        try:
            _decode(editor, header, picture, syntax, frame_bytes)
        except Undoable:
            lost |= is_icon
            if is_icon:
                editor.remove(ICONS)
            else:
                editor.take_out(picture.event, picture.behind)


def _outermost(header: Header, index: int) -> int:
    """The tag of the top-level sequence around an element."""
    events = header.walk.events
    return next(events[at][0] for at in range(index, -1, -1) if events[at][4] == 0)


def _picture(header: Header, index: int) -> _Picture:
    events = header.walk.events
    depth = events[index][4]
    first = next(at for at in range(index, -1, -1) if events[at][0] == ITEM and events[at][4] == depth)
    siblings: dict[int, Event] = {}
    for event in events[first + 1 :]:
        if event[4] < depth or (event[0] == ITEM and event[4] == depth):
            break
        if event[4] == depth:
            siblings.setdefault(event[0], event)
    return _Picture(events[index], siblings, *_gathered(header.data, events[index][2]))


def _gathered(data: bytes, offset: int) -> tuple[bytes, int]:
    """The fragments of a value without its offset table, and the byte behind its end. The walk has seen that they hold together."""
    found: list[bytes] = []
    while True:
        _, element, length = unpack_from("<HHL", data, offset)
        offset += 8
        if element == _DELIMITER:
            return b"".join(found[1:]), offset
        found.append(data[offset : offset + length])
        offset += length


def _decode(editor: Editor, header: Header, picture: _Picture, syntax: str, frame_bytes: int) -> None:
    small = {tag: event for tag, event in picture.siblings.items() if event[3] <= VALUE}
    values = {tag: (vr, header.data[offset : offset + length]) for tag, (_, vr, offset, length, _) in small.items()}
    before = image_from(values, syntax)
    if before is None or before.frames != 1:
        raise Undoable("nothing tells the size of a picture inside a sequence")
    after = converted(before, syntaxes.EXPLICIT)
    made = Transcode(before, syntaxes.EXPLICIT, frame_bytes=frame_bytes)([Pieces([picture.codestream])])
    cells = b"".join(made.content)
    editor.exchange(picture.event, picture.behind, "OB" if after.allocated <= 8 else "OW", cells + b"\0" * (len(cells) % 2))
    for tag, vr, value in differences(before, after):
        if tag in small:
            editor.change(small[tag], value + (b" " if vr == "CS" else b"\0") * (len(value) % 2))
