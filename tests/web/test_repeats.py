"""Answers that are given again: only while they are right, only to the same bytes, and counted like any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway import listening, serving
from gateway.config import Settings
from gateway.web import middleware
from gateway.web.context import context_of
from gateway.web.middleware import IN_FLIGHT, Edge, InFlight
from gateway.web.repeats import HEAD, REPEATS, SEEN, Repeats, is_alone
from tests.web.gate import Answer, Gate, Streams, read_answer, request

PATH = "/things/1"


@dataclass
class Origin:
    """What makes answers. :param reads: requests that were read. :param ages: what `still` says."""

    reads: int = 0
    given: int = 0
    age: float | None = 7.0
    body: bytes = b"first"
    status: int = 200
    remembered: bool = True
    headers: dict[str, str] = field(default_factory=lambda: {"X-Cache": "hit", "Age": "1", "ETag": '"one"'})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.reads += 1
        if self.remembered:
            context_of(request).still = self.still
        return web.Response(status=self.status, body=self.body if self.status == 200 else None, headers=self.headers)

    def still(self) -> float | None:
        if self.age is not None:
            self.given += 1
        return self.age


@asynccontextmanager
async def served(folder: Path, origin: Origin, repeats: Repeats, **edge: Any) -> AsyncIterator[Gate]:
    settings = Settings(data=folder, server={"port": 0, "workers": 1})
    in_flight = InFlight()
    made = web.Application(middlewares=[middleware.make(Edge(repeats=repeats, **edge), in_flight)])
    made[IN_FLIGHT], made[REPEATS] = in_flight, repeats
    made.router.add_route("*", "/things/{name}", origin.answer)
    made.on_response_prepare.append(middleware.on_prepare(Edge(repeats=repeats, **edge)))
    with (await asyncio.to_thread(listening.bind, settings.server))[0] as bound:
        async with serving.opened(made, settings.server, [bound]) as (connections, _):
            yield Gate(made, connections, bound.getsockname()[1])


async def ask(streams: Streams, *pieces: bytes) -> Answer:
    for piece in pieces or (request("GET", PATH),):
        streams[1].write(piece)
        await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        return await read_answer(streams[0])


async def asked(gate: Gate, times: int, raw: bytes = b"") -> list[Answer]:
    streams = await gate.connect()
    try:
        return [await ask(streams, raw or request("GET", PATH)) for _ in range(times)]
    finally:
        streams[1].close()


async def test_the_third_time_nothing_is_read_and_the_answer_is_the_same(tmp_path: Path) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats()) as gate:
        first, second, third, fourth = await asked(gate, 4)
        assert (origin.reads, origin.given) == (2, 2)
        assert first.body == second.body == third.body == fourth.body == b"first"
        own = {"Date", "X-Request-Id", "Age"}
        assert {name: value for name, value in third.headers.items() if name not in own} == {
            name: value for name, value in second.headers.items() if name not in own
        }
        assert third.headers["Age"] == "7" and "Date" in third.headers
        assert len({answer.headers["X-Request-Id"] for answer in (first, second, third, fourth)}) == 4


async def test_other_connections_get_it_too(tmp_path: Path) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 2)
        assert [answer.body for answer in await asked(gate, 3)] == [b"first"] * 3
        # A connection's first request may come before aiohttp waits for it; then it is read.
        assert origin.reads <= 3


async def test_what_would_be_answered_otherwise_is_read(tmp_path: Path) -> None:
    origin = Origin()
    repeats = Repeats()
    async with served(tmp_path, origin, repeats) as gate:
        await asked(gate, 3)
        origin.age, origin.body = None, b"second"
        assert {answer.body for answer in await asked(gate, 3)} == {b"second"}
        assert origin.reads == 5 and origin.given == 1


@pytest.mark.parametrize("header", ["Authorization: Bearer x", "Accept: image/png", "Cookie: a=b", "Origin: http://a", "X: y"])
async def test_other_bytes_are_another_question(tmp_path: Path, header: str) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 3)
        name, _, value = header.partition(": ")
        await asked(gate, 1, request("GET", PATH, {name: value}))
        assert origin.reads == 3


@pytest.mark.parametrize("query", ["?access_token=x", "?a=b&access%5Ftoken=x"])
async def test_a_url_with_a_token_is_no_key(tmp_path: Path, query: str) -> None:
    origin, repeats = Origin(), Repeats()
    async with served(tmp_path, origin, repeats) as gate:
        await asked(gate, 4, request("GET", PATH + query))
        assert (origin.reads, repeats.taken) == (4, 0)


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_are_given_again(tmp_path: Path, status: int) -> None:
    origin = Origin(status=status)
    async with served(tmp_path, origin, Repeats()) as gate:
        assert [answer.status for answer in await asked(gate, 4)] == [status] * 4
        assert origin.reads == 2


@pytest.mark.parametrize("status", [206, 404, 500])
async def test_other_answers_are_not(tmp_path: Path, status: int) -> None:
    origin = Origin(status=status)
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 4)
        assert origin.reads == 4


async def test_what_no_backend_remembers_is_not(tmp_path: Path) -> None:
    origin = Origin(remembered=False)
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 4)
        assert origin.reads == 4


@pytest.mark.parametrize(
    "raw",
    [
        request("HEAD", PATH),
        request("GET", PATH, {"Connection": "close"}),
        request("GET", PATH, {"X-Long": "x" * HEAD}),
        request("GET", PATH).replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["HEAD", "close", "long", "HTTP/1.0"],
)
async def test_requests_of_other_kinds_are_read_each_time(tmp_path: Path, raw: bytes) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats()) as gate:
        for _ in range(4):
            await gate.raw(raw, head=True)
        assert origin.reads == 4


async def test_a_body_that_follows_is_never_taken_for_a_request(tmp_path: Path) -> None:
    origin = Origin()
    inner = request("GET", PATH)
    outer = request("GET", PATH, {"Content-Length": str(len(inner))})
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 3)
        streams = await gate.connect()
        for _ in range(3):
            await ask(streams, outer, inner)
        assert origin.reads == 5
        streams[1].close()


async def test_after_half_a_request_nothing_is_taken_for_a_whole_one(tmp_path: Path) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 3)
        streams = await gate.connect()
        await ask(streams)
        streams[1].write(b"GET /things/other HTTP/1.1\r\nHost: x\r\nX-Folded: ")
        await asyncio.sleep(0.05)
        answer = await ask(streams)  # the rest of that header, whatever it looks like
        assert answer.status == 400 or origin.reads > 3
        streams[1].close()


async def test_requests_that_come_together_are_all_answered_in_order(tmp_path: Path) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 3)
        streams = await gate.connect()
        other = request("GET", "/things/2")
        streams[1].write(request("GET", PATH) + other + request("GET", PATH))
        async with asyncio.timeout(20):
            answers = [await read_answer(streams[0]) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        streams[1].close()


async def test_where_tokens_are_shown_they_are_looked_at_again_after_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = [b"good"]

    async def tokens() -> list[bytes]:
        return known

    monkeypatch.setattr("gateway.web.repeats.TOKENS_SECONDS", 0.2)
    raw = request("GET", PATH, {"Authorization": "Bearer good"})
    origin = Origin()
    async with served(tmp_path, origin, Repeats(tokens=True), tokens=tokens) as gate:
        assert [answer.status for answer in await asked(gate, 3, raw)] == [200] * 3
        known.clear()
        await asyncio.sleep(0.25)
        assert [answer.status for answer in await asked(gate, 2, raw)] == [401] * 2


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-Host", "x-forwarded-proto"])
@pytest.mark.parametrize("trusting", [True, False])
async def test_what_a_trusted_proxy_says_is_not_believed_of_others(tmp_path: Path, name: str, trusting: bool) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats(trusting=trusting)) as gate:
        await asked(gate, 4, request("GET", PATH, {name: "host=there"}))
        assert origin.reads == (4 if trusting else 2)


async def test_a_caller_s_own_name_for_his_request_comes_back(tmp_path: Path) -> None:
    async with served(tmp_path, Origin(), Repeats()) as gate:
        answers = await asked(gate, 4, request("GET", PATH, {"X-Request-Id": "abcdef-0123"}))
        assert {answer.headers["X-Request-Id"] for answer in answers} == {"abcdef-0123"}


async def test_a_gateway_on_its_way_out_says_so(tmp_path: Path) -> None:
    origin = Origin()
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 3)
        gate.app[IN_FLIGHT].draining = True
        gate.connections.repeats = None
        assert (await asked(gate, 1))[0].headers["Connection"] == "close"


async def test_each_is_counted_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr("gateway.web.recording.logs.line", lambda event, **values: lines.append(values))
    async with served(tmp_path, Origin(), Repeats()) as gate:
        answers = await asked(gate, 4)
    assert [line["request_id"] for line in lines] == [answer.headers["X-Request-Id"] for answer in answers]
    assert {(line["method"], line["route"], line["status"], line["sent"]) for line in lines} == {("GET", "/things/{name}", 200, 5)}


async def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    origin = Origin(body=bytes(10_000))
    repeats = Repeats(bound=50_000)
    async with served(tmp_path, origin, repeats) as gate:
        for number in range(20):
            await asked(gate, 3, request("GET", f"/things/{number}"))
            assert repeats.taken <= 50_000
        reads = origin.reads
        await asked(gate, 2, request("GET", "/things/19"))
        assert origin.reads <= reads + 1
        await asked(gate, 1, request("GET", "/things/0"))
        assert origin.reads >= reads + 1


async def test_a_slow_reader_is_not_sent_more_before_he_has_read(tmp_path: Path) -> None:
    origin = Origin(body=bytes(1 << 20))
    async with served(tmp_path, origin, Repeats()) as gate:
        await asked(gate, 2)
        streams = await gate.connect()
        for _ in range(64):
            streams[1].write(request("GET", PATH))
            await asyncio.sleep(0.001)
        held = [one.transport.get_write_buffer_size() for one in gate.connections.manager.connections if one.transport is not None]
        assert max(held) <= 4 << 20
        async with asyncio.timeout(30):
            for _ in range(64):
                assert len((await read_answer(streams[0])).body) == 1 << 20
        streams[1].close()


def test_requests_that_are_new_each_time_leave_nothing_behind() -> None:
    repeats = Repeats()
    assert not any(repeats._seen_before(b"%d" % number) for number in range(3 * SEEN))
    assert len(repeats._seen) == SEEN


@pytest.mark.parametrize(
    ("data", "alone"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\n", False),
        (b"POST / HTTP/1.1\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\n\r\nG", False),
        (b"\r\nGET / HTTP/1.1\r\n\r\n", False),
    ],
)
def test_what_looks_like_one_request(data: bytes, alone: bool) -> None:
    assert is_alone(data) is alone
