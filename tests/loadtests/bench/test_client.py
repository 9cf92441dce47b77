"""The load client against servers that say things in every way that HTTP/1.1 knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import cycle

import pytest

from loadtests.bench.client import Answer, Ask, Piece, asked, get, post

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
WITH_LENGTH = OK + b"Content-Length: 5\r\n\r\nhello"
IN_CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
UNTIL_CLOSED = OK + b"Connection: close\r\n\r\nhello"
CLOSING = OK + b"connection: close\r\nContent-Length: 5\r\n\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


class Server:
    """Answers each request with `answer`, in pieces of `size` bytes."""

    def __init__(self, answer: bytes, size: int, closes: bool) -> None:
        self.answer, self.size, self.closes = answer, size, closes
        self.connections = 0
        self.bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._one(reader, writer) and not self.closes:
                pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        if b"Content-Length: " in head:
            self.bodies.append(await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split()[0])))
        for at in range(0, len(self.answer), self.size):
            writer.write(self.answer[at : at + self.size])
            await writer.drain()
            await asyncio.sleep(0)
        return True


@asynccontextmanager
async def serving(answer: bytes, size: int = 1 << 20, closes: bool = False) -> AsyncIterator[tuple[int, Server]]:
    server = Server(answer, size, closes)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], server


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("answer", "closes"),
    [(WITH_LENGTH, False), (IN_CHUNKS, False), (UNTIL_CLOSED, True), (CLOSING, True)],
    ids=["length", "chunked", "until closed", "closing"],
)
async def test_an_answer_is_read_however_it_comes(answer: bytes, closes: bool, size: int) -> None:
    asks = [get("/a", "text/plain"), get("/b"), get("/c")]
    async with serving(answer, size, closes) as (port, server):
        tally = await asked(port, iter(asks), clients=1, seconds=60, keep=2)
    assert tally.kept == [Answer(ask, 200, "text/plain", b"hello") for ask in asks[:2]]
    assert (len(tally.taken), len(tally.first_bytes), tally.received, dict(tally.wrong)) == (3, 3, 15, {})
    assert server.connections == (3 if closes else 1)


async def test_an_answer_without_a_body_is_whole_with_its_head() -> None:
    async with serving(EMPTY) as (port, _):
        tally = await asked(port, iter([get("/")] * 2), clients=1, seconds=60)
    assert (len(tally.taken), tally.received, dict(tally.wrong)) == (2, 0, {"status 204": 2})


async def test_bodies_are_sent_whole_and_counted() -> None:
    pieces: list[Piece] = [b"a" * 3_000_000, bytearray(b"b"), memoryview(b"c" * 2_000_000)]
    async with serving(WITH_LENGTH) as (port, server):
        tally = await asked(port, iter([post("/", "text/plain", "*/*", pieces, about="x")] * 2), clients=2, seconds=60)
    assert server.bodies == [b"".join(pieces)] * 2
    assert tally.sent == 2 * 5_000_001


async def test_requests_are_shared_by_all_connections_and_each_is_sent_once() -> None:
    async with serving(WITH_LENGTH) as (port, server):
        tally = await asked(port, iter([get(f"/{number}") for number in range(40)]), clients=8, seconds=60, keep=40)
    assert sorted(str(answer.ask.about) for answer in tally.kept) == sorted(f"/{number}" for number in range(40))
    assert server.connections == 8


async def test_when_the_time_is_up_nothing_new_begins() -> None:
    async with serving(WITH_LENGTH) as (port, _):
        tally = await asked(port, cycle([get("/")]), clients=3, seconds=0.05)
    assert len(tally.taken) > 3 and tally.wall >= 0.05 and tally.received == 5 * len(tally.taken)


async def test_a_server_that_hangs_up_in_the_middle_is_an_error() -> None:
    async with serving(OK + b"Content-Length: 500\r\n\r\nhello", closes=True) as (port, _):
        with pytest.raises(ConnectionResetError):
            await asked(port, iter([get("/")]), clients=2, seconds=60)


async def test_nobody_there_is_an_error() -> None:
    async with serving(WITH_LENGTH) as (port, _):
        pass
    with pytest.raises(OSError, match=str(port)):
        await asked(port, iter([get("/")]), clients=1, seconds=60)


async def test_no_requests_are_no_answers() -> None:
    async with serving(WITH_LENGTH) as (port, _):
        assert (await asked(port, iter(()), clients=4, seconds=60)).taken == []


@pytest.mark.parametrize("made", [get("/x", "a/b"), post("/x", "c/d", "a/b", [b"12", b"3"])])
def test_requests_have_what_servers_need(made: Ask) -> None:
    lines = made.head.decode().split("\r\n")
    wanted: Callable[[str], bool] = lines.__contains__
    assert lines[0].endswith(" /x HTTP/1.1") and wanted("Accept: a/b") and wanted("Host: localhost") and lines[-2:] == ["", ""]
    assert wanted("Content-Length: 3") == (lines[0].startswith("POST"))
