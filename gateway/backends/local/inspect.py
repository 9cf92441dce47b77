"""What the store learns from a file's own bytes: index attributes, where its pixels lie, and the events for metadata.

Everything here blocks, and is called from worker threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from mmap import mmap

from gateway.backends.local.files import Files
from gateway.backends.local.prepared import Pixels
from gateway.dicom.attributes import INDEX_TAGS, IndexAttributes, index_attributes
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS, frame_table
from gateway.dicom.metadata import in_model
from gateway.dicom.model import AN_ITEM, Data
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
from gateway.dicom.structure import UNDEFINED, Event
from gateway.errors import InstanceError

WINDOW = 64 << 10
"""Bytes of a file that are read at once where headers are walked; values behind a header of usual size are passed over."""

BETWEEN = 4 << 10
"""Bytes that are read at once between fragments: each is passed over, and a slide has a hundred thousand of them."""


def describe(walk: Walk, descriptor: int) -> tuple[IndexAttributes, Pixels | None]:
    """What the index keeps of a file whose walk is finished."""
    attributes = index_attributes(walk.values, implicit=walk.implicit, little_endian=walk.little_endian)
    attributes.pack()  # here, in a thread of its own; the writer has one for all
    found = walk.pixels
    if found is None:
        return attributes, None
    try:
        table = frame_table(walk, lambda offset, length: os.pread(descriptor, length, offset)).to_bytes()
    except InstanceError:  # pixel data that nothing can be cut out of is stored all the same; its frames are not to be had
        table = None
    return attributes, Pixels(found.tag, found.header, found.end, table)


def reread(files: Files, limits: Limits, generation: int) -> IndexAttributes | None:
    """The index attributes of a stored instance, None when its file cannot be read."""
    try:
        descriptor = os.open(files.path(generation), os.O_RDONLY)
    except OSError:
        return None
    try:
        return describe(walked(descriptor, limits), descriptor)[0]
    except (InstanceError, OSError):
        return None
    finally:
        os.close(descriptor)


def walked(descriptor: int, limits: Limits) -> Walk:
    """A finished walk over a file that was checked when it was stored, large values passed over."""
    walk = Walk(wanted=INDEX_TAGS | TABLE_TAGS, limits=limits)
    size = os.fstat(descriptor).st_size
    while walk.position < size:
        if walk.skip > WINDOW:
            walk.jump(min(walk.skip, size - walk.position))
        else:
            walk.feed(os.pread(descriptor, WINDOW, walk.position))
    walk.finish()
    return walk


def modelled(descriptor: int, limits: Limits, first: int = WINDOW) -> tuple[Data, Walk]:
    """A recorded walk over a stored file and the bytes that its DICOM JSON model is made of.

    Values that the model does not show are never read: what stands for them is a hole in an anonymous mapping, which costs
    address space and no memory.

    :param first: bytes to read first; where the pixel data begins, when that is known.
    """
    walk = Walk(record=True, limits=limits)
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, min(size, first), 0)
    walk.feed(head)
    if walk.syntax in DEFLATED:
        head += os.pread(descriptor, size, len(head))
        walk.feed(head[walk.position :])
        walk.finish()
        return inflated(head, limits), walk
    while walk.position < size:
        if walk.skip and walk.events and not in_model(walk.events[-1]):
            walk.jump(min(walk.skip, size - walk.position))
        else:
            walk.feed(os.pread(descriptor, BETWEEN if _in_fragments(walk) else WINDOW, walk.position))
    walk.finish()
    if walk.syntax in DEFLATED:  # file meta information of more than `first`
        return inflated(os.pread(descriptor, size, 0), limits), walk
    return _shown(descriptor, size, head, walk.events), walk


def _in_fragments(walk: Walk) -> bool:
    """Whether the last header was that of a value in fragments."""
    return bool(walk.events) and walk.events[-1][3] == UNDEFINED and walk.events[-1][1] not in ("SQ", *AN_ITEM)


def _shown(descriptor: int, size: int, head: bytes, events: Sequence[Event]) -> Data:
    """The bytes of a file that its model shows, in their places."""
    runs = [run for run in _runs(events, len(head)) if run[0] < run[1]]
    if not runs:
        return head
    data = mmap(-1, size)
    data[: len(head)] = head
    for start, stop in runs:
        for at in range(start, stop, WINDOW):
            piece = os.pread(descriptor, min(WINDOW, stop - at), at)
            data[at : at + len(piece)] = piece
    return data


def _runs(events: Sequence[Event], start: int) -> Iterator[tuple[int, int]]:
    """From where to where the file has to be read from `start` on; small gaps are read too."""
    stop = start
    for event in events:
        _, vr, first, length, _ = event
        behind = first + (4 if vr == "SQ" else length if in_model(event) else 0)
        if behind <= stop:
            continue
        if first > stop + WINDOW:
            yield start, stop
            start = first
        stop = behind
    yield start, stop
