"""A file of the disk tier: what was written comes back, and nothing else ever does."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from gateway.backends.cached import files
from gateway.backends.cached.entries import Head, Read
from gateway.backends.cached.files import Damaged, Writer, room_of
from gateway.backends.held import LARGE, Held

HEAD = Head("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", "tag", True, 12.25, 3)


def written(path: Path, data: bytes, *, cuts: tuple[int, ...] = ()) -> Read:
    entry = Read("metadata", 2**64 - 1, 1234.5, HEAD, Held([data]), cuts)
    writer = Writer(path)
    writer.add([data[:10], data[10:]])
    assert writer.length == len(data)
    assert writer.finish(entry, path.name) == path.stat().st_size <= room_of(len(data))
    writer.close()
    return entry


def everything(entry: Read) -> tuple[object, ...]:
    return entry.kind, entry.stamp, entry.made, entry.head, tuple(entry.cuts), entry.held.read()


@pytest.mark.parametrize("size", [0, 5, 4096, LARGE + 1, (1 << 20) + 17])
@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_what_was_written_comes_back(tmp_path: Path, size: int, in_memory: int) -> None:
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    entry = written(tmp_path / "file", os.urandom(size), cuts=(1, 2, size))
    found, identity = files.read(tmp_path / "file", in_memory=in_memory)
    assert everything(found) == everything(entry)
    again, same = files.read(tmp_path / "file", in_memory=in_memory, known=identity)
    assert (everything(again), same) == (everything(entry), identity)
    del entry, found, again
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_only_the_owner_may_read_it_and_none_is_written_over(tmp_path: Path) -> None:
    written(tmp_path / "file", b"data")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Writer(tmp_path / "file")


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_every_cut_is_noticed(tmp_path: Path, in_memory: int) -> None:
    written(tmp_path / "file", bytes(range(100)))
    whole = (tmp_path / "file").read_bytes()
    (tmp_path / "cuts").mkdir()
    for length in range(len(whole)):
        (tmp_path / "cuts" / "file").write_bytes(whole[:length])
        with pytest.raises(Damaged):
            files.read(tmp_path / "cuts" / "file", in_memory=in_memory)
    (tmp_path / "cuts" / "file").write_bytes(whole + b"x")
    with pytest.raises(Damaged):
        files.read(tmp_path / "cuts" / "file", in_memory=in_memory)


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_every_byte_that_changes_is_noticed(tmp_path: Path, in_memory: int) -> None:
    written(tmp_path / "file", bytes(range(100)))
    whole = (tmp_path / "file").read_bytes()
    (tmp_path / "bad").mkdir()
    for at in range(len(whole)):
        (tmp_path / "bad" / "file").write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(Damaged):
            files.read(tmp_path / "bad" / "file", in_memory=in_memory)


def test_what_is_known_is_not_checked_again_until_the_file_is_another(tmp_path: Path) -> None:
    entry = written(tmp_path / "file", bytes(1000))
    _, identity = files.read(tmp_path / "file", in_memory=0)
    data = (tmp_path / "file").read_bytes()
    (tmp_path / "other").write_bytes(b"x" + data[1:])
    (tmp_path / "other").replace(tmp_path / "file")
    with pytest.raises(Damaged):
        files.read(tmp_path / "file", in_memory=0, known=identity)
    (tmp_path / "file").write_bytes(data)
    found, _ = files.read(tmp_path / "file", in_memory=0, known=identity)
    assert everything(found) == everything(entry)


def test_what_is_not_there_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "none", in_memory=0)


def test_a_file_counts_whole_blocks() -> None:
    assert [room_of(size) for size in (0, 3000, 3072, 100_000)] == [4096, 4096, 8192, 102_400]


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_what_got_the_name_of_another_is_never_given_for_it(tmp_path: Path, in_memory: int) -> None:
    written(tmp_path / "one", b"of one patient")
    written(tmp_path / "two", b"of another")
    (tmp_path / "one").replace(tmp_path / "two")
    with pytest.raises(Damaged, match="name of another"):
        files.read(tmp_path / "two", in_memory=in_memory)


def test_neither_links_nor_pipes_are_followed(tmp_path: Path) -> None:
    written(tmp_path / "elsewhere", b"data")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("file", "pipe"):
        with pytest.raises((OSError, Damaged)):
            files.read(tmp_path / name, in_memory=0)
