"""A client behind a proxy that misbehaves, over real sockets: clear errors, few calls, nothing left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from gateway.backends.upstream import client as rooms
from gateway.backends.upstream import retrying
from gateway.backends.upstream.breaker import State, Tripping
from gateway.backends.upstream.client import Client, Timeouts
from gateway.backends.upstream.credentials import Nobody
from gateway.errors import Busy, GatewayError, OriginFailed, OriginTimeout
from tests.origins.endpoints import origin
from tests.origins.faults import Faults, faulty

SIZE = 1 << 20
QUICK = Timeouts(connect=5, first_byte=0.3, idle=0.3)


async def body(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(body=bytes(SIZE))


@asynccontextmanager
async def behind(**settings: Any) -> AsyncIterator[tuple[Client, Faults]]:
    """A client of an origin behind a proxy, and the proxy's faults."""
    async with origin(body) as server, faulty(server.port or 0, "/dicom-web") as proxy:
        made = Client(proxy.base, Nobody(), name="faulty", **settings)
        try:
            yield made, proxy.faults
        finally:
            await made.aclose()


async def get(made: Client, **more: Any) -> int:
    """Bytes of a whole answer."""
    async with await made.ask("GET", "/studies/1", transaction="retrieve", **more) as answer:
        return len(await answer.read(SIZE))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between tries are noted and take no time."""
    noted: list[float] = []

    def pause(*arguments: Any) -> float | None:
        wait = retrying.pause(*arguments)
        if wait is not None:
            noted.append(wait)
        return None if wait is None else 0.0

    monkeypatch.setattr(rooms, "pause", pause)
    return noted


async def test_nothing_is_wrong() -> None:
    async with behind() as (made, faults):
        assert [await get(made) for _ in range(3)] == [SIZE] * 3
        assert faults.requests == 3


@pytest.mark.parametrize("fault", ["reset_after", "end_after"])
@pytest.mark.parametrize("after", [SIZE // 2, SIZE - 1])
async def test_an_answer_that_breaks_off_is_an_error_and_the_next_is_whole(fault: str, after: int) -> None:
    async with behind(in_flight=1) as (made, faults):
        setattr(faults, fault, after)
        with pytest.raises(OriginFailed, match="in the middle of its answer"):
            await get(made)
        assert faults.requests == 1
        faults.heal()
        assert await get(made) == SIZE


async def test_an_answer_that_is_shorter_than_it_claims_is_an_error() -> None:
    async with behind() as (made, faults):
        faults.length = SIZE * 2
        answer = await made.ask("GET", "/", transaction="retrieve")
        assert answer.length == SIZE * 2
        with pytest.raises(OriginFailed, match="in the middle"):
            await answer.read(SIZE * 2)


async def test_of_an_answer_that_is_longer_than_it_claims_nothing_gets_into_the_next() -> None:
    async with behind() as (made, faults):
        faults.length = 1000
        with suppress(OriginFailed):  # what follows is seen at once, or only when the answer has been read
            assert await get(made) == 1000
        faults.heal()
        assert await get(made) == SIZE


async def test_an_answer_that_stops_in_the_middle_is_a_timeout() -> None:
    async with behind(timeouts=QUICK, in_flight=1) as (made, faults):
        faults.hang_after = SIZE // 2
        with pytest.raises(OriginTimeout, match="stopped sending"):
            await get(made)
        faults.heal()
        assert await get(made) == SIZE


async def waited_for(made: Client) -> int:
    """Bytes of an answer that is more than is read ahead, by a reader who comes when all of it has arrived."""
    async with await made.ask("GET", "/studies/1", transaction="retrieve") as answer:
        await asyncio.sleep(QUICK.idle / 3)
        return len(await answer.read(SIZE))


@pytest.mark.parametrize("size", [SIZE // 8, SIZE * 3 // 8, SIZE])
async def test_no_clock_goes_off_on_a_connection_that_waits_for_its_next_call(size: int) -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(size))

    async with origin(handle) as server:
        made = Client(str(server.make_url("/")), Nobody(), name="faulty", timeouts=QUICK)
        for _ in range(2):
            assert await waited_for(made) == size
            await asyncio.sleep(QUICK.idle * 1.5)
        await made.aclose()


async def test_no_clock_of_an_older_answer_goes_off_in_the_middle_of_an_upload() -> None:
    async def dripping() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x"
            await asyncio.sleep(QUICK.idle / 3)

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(SIZE * 3 // 8) if request.method == "GET" else await request.read())

    async with origin(handle) as server:
        made = Client(str(server.make_url("/")), Nobody(), name="faulty", timeouts=QUICK)
        await waited_for(made)
        async with await made.ask("POST", "/studies", transaction="store", body=dripping()) as answer:
            assert await answer.read(SIZE) == b"xxxxx"
        await made.aclose()


async def test_an_origin_that_never_answers_is_a_timeout_and_is_asked_once() -> None:
    async with behind(timeouts=QUICK, in_flight=1) as (made, faults):
        faults.black_hole = True
        for _ in range(2):
            with pytest.raises(OriginTimeout, match="did not answer in time"):
                await get(made)
        assert faults.requests == 2


async def test_a_slow_answer_is_no_failure_while_bytes_come() -> None:
    async with behind(timeouts=QUICK) as (made, faults):
        faults.rate = SIZE
        assert await get(made) == SIZE


async def test_the_whole_call_can_be_bounded() -> None:
    async with behind(timeouts=Timeouts(total=0.3)) as (made, faults):
        faults.rate = SIZE // 10
        with pytest.raises(OriginTimeout):
            await get(made)


async def test_an_origin_that_takes_nothing_is_given_up() -> None:
    async def much() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(SIZE)

    async with behind(timeouts=QUICK) as (made, faults):
        faults.deaf = True
        with pytest.raises(OriginTimeout, match="stopped taking"):
            await made.ask("POST", "/studies", transaction="store", body=much())


async def test_a_slow_sender_is_not_the_origins_fault() -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.2)
            yield b"x"

    async with behind(timeouts=QUICK) as (made, _), await made.ask("POST", "/studies", transaction="store", body=slow()) as answer:
        assert answer.status == 200


async def test_a_name_that_does_not_exist_is_explained(no_pauses: list[float]) -> None:
    made = Client("http://origin.invalid/dicom-web", Nobody(), name="faulty")
    with pytest.raises(OriginFailed, match="name cannot be resolved"):
        await get(made)
    assert len(no_pauses) == 2
    await made.aclose()


# ---------------------------------------------------------------- trying again


async def test_a_hiccup_goes_unnoticed(no_pauses: list[float]) -> None:
    async with behind() as (made, faults):
        faults.status, faults.status_times = 503, 2
        assert await get(made) == SIZE
        assert faults.requests == 3
        assert len(no_pauses) == 2
        assert all(1 <= pause <= 4 for pause in no_pauses)


async def test_retry_after_is_honoured_and_passed_on(no_pauses: list[float]) -> None:
    async with behind() as (made, faults):
        faults.status, faults.retry_after = 429, "20"
        with pytest.raises(Busy) as caught:
            await get(made)
        assert caught.value.retry_after == 20
        assert all(20 <= pause <= 21 for pause in no_pauses)
        faults.retry_after = "600"
        before = faults.requests
        with pytest.raises(Busy) as caught:
            await get(made)
        assert caught.value.retry_after == 600
        assert faults.requests == before + 1


async def test_a_storm_of_refusals_makes_few_calls_more(no_pauses: list[float]) -> None:
    async with behind(breaker=Tripping(failures=10**9)) as (made, faults):
        faults.status = 503
        for _ in range(100):
            with pytest.raises(Busy):
                await get(made)
        assert faults.requests <= 120
        assert faults.connections <= 2


async def test_a_body_in_memory_is_sent_again_and_a_stream_that_was_begun_is_not(no_pauses: list[float]) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"x"

    async with behind() as (made, faults):
        faults.status, faults.status_times = 503, 1
        async with await made.ask("POST", "/studies", transaction="store", body=b"x") as answer:
            assert answer.status == 200
        faults.status, faults.status_times = 503, 1
        before = faults.requests
        with pytest.raises(Busy):
            await made.ask("POST", "/studies", transaction="store", body=stream())
        assert faults.requests == before + 1


async def test_a_lost_answer_is_asked_for_again_only_where_that_does_no_harm(no_pauses: list[float]) -> None:
    async with behind() as (made, faults):
        faults.reset_after = 0
        for method, tries in (("GET", 3), ("DELETE", 1), ("POST", 1)):
            before = faults.requests
            with pytest.raises(OriginFailed, match="before it answered"):
                await made.ask(method, "/studies/1", transaction="other")
            assert faults.requests - before == tries, method


async def test_waiting_for_another_try_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "pause", lambda *_: 0.2)
    async with behind(in_flight=1) as (made, faults):
        faults.status, faults.status_times = 503, 1
        first = asyncio.create_task(get(made))
        while not faults.requests:
            await asyncio.sleep(0.01)
        assert await get(made) == SIZE
        assert await first == SIZE


# ---------------------------------------------------------------- the breaker


async def test_an_origin_that_is_down_is_left_alone_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with behind(tries=1, breaker=Tripping(failures=5, rest=60)) as (made, faults):
        faults.reset_after = 0
        for _ in range(5):
            with pytest.raises(OriginFailed):
                await get(made)
        for _ in range(20):
            with pytest.raises(Busy, match="left alone"):
                await get(made)
        assert faults.requests == 5
        faults.heal()
        monkeypatch.setattr(made.breaker, "_clock", lambda: time.monotonic() + 61)
        assert await get(made) == SIZE
        assert made.breaker.state is State.CLOSED


async def test_answers_that_break_in_the_middle_count_too() -> None:
    async with behind(breaker=Tripping(failures=3, rest=60)) as (made, faults):
        faults.reset_after = SIZE // 2
        for _ in range(3):
            with pytest.raises(OriginFailed, match="in the middle"):
                await get(made)
        with pytest.raises(Busy, match="left alone"):
            await get(made)


async def test_what_a_caller_does_wrong_never_opens_the_breaker() -> None:
    async with behind(breaker=Tripping(failures=1)) as (made, faults):
        for status in (400, 401, 403, 404, 406, 409, 410, 413, 415, 500):
            faults.status = status
            with pytest.raises(GatewayError) as caught:
                await get(made)
            assert "left alone" not in caught.value.message


# ---------------------------------------------------------------- what is counted


def counted(series: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(series, {"origin": "faulty"} | labels) or 0.0


async def test_calls_bytes_and_retries_are_counted(no_pauses: list[float]) -> None:
    retrieve = {"transaction": "retrieve"}
    before = {
        "ok": counted("gateway_origin_calls_total", status="200", **retrieve),
        "busy": counted("gateway_origin_calls_total", status="503", **retrieve),
        "received": counted("gateway_origin_received_bytes_total", **retrieve),
        "sent": counted("gateway_origin_sent_bytes_total", transaction="store"),
        "retries": counted("gateway_origin_retries_total"),
    }
    async with behind() as (made, faults):
        faults.status, faults.status_times = 503, 1
        await get(made)
        async with await made.ask("POST", "/studies", transaction="store", body=bytes(1000)):
            assert counted("gateway_origin_in_flight_calls") == 1
    assert counted("gateway_origin_calls_total", status="200", **retrieve) == before["ok"] + 1
    assert counted("gateway_origin_calls_total", status="503", **retrieve) == before["busy"] + 1
    assert counted("gateway_origin_received_bytes_total", **retrieve) == before["received"] + SIZE + len(b"busy")
    assert counted("gateway_origin_sent_bytes_total", transaction="store") == before["sent"] + 1000
    assert counted("gateway_origin_retries_total") == before["retries"] + 1
    assert counted("gateway_origin_in_flight_calls") == 0


async def test_a_timeout_and_a_caller_who_leaves_are_counted() -> None:
    retrieve = {"transaction": "retrieve"}
    timeouts = counted("gateway_origin_calls_total", status="timeout", **retrieve)
    left = counted("gateway_origin_calls_total", status="left", **retrieve)
    async with behind(timeouts=QUICK) as (made, faults):
        faults.black_hole = True
        with pytest.raises(OriginTimeout):
            await get(made)
        task = asyncio.create_task(get(made))
        while faults.requests < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert counted("gateway_origin_calls_total", status="timeout", **retrieve) == timeouts + 1
    assert counted("gateway_origin_calls_total", status="left", **retrieve) == left + 1
    assert counted("gateway_origin_in_flight_calls") == 0


async def test_many_callers_who_leave_at_any_moment_leave_nothing_behind() -> None:
    async with behind(in_flight=4) as (made, faults):
        faults.rate = SIZE * 20
        for number in range(60):
            task = asyncio.create_task(get(made))
            await asyncio.sleep(0.0005 * number)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        faults.heal()
        assert await asyncio.gather(*(get(made) for _ in range(4))) == [SIZE] * 4
        assert counted("gateway_origin_in_flight_calls") == 0
