from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from prometheus_client import Gauge

from gateway import metrics
from gateway.backends.base import Backend
from gateway.backends.memory import MemoryBackend
from gateway.backends.notifying import delivering, rows
from gateway.backends.notifying.delivering import Deliverer, Pace
from gateway.backends.notifying.events import Kind, Message
from gateway.backends.notifying.journal import Journal
from gateway.backends.notifying.rows import Intent
from gateway.backends.notifying.sending import Outcome, Receiver
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound, OriginFailed
from tests.backends.made import dicom, named, store
from tests.backends.notifying.receivers import FAST

T = "projects/p/topics/t"


class Told:
    """A receiver that keeps what it is told, as `answer` says."""

    kind: Kind = "pubsub"
    limit = 3

    def __init__(self, answer: Callable[[Sequence[Message]], Outcome] | None = None) -> None:
        self.batches: list[list[str]] = []
        self.closed = 0
        self._answer = answer or (lambda batch: Outcome(sent=[one.number for one in batch]))

    async def send(self, batch: Sequence[Message]) -> Outcome:
        await asyncio.sleep(0)
        self.batches.append([one.resource.instance or "" for one in batch])
        return self._answer(batch)

    async def aclose(self) -> None:
        self.closed += 1


class Bench:
    """A deliverer with receivers of the test's own."""

    def __init__(self, folder: Path, receivers: dict[str, Receiver], pace: Pace = FAST, backend: Backend | None = None) -> None:
        self.journal = Journal(folder, 1000)
        self.backend = backend or MemoryBackend()
        self.deliverer = Deliverer(self.journal, self._find, receivers.get, pace)
        self.journal.news = self.deliverer.nudge
        self._task: asyncio.Task[None] | None = None

    async def _find(self, name: str) -> Backend:
        if name == "gone":
            raise NotFound("gone")
        return self.backend

    async def add(self, count: int, target: str = T) -> None:
        await self.journal.add("store", (target,), [named("1.1", "1.2", f"1.3.{number}") for number in range(count)], "StoreInstances")

    def begin(self) -> None:
        self._task = asyncio.create_task(self.deliverer.run())

    async def left(self) -> list[rows.Letter]:
        return await self.journal.outbox.read(rows.letters)

    async def until(self, reached: Callable[[list[rows.Letter]], bool]) -> None:
        async with asyncio.timeout(20):
            while not reached(await self.left()):
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        if self._task is not None:
            await self.deliverer.drain()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.journal.aclose()


def empty(left: list[rows.Letter]) -> bool:
    return not left


def test_pauses_double_up_to_a_bound_and_differ() -> None:
    pace = Pace(first=1.0, longest=600.0)
    assert {pace.pause(1) for _ in range(20)} == {1.0}
    many = [pace.pause(20) for _ in range(50)]
    assert len(set(many)) > 1 and min(many) >= 300 and max(many) <= 600
    assert 4 <= pace.pause(4) <= 8


def test_what_a_receiver_asks_for_is_the_least_that_is_waited(tmp_path: Path) -> None:
    deliverer = Bench(tmp_path, {}).deliverer
    assert deliverer._pause(1, Outcome(away="busy", after=120.0)) == 120.0
    assert deliverer._pause(1, Outcome(away="busy")) <= FAST.longest
    assert deliverer._pause(1, Outcome(refused={1: "no"})) == 0
    slow = Deliverer(Journal(tmp_path, 1), Bench(tmp_path, {})._find, lambda key: None, Pace())
    assert slow._pause(50, Outcome(refused={1: "no"})) <= delivering.REFUSING_SECONDS


async def test_batches_are_as_large_as_the_receiver_takes_them(tmp_path: Path) -> None:
    told = Told()
    bench = Bench(tmp_path, {T: told})
    await bench.add(7)
    bench.begin()
    await bench.until(empty)
    assert [len(one) for one in told.batches] == [3, 3, 1]
    assert [sop for batch in told.batches for sop in batch] == [f"1.3.{number}" for number in range(7)]
    await bench.add(1)
    await bench.until(empty)
    await bench.end()
    assert told.closed == 2  # it is held as long as there is something to tell


async def test_one_that_is_down_holds_up_no_other(tmp_path: Path) -> None:
    down, up = Told(lambda batch: Outcome(away="it is down")), Told()
    bench = Bench(tmp_path, {"projects/p/topics/a": down, "projects/p/topics/b": up})
    before = metrics.NOTIFICATIONS_SENT.labels("pubsub")._value.get()
    await bench.add(2, "projects/p/topics/a")
    await bench.add(2, "projects/p/topics/b")
    bench.begin()
    await bench.until(lambda left: len(left) == 2 and {one.reason for one in left} == {"it is down"})
    assert [one.message.attempts for one in await bench.left()] == [0, 0]
    assert metrics.NOTIFICATIONS_SENT.labels("pubsub")._value.get() == before + 2
    await bench.end()


async def test_what_is_refused_is_tried_so_often_and_overtaken(tmp_path: Path) -> None:
    def answer(batch: Sequence[Message]) -> Outcome:
        refused = {one.number: "it answered 404" for one in batch if one.resource.instance == "1.3.0"}
        return Outcome(sent=[one.number for one in batch if one.number not in refused], refused=refused)

    told = Told(answer)
    bench = Bench(tmp_path, {T: told}, Pace(0.01, 0.05, attempts=4))
    await bench.add(4)
    bench.begin()
    await bench.until(lambda left: len(left) == 1 and left[0].dead)
    assert sum(one.count("1.3.0") for one in told.batches) == 4
    await bench.end()


async def test_a_webhook_that_nobody_names_any_more_is_set_aside(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    await bench.add(2, "webhook old.example 00")
    bench.begin()
    await bench.until(lambda left: all(one.dead and one.reason == delivering.GONE for one in left))
    await bench.end()


async def test_who_has_not_the_lock_sends_nothing(tmp_path: Path) -> None:
    told = Told()
    bench = Bench(tmp_path, {T: told})
    await bench.add(1)
    with (tmp_path / "deliver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bench.begin()
        await asyncio.sleep(0.1)
        assert told.batches == []
        await bench.end()
    assert told.batches == []


async def test_an_end_waits_a_moment_for_what_is_under_way_and_no_longer(tmp_path: Path) -> None:
    class Hanging(Told):
        async def send(self, batch: Sequence[Message]) -> Outcome:
            self.batches.append([])
            await asyncio.sleep(3600)
            return Outcome()

    told = Hanging()
    bench = Bench(tmp_path, {T: told}, Pace(drain=0.05))
    await bench.add(1)
    bench.begin()
    while not told.batches:
        await asyncio.sleep(0.005)
    async with asyncio.timeout(20):
        await bench.end()
    assert told.closed == 1


async def test_what_a_killed_process_left_open_is_found_out(tmp_path: Path) -> None:
    told = Told()
    bench = Bench(tmp_path, {T: told})
    await store(bench.backend, dicom())
    there, absent = named("1.1", "1.1.1", "1.1.1.1"), named("1.1", "1.1.1", "1.1.1.2")
    for number, (where, owner) in enumerate([("store", 77), ("gone", 77), ("store", (await bench.journal.owners()).me)]):
        intent = Intent(number + 1, owner, where, (T,), "StoreInstances", (there, absent))
        await bench.journal.outbox.run(lambda db, intent=intent: rows.intend(db, intent, 100))  # type: ignore[misc]  # bound now
    bench.begin()
    async with asyncio.timeout(20):
        while len(await bench.journal.outbox.read(rows.intents)) > 1 or not told.batches:
            await asyncio.sleep(0.005)
    assert told.batches == [["1.1.1.1"]]
    assert [one.number for one in await bench.journal.outbox.read(rows.intents)] == [3]  # its process lives
    await bench.end()


async def test_what_was_cut_off_here_is_found_out_as_soon_as_the_store_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "FOLLOW_SECONDS", 0.01)
    told, backend = Told(), MemoryBackend()
    bench = Bench(tmp_path, {T: told}, backend=backend)
    await store(backend, dicom())
    search, down = backend.search, True

    async def sometimes(query: object) -> object:
        if down:
            raise OriginFailed("down")
        return await search(query)  # type: ignore[arg-type]  # it is a query

    monkeypatch.setattr(backend, "search", sometimes)
    bench.journal.abandon(await bench.journal.intend("store", (T,), [Resource("1.1", "1.1.1", "1.1.1.1")], "StoreInstances"))
    bench.begin()
    await asyncio.sleep(0.1)
    assert told.batches == []
    down = False
    async with asyncio.timeout(20):
        while not told.batches:
            await asyncio.sleep(0.005)
    assert bench.journal.abandoned == set()
    await bench.end()


async def test_figures_tell_how_much_waits_and_for_how_long(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    await bench.add(3)
    await bench.add(2, "webhook a 1")
    await bench.journal.outbox.run(lambda db: rows.set_aside(db, "webhook a 1", "no"))
    await bench.deliverer._measure()

    def of(gauge: Gauge, kind: str) -> float:
        return float(gauge.labels(kind)._value.get())

    assert (of(metrics.NOTIFICATIONS_WAITING, "pubsub"), of(metrics.NOTIFICATIONS_WAITING, "webhook")) == (3, 0)
    assert (of(metrics.NOTIFICATIONS_SET_ASIDE, "pubsub"), of(metrics.NOTIFICATIONS_SET_ASIDE, "webhook")) == (0, 2)
    assert of(metrics.NOTIFICATIONS_OLDEST_SECONDS, "pubsub") >= 0 == of(metrics.NOTIFICATIONS_OLDEST_SECONDS, "webhook")
    await bench.end()
