"""The way to an origin that speaks the API: what counts as an answer, and what is told when something changed there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from unittest.mock import patch

import pytest
from aiohttp import web

from gateway.backends.base import Backend
from gateway.backends.leases import Leases
from gateway.backends.memory import MemoryBackend
from gateway.backends.upstream import relaying
from gateway.backends.upstream.breaker import State, Tripping
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.credentials import Nobody, PassThrough
from gateway.backends.upstream.relaying import Relaying
from gateway.errors import Busy, NotAuthenticated, OriginFailed
from gateway.healthcare.names import StoreName
from tests.origins.endpoints import origin

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _opened(_: StoreName) -> Backend:
    return MemoryBackend()


@asynccontextmanager
async def relaying_to(handler: Handler, *, own: bool = True) -> AsyncIterator[tuple[Relaying, Client, list[str | None]]]:
    told: list[str | None] = []
    async with origin(handler) as server:
        client = Client(str(server.make_url("/")), Nobody() if own else PassThrough(), name="cloud", breaker=Tripping(failures=2, rest=60))
        relay = Relaying(client, Leases(_opened, 1), told.append, idle=5)
        try:
            yield relay, client, told
        finally:
            await relay.aclose()


def answering(status: int, body: bytes = b"{}", **headers: str) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return handle


@pytest.mark.parametrize("status", [200, 201, 404, 409, 412, 429, 500, 503])
async def test_whatever_is_answered_is_the_answer(status: int) -> None:
    async with relaying_to(answering(status, b"said")) as (relay, _, _), relay.ask("GET", "/v1/x?y=%7C", {}, None) as answer:
        assert (answer.status, answer.length, b"".join([piece async for piece in answer.pieces])) == (status, 4, b"said")


async def test_credentials_are_whose_they_are() -> None:
    async with relaying_to(answering(401)) as (relay, _, _):
        with pytest.raises((OriginFailed, NotAuthenticated)):
            async with relay.ask("GET", "/", {}, None):
                raise AssertionError("the gateway's own are no business of the caller's")
    async with (
        relaying_to(answering(401, WWW_Authenticate="Bearer"), own=False) as (relay, _, _),
        relay.ask("GET", "/", {}, None) as answer,
    ):
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_an_origin_that_asks_for_time_again_and_again_is_left_alone() -> None:
    async with relaying_to(answering(503)) as (relay, client, _):
        for _ in range(2):
            async with relay.ask("GET", "/", {}, None) as answer:
                assert answer.status == 503
        assert client.breaker.state is State.OPEN
        with pytest.raises(Busy):
            async with relay.ask("GET", "/", {}, None):
                raise AssertionError("nothing is sent")


async def test_a_body_that_nobody_wants_any_more_is_let_go() -> None:
    """Nobody takes anything from it when the call is over, so its maker can close it."""
    taken: list[bytes] = []

    async def endless() -> AsyncGenerator[bytes, None]:
        while True:
            taken.append(bytes(1 << 16))
            yield taken[-1]
            await asyncio.sleep(0)

    body = endless()
    async with relaying_to(answering(429)) as (relay, _, _):
        async with relay.ask("POST", "/", {}, body) as answer:
            assert answer.status == 429
        count = len(taken)
        await asyncio.sleep(0.05)
        assert len(taken) == count
        await body.aclose()


async def test_changes_are_told_again_for_a_while() -> None:
    with patch.object(relaying, "AGAIN", (0.0, 0.0)):
        async with relaying_to(answering(200)) as (relay, _, told):
            relay.changed(None)
            relay.changed("1.1")
            async with asyncio.timeout(20):
                while len(told) < 4:
                    await asyncio.sleep(0)
            assert told == [None, "1.1", "1.1", "1.1"]


async def test_only_so_many_studies_are_followed() -> None:
    with patch.object(relaying, "FOLLOWED", 3):
        async with relaying_to(answering(200)) as (relay, _, told):
            before = len(asyncio.all_tasks())
            for number in range(50):
                relay.changed(f"1.{number % 10}")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == before + 3
        assert len(told) == 50


async def test_roots_below_share_what_belongs_to_the_origin() -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response()

    async with relaying_to(handle) as (relay, client, _):
        below = client.below("/v1/store/dicomWeb/")
        await (await below.ask("GET", "/studies", transaction="search")).read(10)
        await below.aclose()
        await (await client.ask("GET", "/x", transaction="other")).read(10)
        assert seen == ["/v1/store/dicomWeb/studies", "/x"]
        assert below.breaker is client.breaker and relay.root == client.base
