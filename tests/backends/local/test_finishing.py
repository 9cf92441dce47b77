"""Small files that share a thread's turn, and a wait for the disk."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.backends.base import Upload
from gateway.backends.local import finishing
from gateway.backends.local.files import Files, storage_error
from gateway.backends.local.finishing import ABREAST, SMALL, TOGETHER, Finisher
from gateway.backends.local.incoming import Incoming, Rules
from gateway.backends.local.prepared import Prepared
from gateway.backends.local.waiting import Waiting
from gateway.dicom.elements import Limits
from gateway.errors import GatewayError, InstanceError, OutOfStorage
from tests import samples
from tests.backends.local.faults import Fault, incoming
from tests.backends.made import dicom, identity, uploads
from tests.backends.resting import open_below


class Bench:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = Files(root)
        self.pool = ThreadPoolExecutor(4)
        self.finisher = Finisher(self.pool)
        self.rules = Rules(Limits(), lambda: True, self._refuse)
        self.waiting = Waiting().request()

    def _refuse(self, error: OSError) -> GatewayError:
        return storage_error(error, "writing")

    def file(self, upload: Upload) -> Incoming:
        return Incoming(self.files, upload, self.rules, self.waiting.take)

    async def finish(self, *files: bytes, size: int | None = None) -> list[Prepared | BaseException]:
        """All of them handed over in one turn of the loop."""
        futures = []
        number = 0
        async for upload in uploads([dicom(sop=str(one + 1)) for one in range(len(files))]):
            futures.append(self.finisher.finish(self.file(upload), [files[number]], size or len(files[number])))
            number += 1
        return await asyncio.gather(*futures, return_exceptions=True)


@pytest.fixture
def bench(root: Path) -> Iterator[Bench]:
    made = Bench(root)
    yield made
    made.pool.shutdown()
    made.files.close()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was asked of the disk, and in which thread."""
    seen: list[tuple[str, int]] = []
    for name in ("writev", "fdatasync"):
        _watch(monkeypatch, name, seen)
    begin = Files.begin_sync

    def begun(self: Files, descriptor: int) -> None:
        seen.append(("begin", threading.get_ident()))
        begin(self, descriptor)

    monkeypatch.setattr(Files, "begin_sync", begun)
    return seen


def _watch(monkeypatch: pytest.MonkeyPatch, name: str, seen: list[tuple[str, int]]) -> None:
    real = getattr(os, name)

    def called(*arguments: object) -> object:
        seen.append((name, threading.get_ident()))
        return real(*arguments)

    monkeypatch.setattr(os, name, called)


async def test_small_files_of_a_moment_are_written_then_begun_then_synced_in_one_thread(bench: Bench, calls: list[tuple[str, int]]) -> None:
    files = [dicom(sop=str(one)) for one in range(1, 6)]
    done = await bench.finish(*files)
    assert [Path(one.path).read_bytes() for one in done if isinstance(one, Prepared)] == files
    assert [name for name, _ in calls] == ["writev"] * 5 + ["begin"] * 5 + ["fdatasync"] * 5
    assert len({thread for _, thread in calls}) == 1


async def test_one_by_itself_is_only_synced(bench: Bench, calls: list[tuple[str, int]]) -> None:
    await bench.finish(dicom())
    assert [name for name, _ in calls] == ["writev", "fdatasync"]


async def test_large_ones_have_a_thread_each(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Barrier(3, timeout=30)
    sync = os.fdatasync

    def together(descriptor: int) -> None:
        gate.wait()  # ends when three threads are in it
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", together)
    done = await bench.finish(*(dicom(sop=str(one)) for one in range(1, 4)), size=SMALL + 1)
    assert all(isinstance(one, Prepared) for one in done)


async def test_the_end_of_a_large_one_and_a_deflated_one_keep_no_small_ones_waiting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their last pieces are few, but the sync of the one and the walk of the other take as long as all of it."""
    turns: list[int] = []
    finished = finishing._finished

    def counted(files: list[tuple[Incoming, list[bytes]]]) -> list[Prepared | Exception]:
        turns.append(len(files))
        return finished(files)

    monkeypatch.setattr(finishing, "_finished", counted)
    small, begun = dicom(sop="1"), dicom(sop="2")
    bomb = samples.ALL["deflated"]()
    made = [bench.file(Upload(part, identity(data), _nothing())) for part, data in enumerate((small, begun, bomb), 1)]
    made[1].write([begun[:200]])
    rest = ([small], [begun[200:]], [bomb])
    done = await asyncio.gather(*(bench.finisher.finish(file, pieces, 100) for file, pieces in zip(made, rest, strict=True)))
    assert [Path(one.path).read_bytes() for one in done] == [small, begun, bomb]
    assert turns == [1]


async def test_what_comes_while_turns_are_at_work_makes_up_the_next_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    go = threading.Event()
    finished = finishing._finished

    def slow(files: list[tuple[Incoming, list[bytes]]]) -> list[Prepared | Exception]:
        turns.append(len(files))
        go.wait(30)
        return finished(files)

    monkeypatch.setattr(finishing, "_finished", slow)
    waiting = []
    for count in (1, 2, 3, 4, TOGETHER):
        waiting.append(asyncio.ensure_future(bench.finish(*(dicom(sop=str(one + 1)) for one in range(count)))))
        await asyncio.sleep(0.02)
    assert turns == [1, 2] and ABREAST == 2
    go.set()
    done = await asyncio.gather(*waiting)
    assert turns[2:] == [TOGETHER, 3 + 4]
    assert [len(some) for some in done] == [1, 2, 3, 4, TOGETHER]
    assert all(isinstance(one, Prepared) for some in done for one in some)


@pytest.mark.parametrize("call", ["open", "writev", "fdatasync"])
@pytest.mark.parametrize("after", [0, 2, 4])
async def test_what_fails_for_one_costs_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, after: int) -> None:
    fault = Fault(monkeypatch, call, errno.ENOSPC, about="/incoming/", after=after)
    done = await bench.finish(*(dicom(sop=str(one)) for one in range(1, 6)))
    fault.on = False
    failed = [number for number, one in enumerate(done) if isinstance(one, OutOfStorage)]
    assert failed[0] == after and all(isinstance(one, (Prepared, OutOfStorage)) for one in done)
    kept = {Path(one.path).name for one in done if isinstance(one, Prepared)}
    assert {Path(path).name for path in incoming(bench.root)} == kept
    assert open_below(bench.root / "incoming") == 1  # the lock of the living


async def test_a_bad_instance_costs_no_other(bench: Bench) -> None:
    files = [dicom(sop="1"), dicom(sop="2")[:-3], b"", dicom(sop="4")]
    done = await bench.finish(*files)
    assert [type(one) for one in done] == [Prepared, InstanceError, InstanceError, Prepared]
    assert len(incoming(bench.root)) == 2 and open_below(bench.root / "incoming") == 1


async def test_whoever_does_not_wait_for_a_sync_gets_none(root: Path, calls: list[tuple[str, int]]) -> None:
    files = Files(root, durable=False)
    pool = ThreadPoolExecutor(2)
    try:
        finisher = Finisher(pool)
        rules = Rules(Limits(), lambda: True, lambda error: storage_error(error, "writing"))
        made = [Upload(one, identity(dicom(sop=str(one))), _nothing()) for one in (1, 2)]
        await asyncio.gather(
            *(finisher.finish(Incoming(files, one, rules, Waiting().request().take), [dicom(sop=str(one.part))], 500) for one in made)
        )
        assert "fdatasync" not in [name for name, _ in calls]
    finally:
        pool.shutdown()
        files.close()


async def _nothing() -> AsyncIterator[bytes]:
    """A body that nobody reads."""
    yield b""


async def test_a_pool_that_has_closed_is_said_to_all_who_wait(bench: Bench) -> None:
    bench.pool.shutdown()
    done = await asyncio.wait_for(bench.finish(dicom(sop="1"), dicom(sop="2")), 10)
    assert [type(one) for one in done] == [RuntimeError, RuntimeError]


async def test_a_pool_that_has_closed_leaves_nothing_of_what_was_written_before(bench: Bench) -> None:
    (upload,) = [one async for one in uploads([dicom()])]
    file = bench.file(upload)
    file.write([dicom()[:200]])
    bench.pool.shutdown()
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(bench.finisher.finish(file, [dicom()[200:]], 100), 10)
    assert not incoming(bench.root) and open_below(bench.root / "incoming") == 1


async def test_one_that_nobody_waits_for_any_more_costs_no_other(bench: Bench) -> None:
    made = [one async for one in uploads([dicom(sop="1"), dicom(sop="2")])]
    files = [bench.file(one) for one in made]
    left, waited = (bench.finisher.finish(file, [dicom(sop=str(number))], 100) for number, file in enumerate(files, 1))
    left.cancel()
    assert (await asyncio.wait_for(waited, 10)).instance.sop == "2"
    assert [type(one) for one in await asyncio.wait_for(bench.finish(dicom(sop="3")), 10)] == [Prepared]


def test_the_disk_is_asked_where_the_system_can(root: Path) -> None:
    """`sync_file_range` is found here, is called for real, and takes what it is given."""
    files = Files(root)
    path = root / "some"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        os.write(descriptor, b"x" * 10_000)
        files.begin_sync(descriptor)
        files.sync_file(descriptor)
        os.close(descriptor)
        files.begin_sync(descriptor)  # it promises nothing, and raises nothing
    finally:
        files.close()
    assert path.read_bytes() == b"x" * 10_000
