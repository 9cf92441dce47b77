"""From pieces of a socket to synced files."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import xxhash

from gateway.backends.base import Upload
from gateway.backends.local import receive, waiting
from gateway.backends.local.files import Files, storage_error
from gateway.backends.local.finishing import TOGETHER, Finisher
from gateway.backends.local.incoming import Incoming, Rules
from gateway.backends.local.receive import Receiver
from gateway.backends.local.waiting import Waiting
from gateway.dicom.elements import Limits
from gateway.dicomweb.reasons import Reason
from gateway.errors import Busy, GatewayError, InstanceError, StoreUnavailable, TooLarge
from tests import samples
from tests.backends.local.faults import Fault, incoming, record
from tests.backends.made import dicom, identity, uploads
from tests.backends.resting import open_below


class Bench:
    """What a receiver needs, with the numbers of `limits` and room on the disk as long as `room`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = Files(root)
        self.pool = ThreadPoolExecutor(4)
        self.waiting = Waiting()
        self.room = True
        self.refused: list[OSError] = []

    def receiver(self, limits: Limits = Limits()) -> Receiver:
        rules = Rules(limits, lambda: self.room, self._refuse)
        return Receiver(self.files, self.pool, Finisher(self.pool), rules, self.waiting)

    def _refuse(self, error: OSError) -> GatewayError:
        self.refused.append(error)
        return storage_error(error, "writing")

    def nothing_left(self) -> bool:
        return not incoming(self.root) and open_below(self.root / "incoming") == 1  # the lock of the living


@pytest.fixture
def bench(root: Path) -> Iterator[Bench]:
    made = Bench(root)
    yield made
    made.pool.shutdown()
    made.files.close()


def pieces_of(data: bytes, *pieces: bytes) -> Upload:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return Upload(1, identity(data), body())


async def one(upload: Upload) -> AsyncIterator[Upload]:
    yield upload


# -- whole files


@pytest.mark.parametrize("piece", [1, 100, 10_000, 1 << 20])
async def test_files_are_what_was_sent_however_it_came(bench: Bench, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "UNIT", 5000)
    files = [dicom(sop="1"), dicom(sop="2", Rows=100, Columns=100, PixelData=samples.counted(20_000)), samples.report()]
    receiver = bench.receiver()
    await receiver.receive(uploads(files, piece))
    assert not receiver.failed
    assert [Path(got.path).read_bytes() for got in receiver.prepared] == files
    assert [(got.part, got.size, got.checksum) for got in receiver.prepared] == [
        (number, len(data), xxhash.xxh3_128(data).digest()) for number, data in enumerate(files, 1)
    ]
    assert [got.instance for got in receiver.prepared] == [identity(data) for data in files]
    assert receiver.prepared[2].pixels is None


async def test_what_the_index_needs_is_known_when_the_file_is_whole(bench: Bench) -> None:
    data = samples.mr()
    receiver = bench.receiver()
    await receiver.receive(uploads([data], 7))
    (got,) = receiver.prepared
    assert got.attributes.study["00100020"]["Value"] == ["P1"] and got.attributes.series["00080060"]["Value"] == ["MR"]
    assert got.pixels is not None and (got.pixels.tag, got.pixels.end) == (0x7FE00010, len(data))
    assert data[got.pixels.start :].startswith(b"\xe0\x7f\x10\x00OW") and got.pixels.frames is not None


async def test_each_file_is_synced_once_all_of_it_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "UNIT", 200)
    calls: list[tuple[str, int]] = []
    sync = os.fdatasync

    def synced(descriptor: int) -> None:
        calls.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), os.fstat(descriptor).st_size))
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", synced)
    receiver = bench.receiver()
    await receiver.receive(uploads([dicom(sop="1"), dicom(sop="2")], 50))
    assert sorted(calls) == sorted((got.path, got.size) for got in receiver.prepared)


async def test_no_name_comes_from_outside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch)
    await bench.receiver().receive(uploads([samples.ct()]))
    assert calls and not any(uid in call for call in calls for uid in (samples.STUDY, samples.SOP))


async def test_a_usual_instance_costs_one_hop_and_many_tiny_pieces_a_bounded_number(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    hops: list[int] = []
    write = Incoming.write

    def counted(self: Incoming, pieces: list[bytes]) -> None:
        hops.append(len(pieces))
        write(self, pieces)

    monkeypatch.setattr(Incoming, "write", counted)
    data = dicom(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))
    await bench.receiver().receive(uploads([data], 64 << 10))
    assert hops == [len(data) // (64 << 10) + 1]
    hops.clear()
    await bench.receiver().receive(uploads([dicom()], 1))
    assert max(hops) <= receive.PIECES


# -- refused instances


def cut(data: bytes) -> Upload:
    return pieces_of(data, data[:-3])


async def test_a_cut_off_instance_leaves_nothing_and_its_neighbours_stay(bench: Bench) -> None:
    async def three() -> AsyncIterator[Upload]:
        yield next_part(1, dicom(sop="1"))
        yield next_part(2, dicom(sop="2")[:-3])
        yield next_part(3, dicom(sop="3"))

    receiver = bench.receiver()
    await receiver.receive(three())
    assert [got.instance.sop for got in receiver.prepared] == ["1", "3"]
    assert [(failed.part, failed.reason, failed.sop) for failed in receiver.failed] == [(2, Reason.CANNOT_UNDERSTAND, "2")]
    assert len(incoming(bench.root)) == 2


def next_part(part: int, data: bytes) -> Upload:
    async def body() -> AsyncIterator[bytes]:
        yield data

    return Upload(part, identity(data), body())


@pytest.mark.parametrize("size", [50, 100_000])
async def test_an_instance_that_the_walk_refuses_early_is_not_read_on(bench: Bench, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "UNIT", size)
    receiver = bench.receiver(Limits(elements=5))
    await receiver.receive(uploads([dicom(sop="1", PixelData=bytes(50_000))]))
    assert [failed.reason for failed in receiver.failed] == [Reason.CANNOT_UNDERSTAND]
    assert bench.nothing_left()


async def test_an_error_of_the_body_is_the_instances(bench: Bench) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield dicom()[:300]
        raise InstanceError(Reason.OUT_OF_RESOURCES, "too large")

    receiver = bench.receiver()
    await receiver.receive(one(Upload(4, identity(dicom()), body())))
    assert [(failed.part, failed.reason, failed.detail) for failed in receiver.failed] == [(4, Reason.OUT_OF_RESOURCES, "too large")]
    assert bench.nothing_left()


@pytest.mark.parametrize("body", [[], [b""], [b"", b""]])
async def test_an_empty_body_is_no_instance(bench: Bench, body: Sequence[bytes]) -> None:
    receiver = bench.receiver()
    await receiver.receive(one(pieces_of(dicom(), *body)))
    assert [failed.reason for failed in receiver.failed] == [Reason.CANNOT_UNDERSTAND]
    assert bench.nothing_left()


# -- a disk that does not take it


async def test_without_room_instances_fail_and_leave_nothing(bench: Bench) -> None:
    bench.room = False
    receiver = bench.receiver()
    await receiver.receive(uploads([dicom(sop="1"), dicom(sop="2")]))
    assert [(failed.part, failed.reason) for failed in receiver.failed] == [(1, Reason.OUT_OF_RESOURCES), (2, Reason.OUT_OF_RESOURCES)]
    assert "min_free_bytes" in receiver.failed[0].detail
    assert bench.nothing_left()


@pytest.mark.parametrize("call", ["open", "writev", "fdatasync"])
async def test_a_full_disk_costs_the_instance(bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    fault = Fault(monkeypatch, call, errno.ENOSPC, about="/incoming/")
    receiver = bench.receiver()
    await receiver.receive(uploads([dicom()]))
    assert [failed.reason for failed in receiver.failed] == [Reason.OUT_OF_RESOURCES] and fault.hits == 1
    fault.on = False
    assert bench.nothing_left()


async def test_the_last_bytes_of_a_disk_are_no_instance(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write may succeed in part before the next one fails."""
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, pieces: writev(descriptor, [pieces[0][:10]]))
    fault = Fault(monkeypatch, "write", errno.ENOSPC, about="/incoming/")
    receiver = bench.receiver()
    await receiver.receive(uploads([dicom()]))
    assert [failed.reason for failed in receiver.failed] == [Reason.OUT_OF_RESOURCES] and fault.hits == 1
    assert bench.nothing_left()


async def test_a_write_that_the_kernel_cuts_is_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write, writev = os.write, os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, pieces: writev(descriptor, [pieces[0][:10]]))
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:33]))
    receiver = bench.receiver()
    await receiver.receive(uploads([dicom()]))
    assert Path(receiver.prepared[0].path).read_bytes() == dicom()


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, StoreUnavailable), (errno.EMFILE, Busy)])
@pytest.mark.parametrize("call", ["open", "writev", "fdatasync"])
async def test_other_errors_end_the_request_and_leave_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: type[Exception]
) -> None:
    fault = Fault(monkeypatch, call, number, about="/incoming/", after=1)
    receiver = bench.receiver()
    with pytest.raises(kind):
        await receiver.receive(uploads([dicom(sop=str(uid)) for uid in range(1, 6)]))
    fault.on = False
    assert [error.errno for error in bench.refused][:1] == [number]
    assert bench.nothing_left()


# -- the whole request


async def test_a_request_that_breaks_off_leaves_nothing(bench: Bench) -> None:
    async def broken() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom(sop="1"), dicom(sop="2"), dicom(sop="3")]):
            yield upload
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await bench.receiver().receive(broken())
    assert bench.nothing_left()


@pytest.mark.parametrize("unit", [100, 1 << 20])
@pytest.mark.parametrize("sent", [0, 1, 5, 14])
async def test_a_client_that_leaves_at_any_moment_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, unit: int, sent: int
) -> None:
    monkeypatch.setattr(receive, "UNIT", unit)
    left = asyncio.Event()

    async def body(data: bytes) -> AsyncIterator[bytes]:
        for number in range(sent):
            yield data[100 * number : 100 * number + 100]
        left.set()
        await asyncio.sleep(3600)

    async def requests() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom(sop="1"), dicom(sop="2")]):
            yield upload
        yield Upload(3, identity(dicom(sop="3")), body(dicom(sop="3")))

    receiving = asyncio.ensure_future(bench.receiver().receive(requests()))
    await left.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert bench.nothing_left()


async def test_a_client_that_leaves_while_a_file_is_synced_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        reached.set()
        go.wait(30)

    monkeypatch.setattr(os, "fdatasync", slow)
    receiving = asyncio.ensure_future(bench.receiver().receive(uploads([dicom()])))
    await asyncio.to_thread(reached.wait, 30)
    receiving.cancel()
    await asyncio.sleep(0.01)
    assert not receiving.done()  # the file is still being written: nothing may outlive the request
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert bench.nothing_left()


@pytest.mark.parametrize("pieces", [1, 2, 3])
async def test_a_client_that_leaves_while_a_file_is_written_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """The thread goes on whoever waits for it: its file must be taken away after it, not beside it."""
    monkeypatch.setattr(receive, "UNIT", 200)
    reached, go = threading.Event(), threading.Event()
    write = Incoming.write

    def slow(self: Incoming, some: list[bytes]) -> None:
        reached.set()
        go.wait(30)
        write(self, some)

    monkeypatch.setattr(Incoming, "write", slow)
    data = dicom()
    sent = [data[200 * number : 200 * number + 200] for number in range(pieces)]
    receiving = asyncio.ensure_future(bench.receiver().receive(one(pieces_of(data, *sent))))
    await asyncio.to_thread(reached.wait, 30)
    receiving.cancel()
    await asyncio.sleep(0.01)
    assert not receiving.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert bench.nothing_left()


# -- what waits for the commit


async def test_what_waits_for_the_commit_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [dicom(sop=str(uid), ImageType=["AB"] * 3000) for uid in range(1, 6)]
    receiver = bench.receiver()
    await receiver.receive(uploads(files[:3]))
    assert bench.waiting.held == sum(done.weight for done in receiver.prepared) > 30_000
    monkeypatch.setattr(waiting, "INDEXED", bench.waiting.held * 4 // 3)
    for number, kind in ((3, Busy), (5, TooLarge)):
        other = bench.receiver()
        with pytest.raises(kind):
            await other.receive(uploads(files[:number]))
        other.release()
        if kind is Busy:
            receiver.release()
    assert bench.waiting.held == 0
    await bench.receiver().receive(uploads(files[3:]))
    assert len(incoming(bench.root)) == 3 + 2 and open_below(bench.root / "incoming") == 1


@pytest.mark.parametrize(("unit", "most"), [(100, receive.PIPELINE), (1 << 20, TOGETHER)])
async def test_few_instances_are_synced_while_the_next_one_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, unit: int, most: int
) -> None:
    """A slow disk slows the sender down: nothing piles up."""
    monkeypatch.setattr(receive, "UNIT", unit)
    go = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: go.wait(30))
    asked: list[int] = []

    async def counted() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom(sop=str(uid)) for uid in range(1, 100)]):
            asked.append(upload.part)
            yield upload

    receiver = bench.receiver()
    receiving = asyncio.ensure_future(receiver.receive(counted()))
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert len(asked) == most + 1
    go.set()
    await receiving
    assert len(receiver.prepared) == 99


async def test_abandoning_removes_what_was_received(bench: Bench) -> None:
    receiver = bench.receiver()
    await receiver.receive(uploads([dicom(sop="1"), dicom(sop="2")]))
    await receiver.abandon()
    await receiver.abandon()
    assert bench.nothing_left()
