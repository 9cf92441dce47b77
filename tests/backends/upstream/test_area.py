"""Instances on disk: bounded, without names, and never older than the last write."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from gateway.backends.upstream import area as room
from gateway.backends.upstream.area import Area, Held, Key, Resting
from gateway.dicom.header import Instance
from gateway.errors import Busy, TooLarge

KEY: Key = ("", "1.1", "1.1.1", "1.1.1.1")


def resting(area: Area, data: bytes = b"0123456789") -> Resting:
    file = Held(area)
    file.write([data[:3], data[3:]])
    return Resting(file, 0, len(data), "sum", Instance(*KEY[1:], "1.2", "1.2.840.10008.1.2.1"), None)


def test_what_is_kept_is_found_and_read(tmp_path: Path) -> None:
    area = Area(tmp_path / "area", 100)
    area.keep(KEY, resting(area), area.stamp("1.1"))
    found = area.find(KEY)
    assert found is not None and found.read(2, 3) == b"234" and found.read(8, 5) == b"89"
    piece = found.piece(4, 2)
    assert os.pread(piece.descriptor, piece.length, piece.offset) == b"45"
    os.close(piece.descriptor)
    assert area.find(("other caller", *KEY[1:])) is None


def test_no_file_has_a_name(tmp_path: Path) -> None:
    area = Area(tmp_path / "area", 100)
    area.keep(KEY, resting(area), area.stamp("1.1"))
    assert [path.name for path in (tmp_path / "area").iterdir()] == ["stamps"]


@pytest.mark.parametrize("when", ["while it came", "afterwards"])
def test_a_write_of_the_study_in_any_worker_ends_it(tmp_path: Path, when: str) -> None:
    area, other = Area(tmp_path / "area", 100), Area(tmp_path / "area", 100)
    stamp = area.stamp("1.1")
    if when == "while it came":
        other.changed("1.1")
    area.keep(KEY, resting(area), stamp)
    if when == "afterwards":
        assert area.find(KEY) is not None
        other.changed("1.1")
    assert area.find(KEY) is None


def test_a_write_that_nobody_can_place_ends_everything(tmp_path: Path) -> None:
    area, other = Area(tmp_path / "area", 100), Area(tmp_path / "area", 100)
    area.keep(KEY, resting(area), area.stamp("1.1"))
    other.renew()
    assert area.find(KEY) is None


def test_what_others_change_is_seen_after_a_while(tmp_path: Path) -> None:
    area = Area(tmp_path / "area", 100, fresh=-1)
    area.keep(KEY, resting(area), area.stamp("1.1"))
    assert area.find(KEY) is None


def test_the_oldest_make_room_and_bytes_count_until_nobody_reads(tmp_path: Path) -> None:
    area = Area(tmp_path / "area", 25)
    read = resting(area)
    area.keep(KEY, read, area.stamp("1.1"))
    second: Key = ("", "1.1", "1.1.1", "1.1.1.2")
    area.keep(second, resting(area), area.stamp("1.1"))
    with pytest.raises(Busy, match="area_bytes"):
        area.keep(KEY, resting(area, b"x" * 20), area.stamp("1.1"))
    del read
    gc.collect()
    assert area.taken == 0 and area.find(second) is None
    area.keep(KEY, resting(area, b"x" * 20), area.stamp("1.1"))
    assert area.taken == 20


def test_what_is_larger_than_the_area_is_refused(tmp_path: Path) -> None:
    area = Area(tmp_path / "area", 25)
    with pytest.raises(TooLarge, match="area_bytes = 25"):
        resting(area, b"x" * 26)
    gc.collect()
    assert area.taken == 0


def test_entries_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ENTRIES", 2)
    area = Area(tmp_path / "area", 1000)
    keys: list[Key] = [("", "1.1", "1.1.1", f"1.1.1.{number}") for number in range(3)]
    for key in keys:
        area.keep(key, resting(area), area.stamp("1.1"))
    assert [area.find(key) is not None for key in keys] == [False, True, True]
    area.close()
    gc.collect()
    assert area.taken == 0


def test_a_file_system_without_nameless_files_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    area = Area(tmp_path / "area", 100)
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT | os.O_EXCL)
    assert resting(area).read(0, 4) == b"0123"
    assert [path.name for path in (tmp_path / "area").iterdir()] == ["stamps"]


def test_room_that_is_announced_is_taken_at_once_and_what_is_too_much_given_back(tmp_path: Path) -> None:
    area = Area(tmp_path / "area", 100)
    first = Held(area, announced=60)
    assert area.taken == 60
    with pytest.raises(Busy):
        Held(area, announced=60)
    with pytest.raises(TooLarge):
        Held(area, announced=101)
    assert area.taken == 60
    first.write([bytes(50)])
    first.settle()
    assert (first.size, area.taken) == (50, 50)
    second = Held(area, announced=50)
    with pytest.raises(Busy):  # more than it said
        second.write([bytes(51)])
    del first, second
    gc.collect()
    assert area.taken == 0


def test_who_knows_that_nobody_else_reads_a_file_can_end_it(tmp_path: Path) -> None:
    area = Area(tmp_path / "area", 100)
    file = Held(area)
    file.write([bytes(50)])
    file.close()
    file.close()
    assert area.taken == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.descriptor)
    del file
    gc.collect()
    assert area.taken == 0
