"""Answers that are kept: never old, never another caller's, never half; and one call for all who ask the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gateway.backends.base import Backend, Health, Served, View
from gateway.backends.cached.cached import Cached
from gateway.backends.cached.disk import DiskTier
from gateway.backends.cached.generations import Generations
from gateway.backends.cached.memory import MemoryTier
from gateway.backends.caller import CALLER, Caller, caller
from gateway.backends.memory import MemoryBackend
from gateway.errors import Busy, GatewayError, NotFound, OriginFailed, OriginTimeout
from tests.backends.cached.behind import Behind, settle, until
from tests.backends.made import FIRST, FRAMES, JSON, dicom, named, query, read, sops, store, uploads, wants
from tests.backends.twice import ROOM, cached

FRAME = wants(View.FRAMES, FRAMES, *FIRST, frames=[1])
METADATA = wants(View.METADATA, JSON, *FIRST)
STUDY = query()


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def behind() -> Behind:
    return Behind()


@pytest.fixture
async def made(behind: Behind, tmp_path: Path, clock: Clock) -> AsyncIterator[Callable[..., Cached]]:
    opened: list[Cached] = []
    defaults: dict[str, Any] = {"clock": clock, "ttl": 60}

    def make(inner: Backend | None = None, **options: Any) -> Cached:
        opened.append(cached(inner or behind, tmp_path, **{**defaults, **options}))
        return opened[-1]

    yield make
    for one in opened:
        await one.aclose()
    assert behind.open == 0 and all(not len(one._reads) and not len(one._searches) for one in opened)


@contextmanager
def asking(authorization: str | None = None, *, fresh: bool = False) -> Any:
    token = CALLER.set(Caller(authorization, fresh))
    try:
        yield
    finally:
        CALLER.reset(token)


async def searched(backend: Cached) -> tuple[bytes, Served]:
    matches = await backend.search(STUDY)
    return matches.results[0], matches.served


async def shown(backend: Cached, what: Any = FRAME) -> tuple[bytes, Served]:
    body = await backend.retrieve(what)
    return await read(body), body.served


ASKS = pytest.mark.parametrize("ask", [searched, shown])
Ask = Callable[[Cached], Any]


@ASKS
async def test_a_second_answer_is_the_first_and_says_how_old_it_is(
    made: Callable[..., Cached], behind: Behind, clock: Clock, ask: Ask
) -> None:
    backend = made()
    assert await ask(backend) == (b"answer", Served("miss"))
    clock.seconds += 12
    assert await ask(backend) == (b"answer", Served("hit", 12))
    assert behind.calls == 1


@ASKS
async def test_what_others_write_behind_our_back_shows_after_its_time(
    made: Callable[..., Cached], behind: Behind, clock: Clock, ask: Ask
) -> None:
    backend = made()
    await ask(backend)
    behind.answer = lambda: b"newer"
    clock.seconds += 60
    assert (await ask(backend))[0] == b"answer"
    clock.seconds += 0.1
    assert await ask(backend) == (b"newer", Served("miss"))
    assert await ask(backend) == (b"newer", Served("hit", 0))


async def test_pixels_may_be_believed_for_longer(made: Callable[..., Cached], behind: Behind, clock: Clock) -> None:
    backend = made(content_ttl=1000)
    behind.media = "application/dicom+json"
    for what in (FRAME, METADATA):
        await shown(backend, what)
    clock.seconds += 500
    assert [(await shown(backend, what))[1].cache for what in (FRAME, METADATA)] == ["hit", "miss"]


async def test_what_is_in_memory_can_be_had_without_asking(made: Callable[..., Cached], behind: Behind, clock: Clock) -> None:
    backend = made()
    assert backend.kept(FRAME) is None
    _, first = await shown(backend)
    clock.seconds += 30
    body = backend.kept(FRAME)
    assert body is not None and (await read(body), body.served) == (b"answer", Served("hit", 30)) and first.cache == "miss"
    with asking(fresh=True):
        assert backend.kept(FRAME) is None
    clock.seconds += 31
    assert backend.kept(FRAME) is None, "too old"
    await shown(backend)
    await backend.delete(named(FIRST[0]))
    assert backend.kept(FRAME) is None, "the study was written to"
    assert behind.calls == 3


async def test_a_cache_keeps_the_kinds_that_it_is_for(made: Callable[..., Cached], behind: Behind) -> None:
    backend = made(kinds={View.FRAMES: "transcoded"}, scope=lambda: "pixels")
    for what, answers in ((FRAME, ["miss", "hit"]), (METADATA, [None, None])):
        assert [(await shown(backend, what))[1].cache for _ in range(2)] == answers
    assert behind.calls == 3


@ASKS
async def test_no_cache_asks_anew_and_what_it_gets_is_for_all(made: Callable[..., Cached], behind: Behind, ask: Ask) -> None:
    backend = made()
    await ask(backend)
    behind.answer = lambda: b"newer"
    with asking(fresh=True):
        assert await ask(backend) == (b"newer", Served("miss"))
    assert await ask(backend) == (b"newer", Served("hit", 0))
    assert behind.calls == 2


# -- one call for all


@ASKS
async def test_500_who_ask_the_same_make_one_call(made: Callable[..., Cached], behind: Behind, ask: Ask) -> None:
    backend = made(name="stampede")
    behind.gate.clear()
    waiting = [asyncio.create_task(ask(backend)) for _ in range(500)]
    await settle()
    behind.gate.set()
    assert {answer[0] for answer in await asyncio.gather(*waiting)} == {b"answer"}
    assert behind.calls == 1
    kind = "search" if ask is searched else "frames"
    assert REGISTRY.get_sample_value("gateway_cache_coalesced_answers_total", {"store": "stampede", "kind": kind}) == 499
    assert REGISTRY.get_sample_value("gateway_cache_miss_answers_total", {"store": "stampede", "kind": kind}) == 1


@ASKS
async def test_who_leaves_takes_nobody_with_him(made: Callable[..., Cached], behind: Behind, ask: Ask) -> None:
    backend = made()
    behind.gate.clear()
    waiting = [asyncio.create_task(ask(backend)) for _ in range(3)]
    await settle()
    waiting[0].cancel()
    await settle()
    behind.gate.set()
    assert [answer[0] for answer in await asyncio.gather(*waiting[1:])] == [b"answer"] * 2
    assert behind.calls == 1


@ASKS
async def test_when_all_have_left_the_call_ends(made: Callable[..., Cached], behind: Behind, ask: Ask) -> None:
    backend = made()
    behind.gate.clear()
    waiting = [asyncio.create_task(ask(backend)) for _ in range(3)]
    await settle()
    for one in waiting:
        one.cancel()
    await settle()
    assert not len(backend._reads) and not len(backend._searches)


@ASKS
async def test_a_failure_reaches_all_and_is_kept_for_nobody(made: Callable[..., Cached], behind: Behind, ask: Ask) -> None:
    backend = made()
    behind.gate.clear()
    behind.error = NotFound("there is no such study")
    waiting = [asyncio.create_task(ask(backend)) for _ in range(20)]
    await settle()
    behind.gate.set()
    assert {type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)} == {NotFound}
    behind.error = None
    assert await ask(backend) == (b"answer", Served("miss"))


# -- writes


async def test_whoever_asks_after_a_write_never_joins_a_call_from_before(made: Callable[..., Cached], behind: Behind) -> None:
    backend = made()
    behind.gate.clear()
    early = [asyncio.create_task(searched(backend)), asyncio.create_task(shown(backend))]
    await settle()
    await store(backend, dicom())
    behind.answer = lambda: b"newer"
    late = [asyncio.create_task(searched(backend)), asyncio.create_task(shown(backend))]
    await settle()
    behind.gate.set()
    assert [answer[0] for answer in await asyncio.gather(*early, *late)] == [b"answer"] * 2 + [b"newer"] * 2
    assert [(await searched(backend))[0], (await shown(backend))[0]] == [b"newer"] * 2


async def test_what_was_got_while_somebody_wrote_is_not_kept(made: Callable[..., Cached], behind: Behind) -> None:
    backend = made()
    behind.gate.clear()
    waiting = asyncio.create_task(searched(backend))
    await settle()
    await store(backend, dicom())
    behind.gate.set()
    await waiting
    assert len(backend._memory) == 0


@pytest.mark.parametrize("verb", ["store", "store fails", "delete", "delete fails"])
async def test_a_write_drops_all_searches_and_what_is_of_its_study(made: Callable[..., Cached], behind: Behind, verb: str) -> None:
    backend = made()
    other = wants(View.FRAMES, FRAMES, "1.2", "1", "1", frames=[1])
    await searched(backend)
    await shown(backend)
    await shown(backend, other)
    behind.error = OriginFailed("it broke off") if "fails" in verb else None
    try:
        await (store(backend, dicom()) if "store" in verb else backend.delete(named("1.1")))
    except OriginFailed:
        assert "fails" in verb
    behind.error = None
    caches = [(await searched(backend))[1].cache, (await shown(backend))[1].cache, (await shown(backend, other))[1].cache]
    assert caches == ["miss", "miss", "hit"]


async def test_a_write_that_is_refused_before_it_began_drops_nothing(made: Callable[..., Cached], behind: Behind) -> None:
    class Refusing(Behind):
        async def store(self, uploads: Any) -> Any:
            raise Busy("the breaker is open")

    backend = made(Refusing())
    await searched(backend)
    with pytest.raises(Busy):
        await store(backend, dicom())
    assert (await searched(backend))[1].cache == "hit"


async def test_stored_then_searched_a_thousand_times_in_two_workers(tmp_path: Path) -> None:
    """Each has stamps and a memory of its own, as processes have; a third one asks all the time and fills both."""
    inner = MemoryBackend()
    workers = [cached(inner, tmp_path, memory=MemoryTier(ROOM)) for _ in range(2)]
    everything, running = query("instance", limit="1000"), True

    async def hammer(worker: Cached) -> None:
        while running:
            await worker.search(everything)
            await asyncio.sleep(0)

    hammering = [asyncio.create_task(hammer(worker)) for worker in workers]
    chance = Random(7)
    there: set[str] = set()
    for number in range(1000):
        writer, reader = chance.choice(workers), chance.choice(workers)
        sop = f"1.1.1.{number % 40}"
        if sop in there:
            await writer.delete(named("1.1", "1.1.1", sop))
            there.discard(sop)
        else:
            assert len((await store(writer, dicom(sop=sop))).stored) == 1
            there.add(sop)
        assert set(await sops(reader)) == there
        assert (await reader.search(query("instance"))).served.cache == "hit"
    running = False
    await asyncio.gather(*hammering)
    for worker in workers:
        await worker.aclose()


# -- callers


async def test_two_callers_with_other_rights_never_see_each_others_bytes(made: Callable[..., Cached], behind: Behind) -> None:
    backend = made(scope=lambda: caller().scope, ttl=5)
    behind.answer = lambda: (caller().authorization or "nobody").encode()
    behind.pieces = 3
    chance = Random(11)

    async def one(number: int) -> None:
        who = chance.choice(["Bearer a", "Bearer b"])
        token = CALLER.set(Caller(who, chance.random() < 0.05))
        try:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            what = wants(View.FRAMES, FRAMES, *FIRST, frames=[chance.randrange(1, 4)])
            found = (await searched(backend) if chance.random() < 0.5 else await shown(backend, what))[0]
            assert found == who.encode()
            if chance.random() < 0.02:
                backend._generations.bump("default", FIRST[0])
        finally:
            CALLER.reset(token)

    for start in range(0, 10_000, 200):
        await asyncio.gather(*[one(number) for number in range(start, start + 200)])
        made_clock = backend._clock
        assert isinstance(made_clock, Clock)
        made_clock.seconds += 1
    assert behind.calls < 2_000


async def test_callers_with_the_same_credentials_share(made: Callable[..., Cached], behind: Behind) -> None:
    backend = made(scope=lambda: caller().scope)
    for _ in range(3):
        with asking("Bearer a"):
            await searched(backend)
    assert behind.calls == 1


async def test_stores_of_one_process_share_the_room_and_nothing_else(tmp_path: Path) -> None:
    memory, stamps = MemoryTier(ROOM), Generations(tmp_path / "stamps")
    stores = {name: cached(Behind(name.encode), tmp_path, name=name, memory=memory, generations=stamps) for name in ("a", "b")}
    for _ in range(2):
        for name, backend in stores.items():
            assert (await searched(backend))[0] == (await shown(backend))[0] == name.encode()
    assert len(memory) == 4


# -- failures


@ASKS
@pytest.mark.parametrize("error", [OriginFailed("down"), OriginTimeout("slow"), Busy("overrun")])
async def test_an_old_answer_stands_in_and_is_marked(
    made: Callable[..., Cached], behind: Behind, clock: Clock, ask: Ask, error: GatewayError
) -> None:
    backend = made(name="pacs", stale_if_error=100)
    await ask(backend)
    behind.error = error
    clock.seconds += 61
    data, served = await ask(backend)
    assert (data, served.cache, served.age) == (b"answer", "stale", 61)
    assert served.warnings == ("the store 'pacs' cannot be asked at the moment; this is what it answered 61 seconds ago",)
    with asking(fresh=True), pytest.raises(type(error)):
        await ask(backend)
    clock.seconds += 100
    with pytest.raises(type(error)):
        await ask(backend)
    behind.error = None
    assert (await ask(backend))[1].cache == "miss"


@ASKS
async def test_no_old_answer_stands_in_for_a_verdict_or_after_a_write(
    made: Callable[..., Cached], behind: Behind, clock: Clock, ask: Ask
) -> None:
    backend = made(stale_if_error=100)
    await ask(backend)
    clock.seconds += 61
    behind.error = NotFound("there is no such study")
    with pytest.raises(NotFound):
        await ask(backend)
    behind.error = None
    await store(backend, dicom())
    behind.error = OriginFailed("down")
    with pytest.raises(OriginFailed):
        await ask(backend)


async def test_what_says_that_something_is_missing_is_not_kept(made: Callable[..., Cached], behind: Behind) -> None:
    backend = made()
    behind.served = Served(warnings=("a member does not answer",))
    for _ in range(2):
        assert await searched(backend) == (b"answer", Served("miss", 0, behind.served.warnings))
        assert await shown(backend) == (b"answer", Served("miss", 0, behind.served.warnings))
    assert behind.calls == 4


@ASKS
async def test_what_was_old_when_it_came_is_as_old_here(made: Callable[..., Cached], behind: Behind, clock: Clock, ask: Ask) -> None:
    backend = made()
    behind.served = Served("hit", 50)
    await ask(backend)
    clock.seconds += 5
    assert (await ask(backend))[1] == Served("hit", 55)
    clock.seconds += 6
    assert (await ask(backend))[1].cache == "miss"


# -- the disk tier


async def test_what_was_kept_answers_after_a_restart_and_for_other_workers(behind: Behind, tmp_path: Path, clock: Clock) -> None:
    for number, expected in enumerate(["miss", "hit"]):
        disk = DiskTier(tmp_path / "disk", ROOM)
        backend = cached(behind, tmp_path, disk=disk, clock=clock, ttl=60)
        body = await backend.retrieve(FRAME)
        assert (await read(body), body.served) == (b"answer", Served("hit", 5) if number else Served("miss"))
        assert body.served.cache == expected
        if number:
            assert (await shown(backend))[1] == Served("hit", 5)
            await store(backend, dicom())
            assert (await shown(backend))[1] == Served("miss")
        await backend.aclose()
        await disk.aclose()
        clock.seconds += 5
    assert behind.calls == 2


async def test_an_old_answer_on_disk_stands_in_too(behind: Behind, tmp_path: Path, clock: Clock) -> None:
    disk = DiskTier(tmp_path / "disk", ROOM)
    first = cached(behind, tmp_path, disk=disk, clock=clock, ttl=60, stale_if_error=100)
    await shown(first)
    await until(lambda: not disk._pending)
    second = cached(behind, tmp_path, disk=disk, clock=clock, ttl=60, stale_if_error=100)
    clock.seconds += 90
    behind.error = OriginFailed("down")
    assert (await shown(second))[1].cache == "stale"
    await disk.aclose()


# -- the rest


@pytest.mark.parametrize(("stale_if_error", "room", "ready"), [(60, ROOM, True), (0, ROOM, False), (60, 0, False)])
async def test_a_store_that_is_down_is_ready_while_old_answers_stand_in(
    made: Callable[..., Cached], behind: Behind, stale_if_error: float, room: int, ready: bool
) -> None:
    backend = made(stale_if_error=stale_if_error, room=room)
    assert await backend.check() == Health(ready=True)
    behind.health = Health(ready=False, writable=False, detail="the origin does not answer")
    found = await backend.check()
    assert (found.ready, found.writable) == (ready, False) and "the origin does not answer" in found.detail


async def test_uploads_arrive_as_they_were_and_are_closed(made: Callable[..., Cached], behind: Behind) -> None:
    files = [dicom(sop=f"1.1.1.{number}") for number in range(5)]
    result = await made().store(uploads(files))
    assert [one.instance.sop for one in result.stored] == behind.stored == [f"1.1.1.{number}" for number in range(5)]


async def test_who_waits_when_all_ends_gets_an_error(behind: Behind, tmp_path: Path) -> None:
    backend = cached(behind, tmp_path)
    behind.gate.clear()
    waiting = [asyncio.create_task(searched(backend)), asyncio.create_task(shown(backend))]
    await settle()
    await backend.aclose()
    assert all(isinstance(error, GatewayError) for error in await asyncio.gather(*waiting, return_exceptions=True))
    assert behind.closed == 1
