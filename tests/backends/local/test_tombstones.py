"""Deletes that survive the index."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import orjson
import pytest

from gateway.backends.local.tombstones import Tombstone, Tombstones
from gateway.dicomweb.resources import Resource
from tests.backends.local.faults import Fault, record

FIRST = Tombstone("1", None, None, (("1.1", "1.1.1", 1), ("1.1", "1.1.2", 2)))
SECOND = Tombstone("2", "2.1", "2.1.1", (("2.1", "2.1.1", 3),))


@pytest.fixture
def tombstones(tmp_path: Path) -> Tombstones:
    return Tombstones(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tombstones.jsonl"


def test_lines_come_back_with_the_offset_after_them(tombstones: Tombstones, path: Path) -> None:
    assert list(tombstones.since()) == []
    ends = [tombstones.append(FIRST), tombstones.append(SECOND)]
    assert list(tombstones.since()) == [(FIRST, ends[0]), (SECOND, ends[1])]
    assert list(tombstones.since(ends[0])) == [(SECOND, ends[1])]
    assert list(tombstones.since(ends[1])) == [] == list(tombstones.since(ends[1] + 1))
    assert path.stat().st_size == ends[1]


def test_a_tombstone_names_its_resource() -> None:
    assert FIRST.resource == Resource("1")
    assert SECOND.resource == Resource("2", "2.1", "2.1.1")


def test_lines_are_plain_json_that_others_can_read(tombstones: Tombstones, path: Path) -> None:
    tombstones.append(SECOND)
    assert orjson.loads(path.read_bytes()) == {"study": "2", "series": "2.1", "instance": "2.1.1", "instances": [["2.1", "2.1.1", 3]]}


def test_each_line_is_durable_and_the_first_one_its_file_too(
    tombstones: Tombstones, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    tombstones.append(FIRST)
    assert calls == [f"fsync {path}", f"fsync {tmp_path}"]
    calls.clear()
    tombstones.append(SECOND)
    assert calls == [f"fsync {path}"]


def test_a_line_that_a_crash_cut_off_never_counts(tombstones: Tombstones, path: Path) -> None:
    """At no length: neither alone nor when the next line has come after it."""
    tombstones.append(FIRST)
    start = path.stat().st_size
    tombstones.append(SECOND)
    whole = path.read_bytes()
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        assert [tombstone for tombstone, _ in tombstones.since()] == [FIRST], end
        after = tombstones.append(SECOND)
        assert list(tombstones.since())[1:] == [(SECOND, after)], end
        assert path.stat().st_size == after


def test_a_full_disk_leaves_no_part_of_a_line(tombstones: Tombstones, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tombstones.append(FIRST)
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))  # the last bytes of a disk
    fault = Fault(monkeypatch, "write", errno.ENOSPC, after=2)
    with pytest.raises(OSError, match="No space"):
        tombstones.append(SECOND)
    assert fault.hits == 3
    assert path.read_bytes() == before


def test_a_write_that_the_kernel_cuts_is_finished(tombstones: Tombstones, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    tombstones.append(FIRST)
    assert [tombstone for tombstone, _ in tombstones.since()] == [FIRST]
