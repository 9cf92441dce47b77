"""One file, from its first piece to its sync."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import xxhash

from gateway.backends.base import Upload
from gateway.backends.local.files import Files, storage_error
from gateway.backends.local.incoming import Incoming, Rules
from gateway.dicom.elements import Limits
from gateway.errors import GatewayError, InstanceError, OutOfStorage, StoreUnavailable
from tests.backends.local.faults import Fault, incoming, record
from tests.backends.made import dicom, identity
from tests.backends.resting import open_below


@pytest.fixture
def files(root: Path) -> Iterator[Files]:
    made = Files(root)
    yield made
    made.close()


def refuse(error: OSError) -> GatewayError:
    return storage_error(error, "writing")


async def _body() -> AsyncIterator[bytes]:
    """The pieces come by hand."""
    yield b""


def file_of(files: Files, data: bytes = dicom(), *, room: bool = True) -> Incoming:
    return Incoming(files, Upload(7, identity(data), _body(), replace=True), Rules(Limits(), lambda: room, refuse), lambda weight: None)


def left(files: Files) -> tuple[int, int]:
    """Files, and descriptors beside the lock of the living."""
    return len(incoming(files.root)), open_below(files.root / "incoming") - 1


@pytest.mark.parametrize("piece", [1, 50, 1 << 20])
def test_pieces_become_the_file_and_what_is_known_of_it(files: Files, piece: int) -> None:
    data = dicom(Rows=2, Columns=2, PixelData=b"12345678")
    file = file_of(files, data)
    for at in range(0, len(data), piece):
        file.write([data[at : at + piece]])
    got = file.finish([])
    assert Path(got.path).read_bytes() == data
    assert (got.part, got.instance, got.size, got.checksum) == (7, identity(data), len(data), xxhash.xxh3_128(data).digest())
    assert got.replace and got.pixels is not None and got.attributes.instance
    assert left(files) == (1, 0)


def test_it_is_synced_by_settle_and_not_before(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch)
    file = file_of(files)
    file.complete([dicom()])
    file.begin_sync()
    assert not calls
    got = file.settle()
    assert calls == [f"fdatasync {got.path}"]


def test_one_that_is_cut_off_leaves_nothing(files: Files) -> None:
    with pytest.raises(InstanceError):
        file_of(files).complete([dicom()[:-3]])
    assert left(files) == (0, 0)


def test_without_room_there_is_no_file(files: Files) -> None:
    with pytest.raises(OutOfStorage, match="min_free_bytes"):
        file_of(files, room=False).complete([dicom()])
    assert left(files) == (0, 0)


@pytest.mark.parametrize("call", ["open", "writev", "fdatasync"])
@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, OutOfStorage), (errno.EIO, StoreUnavailable)])
def test_a_disk_that_fails_leaves_nothing(
    files: Files, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: type[Exception]
) -> None:
    fault = Fault(monkeypatch, call, number, about="/incoming/")
    with pytest.raises(kind):
        file_of(files).finish([dicom()])
    fault.on = False
    assert left(files) == (0, 0)


def test_discarding_takes_it_away_at_any_time_and_twice(files: Files) -> None:
    file = file_of(files)
    file.discard()
    file = file_of(files)
    file.write([dicom()[:200]])
    assert left(files) == (1, 1)
    file.discard()
    file.discard()
    assert left(files) == (0, 0)


def test_a_write_that_the_kernel_cuts_goes_on(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, pieces: writev(descriptor, [pieces[0][:10]]))
    got = file_of(files).finish([dicom()[:100], dicom()[100:]])
    assert Path(got.path).read_bytes() == dicom()
