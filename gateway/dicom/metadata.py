"""The DICOM JSON model of one instance (PS3.18 Annex F), written from the events of a recorded walk.

pydicom's own writer is the judge in the tests, not the tool: it needs milliseconds an instance and loses the whole data set
to one bad element. Rules:

1. Group 0002 and group lengths are left out (F.2.2). Of two elements with one tag the first counts, as in the walk.
2. Text is UTF-8 whatever (0008,0005) said, so the model says ISO_IR 192 when it was there or any text is not ASCII (F.2).
3. What is large or binary is not in the model but behind a BulkDataURI (F.2.6), by the thresholds of `INLINE`. The URI names the
   way to the element: tag, or sequence tag / item from 0 / tag. `locate` finds it again.
4. One bad element never costs the data set: bytes that are no value of their VR go out as VR UN with a BulkDataURI.
5. VRs that the header leaves open come from `resolve`. A private sequence that only the dictionary knows as one is looked
   into; its values have no events of their own and so no URI, which is why all of them are inline.
6. JSON writers and readers stop at some 250 levels of nesting; a sequence below `DEEPEST` others is UN with a BulkDataURI.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dicom.model import AN_ITEM, INLINE, OPAQUE, Data, Model
from gateway.dicom.part10 import BIG_ENDIAN
from gateway.dicom.structure import ITEM, Event
from gateway.errors import NotFound


def instance_metadata(data: Data, events: Sequence[Event], *, syntax: str, bulk_prefix: str) -> bytes:
    """The DICOM JSON object of one instance as UTF-8 bytes.

    :param data: the bytes that the events' offsets count in: the file, or for a deflated one the file as `native.inflated`
        returns it. Only values for which `in_model` is true are looked at; holes of any content may stand for the others.
    :param events: of a finished walk with ``record=True``.
    :param syntax: the transfer syntax that the walk found.
    :param bulk_prefix: the URL of the instance; `backends.base.URL_BASE` and the path of the resource.
    """
    return instance_model(data, events, syntax=syntax, bulk_prefix=bulk_prefix).to_json()


def instance_model(data: Data, events: Sequence[Event], *, syntax: str, bulk_prefix: str) -> Model:
    """The model before it is bytes, for `attributes.by_level` to pick from; parameters as `instance_metadata`."""
    model = Model(data, syntax != BIG_ENDIAN, f"{bulk_prefix}/bulkdata/")
    model.read(events)
    return model


def in_model(event: Event) -> bool:
    """Whether the model may need the bytes of this value; of a sequence it needs the first four."""
    _, vr, _, length, _ = event
    return length <= (OPAQUE if vr == "UN" else INLINE.get(vr, OPAQUE))


def locate(events: Sequence[Event], path: str) -> Event:
    """The element that a BulkDataURI of the model means.

    :param path: what follows ``/bulkdata/``: ``7FE00010``, or ``54000100/0/54001010`` for an element in an item.
    :raises NotFound: when there is no such element, or the path is none.
    """
    words = path.split("/")
    try:
        tags = [_tag(word) for word in words[::2]]
        items = [_index(word) for word in words[1::2]]
    except ValueError:
        raise NotFound(_NOWHERE) from None
    if len(words) % 2 == 0:
        raise NotFound(_NOWHERE)
    start, stop = 0, len(events)
    for depth, (tag, item) in enumerate(zip(tags, items, strict=False)):
        start, stop = _inside(events, _element(events, start, stop, depth, tag) + 1, stop, depth + 1, item)
    return events[_element(events, start, stop, len(items), tags[-1])]


_NOWHERE = "the instance has no bulk data at this path"


def _tag(word: str) -> int:
    if len(word) != 8:
        raise ValueError("eight hexadecimal digits name a tag")
    return int.from_bytes(bytes.fromhex(word), "big")


def _index(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) < 10):
        raise ValueError("items are counted from 0")
    return int(word)


def _element(events: Sequence[Event], start: int, stop: int, depth: int, tag: int) -> int:
    """Where among ``[start, stop)`` the first element `tag` of that depth is."""
    for index in range(start, stop):
        if events[index][0] == tag and events[index][4] == depth and tag != ITEM:
            return index
    raise NotFound(_NOWHERE)


def _inside(events: Sequence[Event], start: int, stop: int, depth: int, item: int) -> tuple[int, int]:
    """The content of the item number `item` of the sequence whose events begin at `start`: first and last + 1."""
    first, left = -1, item
    for index in range(start, stop):
        tag, vr, _, _, at = events[index]
        if at < depth:
            stop = index
        elif tag == ITEM and at == depth and vr in AN_ITEM:
            if left < 0:
                stop = index
            elif left == 0:
                first = index + 1
            left -= 1
        if stop == index:
            break
    if first < 0:
        raise NotFound(_NOWHERE)
    return first, stop
