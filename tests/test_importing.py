"""Files into a store: what is found, what is refused, and that one bad file holds up nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.backends.base import Failed, Stored, StoreResult, Upload
from gateway.dicom.header import Instance
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError, OutOfStorage
from gateway.importing import Imported, find_files, import_files, import_found
from gateway.streams import Budget, IntakeLimits
from gateway.transfers.folders import Folder
from gateway.transfers.places import Hands
from gateway.transfers.storing import GROUP
from gateway.transfers.uris import parse_pattern
from tests.tiny import part10


class Keeping:
    """Keeps the bytes of what it is given, as a backend does; only what import needs."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.bodies: list[bytes] = []
        self.calls: list[int] = []
        self._room = room

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        stored: list[Stored] = []
        failed: list[Failed] = []
        count = 0
        async for upload in uploads:
            count += 1
            instance: Instance = upload.instance
            try:
                body = b"".join([piece async for piece in upload.body])
            except InstanceError as error:
                failed.append(Failed(upload.part, error.reason, error.message))
                continue
            if len(self.bodies) >= self._room:
                raise OutOfStorage("no room")
            self.bodies.append(body)
            stored.append(Stored(instance))
        self.calls.append(count)
        return StoreResult(tuple(stored), tuple(failed))


async def run(backend: Keeping, files: list[Path]) -> Imported:
    steps: list[int] = []
    imported = await import_files(backend, files, IntakeLimits(), Budget(1 << 26), steps.append)  # type: ignore[arg-type]  # stores only
    assert sum(steps) == len(files)
    return imported


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_folders_are_searched_in_order_and_files_taken_as_named(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a", ".hidden/x", "b/.y", "DICOMDIR"):
        write(tmp_path, name, b"")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    named = tmp_path / "b" / ".y"
    assert find_files([tmp_path, named]) == [tmp_path / "a", tmp_path / "b/1", tmp_path / "b/2", named]


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_files([tmp_path / "none"])


async def test_files_are_stored_bit_by_bit(tmp_path: Path) -> None:
    data = [part10(instance=f"1.2.{number}") for number in range(3)]
    files = [write(tmp_path, str(number), one) for number, one in enumerate(data)]
    backend = Keeping()
    imported = await run(backend, files)
    assert (imported.stored, imported.refused) == (3, [])
    assert sorted(backend.bodies) == sorted(data)


async def test_many_files_share_a_call_and_all_arrive(tmp_path: Path) -> None:
    files = [write(tmp_path, str(number), part10(instance=f"1.2.{number}")) for number in range(2 * GROUP + 1)]
    backend = Keeping()
    assert (await run(backend, files)).stored == len(files)
    assert sorted(backend.calls) == [1, GROUP, GROUP]


async def test_refused_files_are_named_with_their_reason_and_hold_up_nobody(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "0", part10(instance="1.2.0")),
        write(tmp_path, "1", b"no DICOM at all" * 100),
        write(tmp_path, "2", b""),
        write(tmp_path, "3", part10(instance="1.2.3")),
    ]
    imported = await run(Keeping(), files)
    assert imported.stored == 2
    assert [Path(name).name for name, _ in imported.refused] == ["1", "2"]
    assert all(reason for _, reason in imported.refused)


async def test_what_the_backend_refuses_is_named(tmp_path: Path) -> None:
    class Refusing(Keeping):
        async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
            failed = [Failed(upload.part, Reason.PROCESSING_FAILURE, "a duplicate") async for upload in uploads]
            return StoreResult((), tuple(failed))

    files = [write(tmp_path, str(number), part10(instance=f"1.2.{number}")) for number in range(2)]
    assert (await run(Refusing(), files)).refused == [(str(file), "a duplicate") for file in files]


async def test_a_file_that_cannot_be_read_is_refused_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write(tmp_path, str(number), part10(instance=f"1.2.{number}")) for number in range(3)]
    files[1].unlink()
    imported = await run(Keeping(), files)
    assert imported.stored == 2
    assert imported.refused == [(str(files[1]), "cannot be read: No such file or directory")]


async def test_a_full_store_ends_it(tmp_path: Path) -> None:
    files = [write(tmp_path, str(number), part10(instance=f"1.2.{number}")) for number in range(3)]
    with pytest.RaisesGroup(OutOfStorage):
        await import_files(Keeping(room=1), files, IntakeLimits(), Budget(1 << 26), lambda _: None)  # type: ignore[arg-type]  # stores only


async def test_what_a_pattern_finds_is_stored_likewise(tmp_path: Path) -> None:
    for number in range(GROUP + 1):
        write(tmp_path, f"a/{number:03}.dcm", part10(instance=f"1.2.{number}"))
    bad = write(tmp_path, "a/x.dcm", b"no DICOM at all")
    write(tmp_path, "a/x.txt", b"not wanted")
    backend, steps, hands = Keeping(), list[int](), Hands(Folder(tmp_path))
    pattern = parse_pattern(f"file://{tmp_path}/**.dcm", "uri")
    imported = await import_found(backend, hands, pattern, IntakeLimits(), Budget(1 << 26), steps.append)  # type: ignore[arg-type]  # stores only
    hands.close()
    assert (imported.stored, sum(steps)) == (GROUP + 1, GROUP + 2) and [name for name, _ in imported.refused] == [str(bad)[1:]]
