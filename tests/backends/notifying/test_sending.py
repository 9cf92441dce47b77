from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.backends.notifying.sending import ANSWER, LONGEST_ASKED, Answer, Caller, retry_after
from gateway.backends.upstream import tls
from tests.backends.upstream.certificates import Authority


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("5", 5.0), (" 7 ", 7.0), ("999999", LONGEST_ASKED), ("-1", None), ("soon", None), ("²", None), (formatdate(0), 0.0)],
)
def test_a_wait_is_read_in_both_spellings(text: str | None, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def test_a_moment_is_a_wait_until_then() -> None:
    found = retry_after(formatdate(time.time() + 100, usegmt=True))
    assert found is not None and 0 < found <= 100


@pytest.mark.parametrize(
    ("status", "taken", "away"),
    [(0, False, True), (200, True, False), (204, True, False), (302, False, False), (400, False, False), (404, False, False)]
    + [(status, False, True) for status in (408, 425, 429, 500, 503)],
)
def test_an_answer_says_whose_fault_it_is(status: int, taken: bool, away: bool) -> None:
    answer = Answer(status, b"", why="down")
    assert (answer.taken, answer.away) == (taken, away)
    assert answer.reason.startswith("it answered" if status else "down")


class Site:
    """A server that answers in one way."""

    def __init__(self, response: web.StreamResponse | None = None) -> None:
        self.requests: list[web.BaseRequest] = []
        self._response = response or web.Response()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return self._response

    async def ask(self, caller: Caller) -> Answer:
        await self.server.start_server()
        try:
            return await caller.post(URL(str(self.server.make_url("/hook"))), b"{}", {"X-One": "1"})
        finally:
            await caller.aclose()
            await self.server.close()


async def test_a_call_is_plain() -> None:
    site = Site()
    assert (await site.ask(Caller(5))).status == 200
    (request,) = site.requests
    assert request.headers["Content-Type"] == "application/json" and request.headers["X-One"] == "1"
    assert request.headers["Accept-Encoding"] == "identity" and "Cookie" not in request.headers


async def test_redirects_are_not_followed() -> None:
    site = Site(web.Response(status=307, headers={"Location": "/elsewhere"}))
    answer = await site.ask(Caller(5))
    assert (answer.status, len(site.requests)) == (307, 1)
    assert "redirects are not followed" in answer.reason


async def test_no_more_of_an_answer_is_read_than_can_matter() -> None:
    answer = await Site(web.Response(body=b"x" * (3 * ANSWER))).ask(Caller(5))
    assert len(answer.body) == ANSWER


async def test_who_cannot_be_reached_or_is_slow_is_away() -> None:
    caller = Caller(0.2)
    answer = await caller.post(URL("http://127.0.0.1:9/"), b"", {})
    assert answer.away and "reached" in answer.reason and "127.0.0.1" not in answer.reason
    await caller.aclose()


async def test_only_a_certificate_that_is_trusted_will_do(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", handler)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=authority.server())
    try:
        for trusted in (False, True):
            caller = Caller(5, tls.context(authority=authority.path) if trusted else None)
            answer = await caller.post(URL(str(server.make_url("/hook"))), b"{}", {})
            assert answer.taken == trusted
            assert trusted or "certificate" in answer.reason
            await caller.aclose()
    finally:
        await server.close()
