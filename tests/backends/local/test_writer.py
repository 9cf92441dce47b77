"""The thread that writes: group commit, and what happens when the disk does not."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway import metrics
from gateway.backends.local import schema, writer
from gateway.backends.local.files import Files
from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.local.writer import Writer
from gateway.backends.policy import OnDuplicate
from gateway.backends.sqlite import transaction
from gateway.errors import Busy, OutOfStorage, StoreUnavailable
from tests.backends.local.faults import Fault, blobs, record
from tests.backends.local.ready import prepared
from tests.backends.made import dicom


class Bench:
    """A writer over a fresh folder, and files that were received into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = Files(root)
        self.connect = partial(schema.connect, root / "index.sqlite")
        db = self.connect()
        schema.migrate(db)
        db.close()
        self.first: list[str] = []
        self.writer = Writer(
            self.files, self._connected, OnDuplicate.REJECT, lambda generation: None, lambda db: self.first.append("first")
        )

    def _connected(self) -> sqlite3.Connection:
        self.db = self.connect()
        return self.db

    def received(self, *uids: str, patient: str = "P1") -> list[Prepared]:
        return [self._one(dicom(sop=uid, PatientID=patient)) for uid in uids]

    def _one(self, data: bytes) -> Prepared:
        path = self.files.incoming()
        Path(path).write_bytes(data)
        return prepared(data, path)

    def stored(self) -> list[str]:
        db = self.connect(read_only=True)
        try:
            return [uid for (uid,) in db.execute("SELECT uid FROM instance ORDER BY generation")]
        finally:
            db.close()

    def full(self) -> None:
        """From now on the database cannot grow."""
        self.db.execute(f"PRAGMA max_page_count = {self.db.execute('PRAGMA page_count').fetchone()[0]}")


@pytest.fixture
async def bench(root: Path) -> AsyncIterator[Bench]:
    made = Bench(root)
    yield made
    if not made.writer._closed:
        await made.writer.aclose()
    made.files.close()


class Held:
    """Keeps the writer busy until it is let go, so that jobs queue up behind it."""

    def __init__(self, bench: Bench) -> None:
        self.reached, self._go = threading.Event(), threading.Event()
        self.job = asyncio.ensure_future(bench.writer.run(self._wait))

    def _wait(self, db: sqlite3.Connection) -> None:
        self.reached.set()
        self._go.wait(30)

    async def __aenter__(self) -> Held:
        await asyncio.to_thread(self.reached.wait, 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        await self.job


async def together(bench: Bench, *work: Callable[[], Any]) -> list[Any]:
    """Hands over several jobs before the writer looks at the first one; their results or errors."""
    async with Held(bench):
        jobs = [asyncio.ensure_future(one()) for one in work]
        await asyncio.sleep(0)
    return await asyncio.gather(*jobs, return_exceptions=True)


# -- group commit


async def test_requests_that_wait_share_one_commit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    monkeypatch.setattr(metrics.COMMIT_INSTANCES, "observe", commits.append)
    batches = [bench.received(f"{number}.1", f"{number}.2") for number in range(1, 6)]
    outcomes = await together(bench, *[partial(bench.writer.commit, batch) for batch in batches])
    assert outcomes == [[Outcome.STORED] * 2] * 5
    assert commits == [10]
    assert bench.stored() == [f"{number}.{part}" for number in range(1, 6) for part in (1, 2)]


async def test_one_commit_is_one_lock_one_transaction_and_one_sync_of_the_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.writer.commit(bench.received("1"))
    bench.db.set_trace_callback(lambda sql: calls.append(sql) if sql in ("BEGIN IMMEDIATE", "COMMIT") else None)
    calls = record(monkeypatch)
    batches = [bench.received("2"), bench.received("3")]
    await together(bench, *[partial(bench.writer.commit, batch) for batch in batches])
    folder = f"{bench.root}/blobs/000000"
    expected = [f"rename {bench.files.path(2)}", f"rename {bench.files.path(3)}", f"fsync {folder}"]
    assert calls == ["BEGIN IMMEDIATE", "COMMIT", "BEGIN IMMEDIATE", *expected, "COMMIT"]


async def test_order_is_kept_around_other_work(bench: Bench) -> None:
    seen: list[list[str]] = []

    def look(db: sqlite3.Connection) -> None:
        seen.append([uid for (uid,) in db.execute("SELECT uid FROM instance ORDER BY generation")])

    first, second = bench.received("1"), bench.received("2")
    await together(bench, partial(bench.writer.commit, first), partial(bench.writer.run, look), partial(bench.writer.commit, second))
    assert seen == [["1"]]
    assert bench.stored() == ["1", "2"]


async def test_every_transaction_begins_with_what_it_was_told(bench: Bench) -> None:
    await bench.writer.commit(bench.received("1"))
    await bench.writer.run(lambda db: bench.first.append("work"))
    assert bench.first == ["first", "first", "work"]


async def test_an_odd_request_does_not_cost_its_neighbours(bench: Bench) -> None:
    bench.db.execute("CREATE TRIGGER odd BEFORE INSERT ON instance WHEN NEW.uid = '2' BEGIN SELECT RAISE(ABORT, 'odd'); END")
    outcomes = await together(bench, *[partial(bench.writer.commit, bench.received(uid)) for uid in ("1", "2", "3")])
    assert outcomes[0] == outcomes[2] == [Outcome.STORED]
    assert isinstance(outcomes[1], sqlite3.IntegrityError)
    assert bench.stored() == ["1", "3"] and bench.writer.broken is None


async def test_an_error_after_the_renames_takes_them_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a second try would not find the received files, and the numbers would be taken."""
    publish, fail = bench.files.publish, [True, True]

    def odd(moves: list[tuple[str, int]]) -> None:
        publish(moves)
        if fail and fail.pop():
            raise ValueError("odd")

    monkeypatch.setattr(bench.files, "publish", odd)
    outcomes = await together(bench, *[partial(bench.writer.commit, bench.received(uid)) for uid in ("1", "2")])
    assert isinstance(outcomes[0], ValueError) and outcomes[1] == [Outcome.STORED]
    assert bench.stored() == ["2"] and blobs(bench.root) == ["000000001.dcm"]


async def test_a_large_request_is_committed_in_groups(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP", 3)
    commits: list[int] = []
    monkeypatch.setattr(metrics.COMMIT_INSTANCES, "observe", commits.append)
    assert await bench.writer.commit(bench.received(*map(str, range(1, 9)))) == [Outcome.STORED] * 8
    assert commits == [3, 3, 2]


async def test_work_that_nobody_waits_for_is_dropped_when_the_writer_is_behind(bench: Bench) -> None:
    done: list[int] = []
    async with Held(bench):
        for number in range(writer.POSTED + 10):
            bench.writer.post(partial(_append, done, number))
    await bench.writer.run(lambda db: None)
    assert done == list(range(writer.POSTED))


def _append(done: list[int], number: int, db: sqlite3.Connection) -> None:
    done.append(number)


async def test_work_that_nobody_waits_for_shares_a_transaction_and_waits_for_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GATHER", 0.01)
    begun: list[int] = []
    done: list[int] = []
    monkeypatch.setattr(writer, "transaction", lambda db, work: begun.append(0) or transaction(db, work))  # type: ignore[func-returns-value]  # it counts
    for number in range(5):
        bench.writer.post(partial(_append, done, number))
    async with asyncio.timeout(10):
        while len(done) < 5:
            await asyncio.sleep(0.005)
    assert done == list(range(5)) and len(begun) == 1
    bench.writer.post(partial(_append, done, 5))
    bench.writer.post(lambda db: 1 / 0)
    await bench.writer.aclose()
    assert done[-1] == 5, "what was posted is done before the end, whatever fails beside it"


async def test_work_that_nobody_waits_for_is_done_also_when_a_store_comes_in_between(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GATHER", 0.2)
    done: list[int] = []
    bench.writer.post(partial(_append, done, 1))
    await asyncio.sleep(0.02)  # the thread has seen it, and waits for more
    assert await bench.writer.commit(bench.received("1")) == [Outcome.STORED]
    async with asyncio.timeout(10):
        while not done:
            await asyncio.sleep(0.01)


async def test_errors_of_posted_work_are_nobodys(bench: Bench) -> None:
    bench.writer.post(lambda db: db.execute("no statement"))
    bench.writer.post(lambda db: 1 / 0)
    assert await bench.writer.run(lambda db: 5) == 5


async def test_a_caller_who_left_is_not_told(bench: Bench) -> None:
    async with Held(bench):
        leaving = asyncio.ensure_future(bench.writer.commit(bench.received("1")))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    await bench.writer.run(lambda db: None)
    assert bench.stored() == ["1"]


# -- when the disk does not


@pytest.mark.parametrize(("call", "about"), [("rename", "000000001.dcm"), ("fsync", "/blobs")])
async def test_a_full_disk_costs_a_commit_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, about: str) -> None:
    fault = Fault(monkeypatch, call, errno.ENOSPC, about=about)
    some = bench.received("1")
    assert await bench.writer.commit(some) == [Outcome.NO_ROOM]
    assert bench.stored() == [] and blobs(bench.root) == [] and Path(some[0].path).exists()
    fault.on = False
    assert await bench.writer.commit(some) == [Outcome.STORED]
    assert bench.writer.broken is None


async def test_a_full_database_takes_the_renames_back(bench: Bench) -> None:
    bench.full()
    many = bench.received(*(f"1.{number}" for number in range(200)))
    assert await bench.writer.commit(many) == [Outcome.NO_ROOM] * 200
    assert bench.stored() == [] and blobs(bench.root) == [] and all(Path(one.path).exists() for one in many)
    bench.db.execute("PRAGMA max_page_count = 1000000")
    assert await bench.writer.commit(many) == [Outcome.STORED] * 200


async def test_each_group_of_a_large_request_tells_for_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed before the disk was full is stored, and is not reported as failed."""
    monkeypatch.setattr(writer, "GROUP", 2)
    Fault(monkeypatch, "rename", errno.ENOSPC, about="000000004.dcm")
    outcomes = await bench.writer.commit(bench.received("1", "2", "3", "4", "5"))
    assert outcomes == [Outcome.STORED] * 2 + [Outcome.NO_ROOM] * 2 + [Outcome.STORED]
    assert bench.stored() == ["1", "2", "5"] and len(blobs(bench.root)) == 3


@pytest.mark.parametrize(("call", "about"), [("rename", "000000001.dcm"), ("fsync", "/blobs/000000"), ("fsync", "/blobs")])
async def test_after_a_failed_sync_nothing_is_written_any_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, about: str
) -> None:
    fault = Fault(monkeypatch, call, errno.EIO, about=about)
    with pytest.raises(StoreUnavailable, match="EIO"):
        await bench.writer.commit(bench.received("1"))
    fault.on = False  # a second try may seem to succeed: the kernel has dropped the pages
    for again in (partial(bench.writer.commit, bench.received("2")), partial(bench.writer.run, lambda db: None)):
        with pytest.raises(StoreUnavailable, match="fsck"):
            await again()
    assert bench.writer.broken is not None and "EIO" in bench.writer.broken
    assert bench.stored() == []


async def test_a_failed_sync_of_the_index_leaves_the_blobs_in_place(bench: Bench) -> None:
    """Nobody knows whether the commit comes back after a crash; if it does, its blobs must be there."""

    def lost(db: sqlite3.Connection) -> None:
        bench.files.publish([(some[0].path, 1)])
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise error

    some = bench.received("1")
    with pytest.raises(StoreUnavailable, match="SQLITE_IOERR_FSYNC"):
        await bench.writer.run(lost)
    assert bench.writer.broken is not None
    assert blobs(bench.root) == ["000000001.dcm"]


async def test_a_damaged_index_ends_writing(bench: Bench) -> None:
    def corrupt(db: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"
        raise error

    with pytest.raises(StoreUnavailable, match="SQLITE_CORRUPT"):
        await bench.writer.run(corrupt)
    assert bench.writer.broken is not None


async def test_an_index_that_another_program_keeps_locked_is_busy_and_no_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.01)
    bench = Bench(root)
    outside = schema.connect(root / "index.sqlite")
    outside.execute("BEGIN IMMEDIATE")
    some = bench.received("1")
    with pytest.raises(Busy, match="another program"):
        await bench.writer.commit(some)
    outside.execute("ROLLBACK")
    outside.close()
    assert await bench.writer.commit(some) == [Outcome.STORED]
    await bench.writer.aclose()
    bench.files.close()


async def test_refusing_a_received_file(bench: Bench) -> None:
    assert isinstance(bench.writer.refuse(OSError(errno.ENOSPC, "")), OutOfStorage)
    assert bench.writer.broken is None
    assert isinstance(bench.writer.refuse(OSError(errno.EIO, "")), StoreUnavailable)
    assert bench.writer.broken is not None


# -- the end


async def test_what_was_handed_over_is_done_before_the_end(bench: Bench) -> None:
    async with Held(bench):
        jobs = [asyncio.ensure_future(bench.writer.commit(bench.received(uid))) for uid in ("1", "2")]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(bench.writer.aclose())
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="closing"):
            await bench.writer.commit(bench.received("3"))
    await closing
    assert await asyncio.gather(*jobs) == [[Outcome.STORED]] * 2
    with pytest.raises(sqlite3.ProgrammingError):
        bench.db.execute("SELECT 1")
