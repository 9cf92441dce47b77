"""The folder of a local store."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import orjson
import pytest

from gateway.backends.local.files import BLOCK_BITS, LAYOUT, Files, discard, storage_error
from gateway.errors import Busy, OutOfStorage, StoreUnavailable
from tests.backends.local.faults import Fault, incoming, record


def received(files: Files, *contents: bytes) -> list[str]:
    """Files in incoming/."""
    paths = [files.incoming() for _ in contents]
    for path, content in zip(paths, contents, strict=True):
        Path(path).write_bytes(content)
    return paths


# -- layout


def test_a_new_folder_says_what_it_is(root: Path) -> None:
    Files(root).close()
    assert orjson.loads((root / "store.json").read_bytes()) == {"layout": LAYOUT}
    assert sorted(path.name for path in root.iterdir()) == ["blobs", "incoming", "store.json"]


def test_what_it_says_is_durable_before_it_has_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty store.json after a power cut would make the whole store unreadable."""
    calls = record(monkeypatch)
    Files(root).close()
    assert "store." in calls[0] and calls[0].startswith("fdatasync")
    assert f"fsync {root}" in calls


@pytest.mark.parametrize("said", [b'{"layout": 2}', b"{}", b"[]", b"", b"nonsense"])
def test_a_folder_of_something_else_or_of_a_newer_version_is_refused(root: Path, said: bytes) -> None:
    root.mkdir()
    (root / "store.json").write_bytes(said)
    with pytest.raises(StoreUnavailable, match="layout"):
        Files(root)
    assert (root / "store.json").read_bytes() == said


def test_names_are_numbers_and_1024_share_a_folder(root: Path) -> None:
    files = Files(root)
    assert files.path(12) == f"{root}/blobs/000000/00000000c.dcm"
    assert files.path(1024) == f"{root}/blobs/000001/000000400.dcm"
    assert files.path(1 << 40) == f"{root}/blobs/40000000/10000000000.dcm"
    assert 1 << BLOCK_BITS == 1024
    files.close()


def test_the_generations_that_are_there(root: Path) -> None:
    files = Files(root)
    numbers = [3, 1, 2000, 1 << 40, 1500]
    files.publish(zip(received(files, *[b"x"] * 5), numbers, strict=True))
    (root / "blobs" / "lost+found").mkdir()
    (root / "blobs" / ".DS_Store").touch()
    (root / "blobs" / "000000" / "00000000c.dcm.bak").touch()
    assert list(files.generations()) == sorted(numbers)
    assert list(files.generations(first=1024)) == [1500, 2000, 1 << 40]
    files.close()


# -- the steps of a commit


def test_folders_are_synced_after_the_last_rename_and_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch)
    files = Files(root)
    moves = list(zip(received(files, b"a", b"b", b"c"), (1, 2, 1024), strict=True))
    calls.clear()
    files.publish(moves)
    blobs = f"{root}/blobs"
    assert calls[:2] == [f"fsync {blobs}", f"rename {files.path(1)}"]
    last = max(index for index, call in enumerate(calls) if call.startswith("rename"))
    assert sorted(calls[last + 1 :]) == [f"fsync {blobs}/000000", f"fsync {blobs}/000001"]
    calls.clear()
    files.publish([(received(files, b"d")[0], 3)])
    assert calls == [f"rename {files.path(3)}", f"fsync {blobs}/000000"]
    files.close()


def test_without_durability_nothing_is_synced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch)
    files = Files(root, durable=False)
    files.publish([(received(files, b"a")[0], 1)])
    descriptor = os.open(files.path(1), os.O_RDONLY)
    files.sync_file(descriptor)
    os.close(descriptor)
    files.close()
    assert not [call for call in calls if "sync" in call]


@pytest.mark.parametrize(("call", "about"), [("rename", "000000002.dcm"), ("fsync", "/blobs/000000"), ("fsync", "/blobs"), ("mkdir", "")])
def test_a_step_that_fails_leaves_every_file_where_it_was_received(
    root: Path, monkeypatch: pytest.MonkeyPatch, call: str, about: str
) -> None:
    files = Files(root)
    paths = received(files, b"a", b"b")
    fault = Fault(monkeypatch, call, errno.ENOSPC, about=about)
    with pytest.raises(OSError, match="No space"):
        files.publish(zip(paths, (1, 2), strict=True))
    fault.on = False
    assert [Path(path).read_bytes() for path in paths] == [b"a", b"b"]
    assert list(files.generations()) == []
    files.publish(zip(paths, (1, 2), strict=True))
    assert list(files.generations()) == [1, 2]
    files.close()


def test_what_was_published_can_be_taken_back_until_it_is_kept(root: Path) -> None:
    files = Files(root)
    first, second = received(files, b"a", b"b")
    files.publish([(first, 1)])
    files.take_back()
    assert Path(first).read_bytes() == b"a" and list(files.generations()) == []
    files.publish([(first, 1)])
    files.keep()
    files.publish([(second, 2)])
    files.take_back()
    assert list(files.generations()) == [1] and Path(second).read_bytes() == b"b"
    files.close()


def test_one_at_a_time_holds_the_write_lock(root: Path) -> None:
    """Locks of open files exclude each other within a process, too."""
    first, second = Files(root), Files(root)
    inside: list[str] = []
    with first.write_lock():
        waiting = threading.Thread(target=lambda: hold(second, inside))
        waiting.start()
        waiting.join(0.05)
        inside.append("first")
    waiting.join()
    assert inside == ["first", "second"]
    first.close()
    second.close()


def hold(files: Files, inside: list[str]) -> None:
    with files.write_lock():
        inside.append("second")


def test_the_write_lock_is_given_back_by_an_error(root: Path) -> None:
    files = Files(root)
    with pytest.raises(ValueError, match="odd"), files.write_lock():
        raise ValueError("odd")
    with files.write_lock():
        pass
    files.close()


# -- the living and the dead


def die(files: Files) -> None:
    """As a process goes that is killed: its locks are gone, its files are not."""
    os.close(files._alive)


def test_what_a_dead_process_was_receiving_goes_and_what_a_living_one_receives_stays(root: Path) -> None:
    living, dead, own = Files(root), Files(root), Files(root)
    for files in (living, dead, own):
        received(files, b"half")
    die(dead)
    assert own.sweep_dead() == 1
    assert len(incoming(root)) == 2
    assert own.sweep_dead() == 0
    living.close()
    own.close()
    assert list((root / "incoming").iterdir()) == []


def test_a_folder_whose_owner_died_while_it_went_is_swept_too(root: Path) -> None:
    left = root / "incoming" / "123-abc"
    left.mkdir(parents=True)
    (left / "1").write_bytes(b"half")
    files = Files(root)
    assert files.sweep_dead() == 1
    assert not left.exists()
    files.close()


def test_a_store_is_in_use_while_another_one_lives(root: Path) -> None:
    own, other = Files(root), Files(root)
    assert own.in_use()
    die(other)
    assert not own.in_use()
    own.close()


def test_nobody_can_take_a_starting_process_for_dead(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder appears in incoming/ with the lock already held."""
    own = Files(root)
    rename = os.rename
    swept: list[int] = []

    def look(source: str, target: str) -> None:
        swept.append(own.sweep_dead())
        rename(source, target)
        swept.append(own.sweep_dead())

    monkeypatch.setattr(os, "rename", look)
    other = Files(root)
    assert swept == [0, 0]
    assert own.in_use()
    other.close()
    own.close()


# -- the rest


def test_blobs_are_removed_once(root: Path) -> None:
    files = Files(root)
    files.publish([(received(files, b"a")[0], 1)])
    files.remove(1)
    files.remove(1)
    discard(files.path(1))
    assert list(files.generations()) == []
    files.close()


def test_free_space_is_that_of_the_file_system(root: Path) -> None:
    files = Files(root)
    assert 0 < files.free_bytes() < 1 << 60
    files.close()


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, OutOfStorage, "disk is full"),
        (errno.EDQUOT, OutOfStorage, "disk is full"),
        (errno.EMFILE, Busy, "too many files"),
        (errno.EIO, StoreUnavailable, "writing failed: EIO"),
        (errno.EROFS, StoreUnavailable, "EROFS"),
        (None, StoreUnavailable, "unknown error"),
    ],
)
def test_errors_of_the_disk_become_ours_without_a_path(number: int | None, kind: type[Exception], words: str) -> None:
    error = OSError("/data/secret") if number is None else OSError(number, "text", "/data/secret")
    made = storage_error(error, "writing")
    assert type(made) is kind and words in made.message and "secret" not in made.message
