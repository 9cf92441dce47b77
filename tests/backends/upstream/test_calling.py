"""One try: what it holds, and what it gives back. What it sends and brings is in test_client.py and test_resilience.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from gateway.backends.caller import CALLER, Caller
from gateway.backends.upstream.breaker import State, Tripping
from gateway.backends.upstream.calling import PATIENT, Call, Calling, Timeouts
from gateway.backends.upstream.failures import Setback
from gateway.backends.upstream.reading import Answer
from gateway.errors import Busy, NotFound, OriginFailed, OriginTimeout
from tests.origins.endpoints import origin


async def playing(request: web.Request) -> web.StreamResponse:
    """Answers with the status that the path names."""
    coding = {"Content-Encoding": "gzip"} if "coded" in request.query else {}
    return web.Response(status=int(request.path.strip("/")), body=b"x" * 1000, headers=coding)


@asynccontextmanager
async def calling(most: int = 1, tripping: Tripping = Tripping()) -> AsyncIterator[tuple[Calling, str]]:  # noqa: B008 - frozen
    async with origin(playing) as server:
        made = Calling("tried", tripping, most, own=True, tls=None)
        try:
            yield made, str(server.make_url("/"))
        finally:
            await made.aclose()


def call(base: str, path: str) -> Call:
    from yarl import URL

    return Call("GET", URL(base + path), "other", None, None, (200,), (PATIENT, PATIENT.of_aiohttp()))


def in_flight() -> float | None:
    return REGISTRY.get_sample_value("gateway_origin_in_flight_calls", {"origin": "tried"})


async def test_an_answer_holds_its_place_and_a_setback_does_not() -> None:
    async with calling() as (made, base):
        for _ in range(3):
            for path in ("404", "500", "503", "200?coded=1"):
                assert isinstance(await made.once(call(base, path), {}), Setback)
                assert in_flight() == 0
        answer = await made.once(call(base, "200"), {})
        assert isinstance(answer, Answer)
        assert in_flight() == 1
        waiting = asyncio.create_task(made.once(call(base, "200"), {}))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await answer.aclose()
        other = await waiting
        assert isinstance(other, Answer)
        await other.aclose()
        assert in_flight() == 0


@pytest.mark.parametrize(
    ("path", "kind", "again", "crowded"),
    [
        ("404", NotFound, False, False),
        ("500", OriginFailed, False, False),
        ("502", OriginFailed, True, False),
        ("504", OriginFailed, True, False),
        ("429", Busy, True, True),
        ("503", Busy, True, True),
    ],
)
async def test_a_refusal_says_whether_to_try_again(path: str, kind: type[Exception], again: bool, crowded: bool) -> None:
    async with calling() as (made, base):
        setback = await made.once(call(base, path), {})
        assert isinstance(setback, Setback)
        assert isinstance(setback.error, kind)
        assert (setback.again, setback.crowded) == (again, crowded)


async def test_a_success_counts_when_its_body_has_ended() -> None:
    async with calling(2, Tripping(failures=2)) as (made, base):
        await made.once(call(base, "502"), {})
        answer = await made.once(call(base, "200"), {})
        await made.once(call(base, "502"), {})
        assert made.breaker.state is State.OPEN
        assert isinstance(answer, Answer)
        await answer.aclose()
        with pytest.raises(Busy):
            await made.once(call(base, "200"), {})
        assert in_flight() == 0


async def test_credentials_are_added_by_whoever_calls() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.headers.get("Authorization", ""))

    async with origin(handler) as server:
        made = Calling("tried", Tripping(), 1, own=True, tls=None)
        answer = await made.once(call(str(server.make_url("/")), ""), {"Authorization": "Bearer x"})
        assert isinstance(answer, Answer)
        assert await answer.read(100) == b"Bearer x"
        await made.aclose()


@pytest.mark.parametrize("drip", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"x"])
async def test_an_origin_that_never_comes_to_the_end_of_its_headers_is_late(drip: bytes) -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"" if drip.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\nX-Long: ")
        with suppress(ConnectionError):
            while True:
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(dripping, "127.0.0.1", 0)
    made = Calling("tried", Tripping(), 1, own=True, tls=None)
    short = Timeouts(connect=0.1, first_byte=0.2)
    port = server.sockets[0].getsockname()[1]
    try:
        asked = replace(call(f"http://127.0.0.1:{port}/", ""), timeouts=(short, short.of_aiohttp()))
        async with asyncio.timeout(30):
            got = await made.once(asked, {})
        assert isinstance(got, Setback) and isinstance(got.error, OriginTimeout)
        assert in_flight() == 0
    finally:
        await made.aclose()
        server.close()


@pytest.mark.parametrize(("own", "scope"), [(True, ""), (False, Caller("Bearer a").scope)])
async def test_an_answer_knows_for_whom_it_is(own: bool, scope: str) -> None:
    async with origin(playing) as server:
        made = Calling("tried", Tripping(), 1, own=own, tls=None)
        token = CALLER.set(Caller("Bearer a"))
        try:
            answer = await made.once(call(str(server.make_url("/")), "200"), {})
            assert isinstance(answer, Answer) and answer.scope == scope
            await answer.aclose()
        finally:
            CALLER.reset(token)
            await made.aclose()
