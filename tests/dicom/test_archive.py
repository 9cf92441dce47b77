"""Files that other people made: the walk sees what pydicom sees, and damage to them never gets further than a refusal."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from gateway.dicom.elements import ITEM, UNDEFINED, Limits, Walk
from tests import samples
from tests.dicom.archive import inflate, readable, walk_of
from tests.dicom.test_elements import verdict


@pytest.mark.parametrize("path", readable(), ids=lambda path: path.name)
def test_it_sees_what_pydicom_sees(path: Path) -> None:
    data = path.read_bytes()
    walk = walk_of(data)
    assert walk is not None
    try:
        ds = pydicom.dcmread(path, force=True)
    except (OSError, RecursionError):
        return  # sequences of VR UN in big endian files, which only we can read
    if not ds or walk.events[-1][0] not in ds:
        return  # no DICOM to pydicom: a file without preamble with "DICM" at byte 128
    bytes_of = inflate(data, walk)
    top = [event for event in walk.events if event[4] == 0]
    if not walk.trailing:  # which pydicom takes for elements
        theirs = {tag for tag in (*ds.keys(), *ds.file_meta.keys()) if tag >> 16 != 0xFFFE}
        ours = {event[0] for event in top}
        assert ours >= theirs if walk.unusual else ours == theirs  # pydicom ends a file at a stray delimiter
    last = {event[0]: event for event in top}  # of equal tags pydicom keeps the last
    for tag, _, offset, length, _ in last.values():
        raw: Any = ds.get_item(tag) if tag >> 16 != 2 else None
        if isinstance(raw, RawDataElement) and length != UNDEFINED and raw.length == length:
            assert bytes_of[offset : offset + length] == (raw.value or b"")
    if len(last) == len(top):
        assert shape(walk, 0, len(walk.events), 0) == shape_of(ds, walk)


def shape(walk: Walk, start: int, stop: int, depth: int) -> dict[int, Any]:
    """The sequences of a data set, with a list of items each."""
    found: dict[int, Any] = {}
    for index in range(start, stop):
        tag, vr, _, _, at = walk.events[index]
        if at == depth and vr == "SQ":
            inner = range(index + 1, next((i for i in range(index + 1, stop) if walk.events[i][4] <= depth), stop))
            items = [i for i in inner if walk.events[i][0] == ITEM and walk.events[i][4] == depth + 1]
            bounds = [*items[1:], inner.stop]
            found.setdefault(tag, [shape(walk, i + 1, end, depth + 1) for i, end in zip(items, bounds, strict=True)] if items else [])
    return found


def shape_of(ds: Dataset, walk: Walk) -> dict[int, Any]:
    """The same by pydicom, which also knows private sequences that the standard's dictionary does not."""
    known = {event[0] for event in walk.events if event[1] == "SQ"}
    return {tag: [shape_of(item, walk) for item in ds[tag].value] for tag in ds.keys() & known if ds[tag].VR == "SQ"}


def test_random_damage_to_real_files_never_escapes() -> None:
    rng = random.Random(1)
    small = [path for path in readable() if path.stat().st_size < 20_000]
    for _ in range(400):
        data = bytearray(rng.choice(small).read_bytes())
        for _ in range(rng.choice((1, 2, 8))):
            at = rng.randrange(len(data))
            data[at : at + rng.choice((0, 1, 4))] = rng.choice((b"\xff" * 4, b"\0" * 8, b"SQ", rng.randbytes(2)))
        cuts = [rng.randrange(len(data)) for _ in range(5)]
        limits = Limits(elements=3000, items=500)
        assert verdict([bytes(data)], limits) == verdict(samples.pieces(bytes(data), cuts), limits)
