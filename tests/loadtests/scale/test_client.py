"""The client of the measurement, against a server that says what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from aiohttp import web

from loadtests.scale.client import BASE, Answer, Client, timed, together

TURNS: web.AppKey[list[str | None]] = web.AppKey("turns", list)


async def _answer(request: web.Request) -> web.StreamResponse:
    what = request.match_info["what"]
    if what == "nothing":
        return web.Response(status=204)
    if what == "wrong":
        return web.Response(status=400)
    if what == "pieces":
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(3):
            await response.write(b"x" * 100_000)
        return response
    request.app[TURNS].append(request.headers.get("X-Turn"))
    return web.Response(body=b"x" * 300_000)


@pytest.fixture
async def server() -> AsyncIterator[tuple[int, list[str | None]]]:
    turns: list[str | None] = []
    app = web.Application()
    app[TURNS] = turns
    app.router.add_route("*", BASE + "{what}", _answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1], turns
    await runner.cleanup()


async def test_answers_are_read_whole_on_one_connection(server: tuple[int, list[str | None]]) -> None:
    def ask() -> list[Answer]:
        with closing(Client(server[0])) as client:
            paths = ("something", "nothing", "pieces", "something")
            answers = [client.get(BASE + path, "*/*") for path in paths]
            return [*answers, client.post(BASE + "something", "text/plain", b"body"), client.delete(BASE + "nothing")]

    answers = await asyncio.to_thread(ask)
    assert [answer.status for answer in answers] == [200, 204, 200, 200, 200, 204]
    assert answers[0] == answers[3] == answers[4] == Answer(200, 300_000) and answers[2].size > 300_000


async def test_no_two_requests_are_the_same_bytes(server: tuple[int, list[str | None]]) -> None:
    port, turns = server
    seconds, found = await asyncio.to_thread(together, port, ["something"] * 6 + ["nothing"] * 3, "*/*", 3)
    again, _ = await asyncio.to_thread(timed, port, ["something"] * 2, "*/*")
    assert (len(seconds), found, len(again)) == (9, 6, 2) and len(set(turns)) == len(turns) == 8


@pytest.mark.parametrize("clients", [1, 4])
async def test_a_wrong_answer_ends_the_measurement(server: tuple[int, list[str | None]], clients: int) -> None:
    with pytest.raises(RuntimeError, match="answered 400"):
        await asyncio.to_thread(together, server[0], ["something", "wrong"] * clients, "*/*", clients, timed)
