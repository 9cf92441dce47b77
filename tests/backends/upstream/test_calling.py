"""One try: what it holds, and what it gives back. What it sends and brings is in test_client.py and test_resilience.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from gateway.backends.upstream.breaker import State, Tripping
from gateway.backends.upstream.calling import PATIENT, Call, Calling
from gateway.backends.upstream.failures import Setback
from gateway.backends.upstream.reading import Answer
from gateway.errors import Busy, NotFound, OriginFailed
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
