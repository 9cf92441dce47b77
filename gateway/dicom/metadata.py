"""The DICOM JSON model of one instance (PS3.18 Annex F), written from the events of a recorded walk.

pydicom's own writer is the judge in the tests, not the tool: it needs milliseconds an instance and loses the whole data set
to one bad element. Rules:

1. Group 0002 and group lengths are left out (F.2.2). Of two elements with one tag the first counts, as in the walk.
2. Text is UTF-8 whatever (0008,0005) said, so the model says ISO_IR 192 when it was there or any text is not ASCII (F.2).
3. What is large or binary is not in the model but behind a BulkDataURI (F.2.6), by the thresholds of `INLINE`. The URI names the
   way to the element: tag, or sequence tag / item from 0 / tag. `bulk_paths` lists the ways, `places` follows them.
4. One bad element never costs the data set: bytes that are no value of their VR go out as VR UN with a BulkDataURI.
5. VRs that the header leaves open come from `resolve`. A private sequence that only the dictionary knows as one is looked
   into; its values have no events of their own and so no URI, which is why all of them are inline.
6. The model of a video says by Available Transfer Syntax UID (0008,3002) that it is one, as results of searches do (PS3.18 10.6.3):
   nothing else in it does, and viewers that cannot tell ask for its frames, which nobody can cut out.
7. JSON writers and readers stop at some 250 levels of nesting; a sequence below `DEEPEST` others is UN with a BulkDataURI.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.dicom.model import AN_ITEM, INLINE, OPAQUE, Data, Model
from gateway.dicom.part10 import BIG_ENDIAN
from gateway.dicom.structure import ITEM, Event

MODEL = "2"
"""Stands for all that this room writes of an instance: raised whenever the same instance gives other bytes, so that
nobody takes what was kept from before for what is written now."""


_AVAILABLE = "00083002"
_VIDEO = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?")
"""MPEG-2, H.264 and H.265, fragmentable or not (PS3.6 A)."""


def instance_metadata(data: Data, events: Sequence[Event], *, syntax: str, bulk_prefix: str) -> bytes:
    """The DICOM JSON object of one instance as UTF-8 bytes.

    :param data: the bytes that the events' offsets count in: the file, or for a deflated one the file as `native.inflated`
        returns it. Only values for which `in_model` is true are looked at; holes of any content may stand for the others.
    :param events: of a finished walk with ``record=True``.
    :param syntax: the transfer syntax that the walk found.
    :param bulk_prefix: the URL of the instance; `backends.base.URL_BASE` and the path of the resource.
    """
    model = instance_model(data, events, syntax=syntax, bulk_prefix=bulk_prefix)
    if _VIDEO.fullmatch(syntax):
        model.add(_AVAILABLE, {"vr": "UI", "Value": [syntax]})
    return model.to_json()


def instance_model(data: Data, events: Sequence[Event], *, syntax: str, bulk_prefix: str) -> Model:
    """The model before it is bytes, for `attributes.by_level` to pick from; parameters as `instance_metadata`."""
    model = Model(data, syntax != BIG_ENDIAN, f"{bulk_prefix}/bulkdata/")
    model.read(events)
    return model


def in_model(event: Event) -> bool:
    """Whether the model may need the bytes of this value; of a sequence it needs the first four."""
    _, vr, _, length, _ = event
    return length <= (OPAQUE if vr == "UN" else INLINE.get(vr, OPAQUE))


def bulk_paths(document: bytes) -> list[str]:
    """Where all bulk data is that a document of `instance_metadata` names: the ways of rule 3, in its order."""
    return [path.decode("ascii") for path in _BULK.findall(document)]


# What looks like it inside a value has its quotes escaped.
_BULK = re.compile(rb'"BulkDataURI":"[^"]*/bulkdata/([0-9A-F/]+)"')


class Place(NamedTuple):
    """Where the value at a path lies.

    :param little: whether what is around it, and so its own words, are little endian.
    """

    path: str
    event: Event
    little: bool


def places(data: Data, events: Sequence[Event], paths: Iterable[str], *, syntax: str) -> list[Place]:
    """The elements that BulkDataURIs of the model mean, in the order of the data set.

    One pass for any number of them: a file may have a hundred thousand. What does not exist is left out.

    :param data: see `instance_metadata`; of a sequence the first four bytes are looked at.
    :param paths: what follows ``/bulkdata/``: ``7FE00010``, or ``54000100/0/54001010`` for an element in an item.
    """
    wanted = {path for path in map(str.upper, paths) if _PATH.fullmatch(path)}
    tags = {int(path[-8:], 16) for path in wanted}
    levels = [_Level("", syntax != BIG_ENDIAN)]
    found: dict[str, Place] = {}
    for event in events:
        tag, vr, offset, _, depth = event
        if tag == ITEM:
            if depth and vr in AN_ITEM:
                del levels[depth:]
                levels.append(levels[-1].item())
            continue
        del levels[depth + 1 :]
        level = levels[-1]
        if tag in tags and level.path is not None:
            path = f"{level.path}{tag:08X}"
            if path in wanted:
                found.setdefault(path, Place(path, event, level.little))
        if vr == "SQ":
            level.open(tag, bytes(data[offset : offset + 4]) == _LITTLE_ITEM)
    return list(found.values())


_PATH = re.compile(r"[0-9A-F]{8}(?:/[0-9]{1,9}/[0-9A-F]{8})*")
_LITTLE_ITEM = b"\xfe\xff\x00\xe0"


class _Level:
    """A data set on the way: the root, or an item.

    :param path: what the ways to its elements begin with, None where no URI leads.
    """

    __slots__ = ("items", "little", "path", "seen", "sequence", "within")

    def __init__(self, path: str | None, little: bool) -> None:
        self.path = path
        self.little = little
        self.seen: set[int] = set()  # sequences of it
        self.sequence: str | None = None  # what the paths into the last of them begin with
        self.within = little
        self.items = 0

    def open(self, tag: int, little: bool) -> None:
        """A sequence begins; the second one with a tag is in no model. One of VR UN is little endian anywhere (PS3.5 6.2.2)."""
        hidden = self.path is None or tag in self.seen
        self.sequence = None if hidden else f"{self.path}{tag:08X}/"
        self.within = self.little or little
        self.items = 0
        self.seen.add(tag)

    def item(self) -> _Level:
        """The next item of the sequence that was opened last."""
        path = None if self.sequence is None else f"{self.sequence}{self.items}/"
        self.items += 1
        return _Level(path, self.within)
