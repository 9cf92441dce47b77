from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gateway.backends.spool import deliveries, delivering
from gateway.backends.spool.delivering import Pace
from gateway.backends.spool.routing import Route
from gateway.backends.spool.spooled import Spooled
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy, GatewayError, OriginFailed, StoreUnavailable
from tests.backends.made import dicom, sops, store, study
from tests.backends.spool.processes import start
from tests.backends.spool.spools import DOWN, Destination, is_empty, letters, settled, spooled, until

Open = Callable[..., Spooled]


@pytest.fixture
async def open_spool(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the spool of one folder, as often as it is called."""
    opened: list[Spooled] = []

    def one(*destinations: Destination, **chosen: Any) -> Spooled:
        opened.append(spooled(tmp_path / "spool", *destinations, **chosen))
        return opened[-1]

    yield one
    for spool in opened:
        if not spool._local._writer._closed:
            await spool.aclose()


async def test_everything_arrives_in_batches_of_a_study(open_spool: Open) -> None:
    origin = Destination()
    origin.error = DOWN
    spool = open_spool(origin, batch=3)
    await store(spool, *study("1.1"), *study("1.2", series=1))
    await until(lambda: spool._leader._destinations[0].failures > 1)
    origin.error = None
    await settled(spool)
    assert origin.requests == [["1.1.1.1", "1.1.1.2", "1.1.2.1"], ["1.1.2.2"], ["1.2.1.1", "1.2.1.2"]]


async def test_an_origin_that_is_down_for_a_while_gets_everything_and_blames_nobody(open_spool: Open) -> None:
    origin = Destination()
    origin.error = DOWN
    spool = open_spool(origin, attempts=1)
    for number in range(20):
        await store(spool, dicom(sop=f"1.1.1.{number}"))
    leader = spool._leader._destinations[0]
    await until(lambda: leader.failures > 5)
    assert {one.dead for one in await letters(spool)} <= {0} and len(await letters(spool)) == 20
    origin.error = None
    await settled(spool)
    assert len(await sops(origin)) == 20


@pytest.mark.parametrize("from_the_start", [True, False])
async def test_that_an_origin_is_down_is_logged_once_with_its_reason(
    open_spool: Open, monkeypatch: pytest.MonkeyPatch, from_the_start: bool
) -> None:
    logged: list[tuple[str, Any]] = []
    monkeypatch.setattr(delivering.log, "warning", lambda event, **more: logged.append((event, more["error"])))
    origin = Destination()
    spool = open_spool(origin)
    if not from_the_start:
        await store(spool, dicom())
        await settled(spool)
    origin.error = DOWN
    await store(spool, dicom(sop="1.1.1.2"))
    await until(lambda: spool._leader._destinations[0].failures > 2)
    assert logged == [("spool_waits", DOWN.message)]


@pytest.mark.parametrize("error", [Busy("full", 1), StoreUnavailable("no disk")])
async def test_who_wants_nothing_now_is_asked_later(open_spool: Open, error: GatewayError) -> None:
    origin = Destination()
    origin.store_error = error
    spool = open_spool(origin, attempts=1)
    await store(spool, dicom())
    await until(lambda: len(origin.requests) > 2)
    assert [one.attempts for one in await letters(spool)] == [0]
    origin.store_error = None
    await settled(spool)
    assert await sops(origin) == ["1.1.1.1"]


async def test_what_is_refused_for_good_is_set_aside_with_its_reason(open_spool: Open) -> None:
    origin = Destination()
    origin.refuses["1.1.1.2"] = Reason.CANNOT_UNDERSTAND
    spool = open_spool(origin)
    await store(spool, *study("1.1"))
    await until(lambda: _all_dead(spool))
    (letter,) = await letters(spool)
    assert (letter.sop, letter.attempts, letter.reason) == ("1.1.1.2", 1, "C000: not wanted")
    assert len(await sops(origin)) == 3 and len(await sops(spool)) == 4
    await asyncio.sleep(0.1)
    assert [request for request in origin.requests if "1.1.1.2" in request] == origin.requests[:1]


async def _all_dead(spool: Spooled) -> bool:
    found = await letters(spool)
    return bool(found) and all(one.dead for one in found)


async def test_what_is_refused_too_often_is_set_aside_and_may_come_again(open_spool: Open) -> None:
    origin = Destination()
    origin.refuses["1.1.1.1"] = Reason.PROCESSING_FAILURE
    spool = open_spool(origin, attempts=3)
    await store(spool, dicom())
    await until(lambda: _all_dead(spool))
    (letter,) = await letters(spool)
    assert (letter.attempts, letter.reason, len(origin.requests)) == (3, "0110: not wanted", 3)
    origin.refuses.clear()
    assert len((await store(spool, dicom())).stored) == 1  # who sends it again wants it delivered
    await settled(spool)
    assert await sops(origin) == ["1.1.1.1"]


async def test_an_instance_that_breaks_the_connection_harms_no_other(open_spool: Open) -> None:
    origin = Destination()
    origin.refuses["1.1.1.2"] = OriginFailed("The origin closed the connection.")
    spool = open_spool(origin, attempts=3)
    await store(spool, *study("1.1"))
    await until(lambda: _all_dead(spool))
    (letter,) = await letters(spool)
    assert letter.sop == "1.1.1.2" and letter.reason == "The origin closed the connection."
    assert sorted(await sops(origin)) == ["1.1.1.1", "1.1.2.1", "1.1.2.2"]


async def test_an_instance_that_kills_the_origin_is_found_out(open_spool: Open) -> None:
    """With one of them it goes down each time; whoever just was on the way with it is not blamed."""

    class Killing(Destination):
        async def store(self, uploads: Any) -> Any:
            try:
                return await super().store(uploads)
            except OriginFailed:
                self.error = DOWN
                asyncio.get_running_loop().call_later(0.05, setattr, self, "error", None)
                raise

    origin = Killing()
    origin.refuses["1.1.2.1"] = OriginFailed("The origin closed the connection.")
    spool = open_spool(origin, attempts=2)
    await store(spool, *study("1.1"))
    await until(lambda: _all_dead(spool))
    assert [(one.sop, one.attempts) for one in await letters(spool)] == [("1.1.2.1", 2)]
    await until(lambda: origin.error is None)
    assert sorted(await sops(origin)) == ["1.1.1.1", "1.1.1.2", "1.1.2.2"]


async def test_what_is_stored_and_not_returned_stays(open_spool: Open) -> None:
    origin = Destination()
    origin.forgets = True
    spool = open_spool(origin)
    await store(spool, dicom())
    await until(lambda: len(origin.requests) > 1)
    assert not await is_empty(spool)
    origin.forgets = False
    await settled(spool)
    assert await sops(origin) == ["1.1.1.1"]


async def test_routes_lead_to_several_and_one_that_is_down_holds_up_no_other(open_spool: Open) -> None:
    origin, research = Destination(), Destination()
    research.error = DOWN
    routes = [Route({"Modality": "CT", "BodyPartExamined": "HEAD"}, ("other1", "default"))]
    spool = open_spool(origin, research, routes=routes)
    await store(spool, dicom(BodyPartExamined="HEAD"), dicom("1.2", "1.2.1", "1.2.1.1", BodyPartExamined="FOOT"))
    await until(lambda: _is_left(spool, ["other1"]))
    assert await sops(origin) == ["1.1.1.1", "1.2.1.1"]
    research.error = None
    await settled(spool)
    assert await sops(research) == ["1.1.1.1"]


async def _is_left(spool: Spooled, destinations: list[str]) -> bool:
    return [one.destination for one in await letters(spool)] == destinations


async def test_the_sending_application_routes(open_spool: Open) -> None:
    origin, research = Destination(), Destination()
    spool = open_spool(origin, research, routes=[Route({"SourceApplicationEntityTitle": "CT*"}, ("other1",))])
    data = dicom()
    at = data.index(b"\x02\x00\x12\x00UI")
    length = int.from_bytes(data[140:144], "little") + 14
    sent = data[:140] + length.to_bytes(4, "little") + data[144:at] + b"\x02\x00\x16\x00AE\x06\x00CT_ONE" + data[at:]
    await store(spool, sent, dicom("1.2", "1.2.1", "1.2.1.1"))
    await settled(spool)
    assert await sops(research) == ["1.1.1.1"] and await sops(origin) == ["1.2.1.1"]


async def test_a_delete_overtakes_a_delivery_that_is_under_way(open_spool: Open) -> None:
    origin = Destination()
    origin.gate.clear()
    spool = open_spool(origin)
    await store(spool, *study("1.1"))
    await origin.landed.wait()
    deleting = asyncio.create_task(spool.delete(Resource("1.1", "1.1.1")))
    await until(lambda: _is_withdrawing(spool))
    origin.gate.set()
    assert await deleting == 2
    await settled(spool)
    assert await sops(origin) == await sops(spool) == ["1.1.2.1", "1.1.2.2"]


async def _is_withdrawing(spool: Spooled) -> bool:
    return await spool._local.read(lambda db: deliveries.is_withdrawing(db, Resource("1.1")))


async def test_a_delete_that_was_cut_off_is_caught_up_with(open_spool: Open) -> None:
    """The delivery that was under way when it was deleted arrives, but its process dies; the next one takes it back."""
    origin = Destination()
    spool = open_spool(origin, delivers=False)
    await store(spool, dicom())
    await spool._local.write(lambda db: deliveries.send(db, "default", [1]))
    await store(origin, dicom())
    await spool._local.delete(Resource("1.1"))
    open_spool(origin)
    await until(lambda: _has_nothing(origin))


async def _has_nothing(origin: Destination) -> bool:
    return not await sops(origin)


async def test_of_two_workers_one_delivers_and_the_other_follows(open_spool: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "FOLLOW_SECONDS", 0.05)
    monkeypatch.setattr(delivering, "POLL_SECONDS", 0.05)
    seen = [Destination(), Destination()]
    workers = []
    for origin in seen:
        workers.append(open_spool(origin))
        await until(lambda: (workers[0]._local.root / "deliver.lock").exists())
    await asyncio.sleep(0.2)
    await store(workers[1], dicom())
    await settled(workers[1])
    assert (len(seen[0].requests), len(seen[1].requests)) == (1, 0)
    await workers[0].aclose()
    await store(workers[1], dicom("1.2", "1.2.1", "1.2.1.1"))
    await settled(workers[1])
    assert (len(seen[0].requests), len(seen[1].requests)) == (1, 1)


async def test_when_the_leading_process_is_killed_another_one_leads(
    open_spool: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "FOLLOW_SECONDS", 0.05)
    child = start("lead", tmp_path)
    assert child.stdout is not None
    assert await asyncio.to_thread(child.stdout.readline) == b"leads\n"
    origin = Destination()
    spool = open_spool(origin)
    await store(spool, dicom())
    await asyncio.sleep(0.2)
    assert not origin.requests
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    await settled(spool)
    assert await sops(origin) == ["1.1.1.1"]


async def test_what_goes_wrong_in_the_spool_itself_ends_nothing(open_spool: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "POLL_SECONDS", 0.01)
    failures: list[Exception] = [StoreUnavailable("no disk"), RuntimeError("a mistake"), Busy("locked")]
    fresh = deliveries.fresh

    def failing(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return fresh(*args, **kwargs)

    monkeypatch.setattr(deliveries, "fresh", failing)
    spool = open_spool(Destination())
    await store(spool, dicom())
    await settled(spool)
    assert not failures


async def test_depth_and_age_are_measured(open_spool: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "MEASURE_SECONDS", 0.01)
    origin, other = Destination(), Destination()
    other.error = DOWN
    origin.refuses["1.1.1.1"] = Reason.CANNOT_UNDERSTAND
    spool = open_spool(origin, other, routes=[Route({}, ("default", "other1"))])
    delivered = _sample("delivered_instances_total", "default") or 0.0
    await store(spool, *study("1.1"))
    await until(lambda: _sample("waiting_instances", "other1") == 4 and _sample("dead_instances", "default") == 1)
    assert _sample("waiting_instances", "default") == 0 and (_sample("oldest_seconds", "other1") or 0) > 0
    assert (_sample("delivered_instances_total", "default") or 0) - delivered == 3
    other.error = None
    await until(lambda: _sample("waiting_instances", "other1") == 0)


def _sample(name: str, destination: str) -> float | None:
    return REGISTRY.get_sample_value(f"gateway_spool_{name}", {"store": "default", "destination": destination})


def test_pauses_double_up_to_a_bound_and_differ() -> None:
    pace = Pace(first=1.0, longest=300.0)
    assert all(0.5 * 2**number <= pace.pause(number) <= 2**number for number in range(8))
    assert all(150.0 <= pace.pause(number) <= 300.0 for number in (9, 50, 10_000))
    assert len({pace.pause(3) for _ in range(10)}) > 1


def test_twenty_tries_take_more_than_half_an_hour() -> None:
    """Of an origin that answers and refuses: one that is down may be so for days."""
    pace = Pace()
    assert sum(pace.pause(number) for number in range(pace.attempts)) > 1800
