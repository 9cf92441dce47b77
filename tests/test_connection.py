"""The bounds on connections, over real sockets on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway import listening, serving
from gateway.connection import Bounds
from tests import tiny

CHUNKED = b"POST /count HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]
Serve = Callable[..., None]


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Runs a scenario against the small application: ``serve(scenario, header_timeout=0.2)``."""

    async def run(scenario: Callable[[Connect], Awaitable[None]], **server: Any) -> None:
        settings = tiny.settings(tmp_path, **server)
        with listening.bind(settings.server)[0] as bound:
            opened: list[asyncio.StreamWriter] = []

            async def connect() -> Streams:
                streams = await asyncio.open_connection(*bound.getsockname())
                opened.append(streams[1])
                return streams

            async with serving.opened(await tiny.build(settings), settings.server, [bound]):
                await asyncio.wait_for(scenario(connect), 60)
                for writer in opened:
                    writer.close()

    def runs(scenario: Callable[[Connect], Awaitable[None]], **server: Any) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(run(scenario, **server))

    return runs


async def ask(streams: Streams, path: bytes = b"/ready") -> bytes:
    """The head of an answer."""
    reader, writer = streams
    writer.write(GET % path)
    return await reader.readuntil(b"\r\n\r\n")


def test_a_half_sent_header_is_answered_408(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost:")
        assert (await reader.read()).startswith(b"HTTP/1.1 408")

    serve(scenario, header_timeout=0.2)


def test_a_half_sent_header_after_a_request_is_answered_408(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = streams = await connect()
        assert (await ask(streams)).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 408")

    serve(scenario, header_timeout=0.2)


def test_dripping_a_header_does_not_extend_its_time(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nX-Drop: ")
        end = asyncio.create_task(reader.read())
        while not end.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        # Drops that arrive after the end make the kernel reset the connection; the 408 may be lost then.
        assert isinstance(end.exception(), ConnectionError) or end.result().startswith(b"HTTP/1.1 408")

    serve(scenario, header_timeout=0.2)


def test_a_slow_body_is_no_slow_header(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, upload = await connect()
        upload.write(CHUNKED + b"4\r\nhalf\r\n")
        other, half = await connect()
        half.write(b"G")
        assert (await other.read()).startswith(b"HTTP/1.1 408")  # the time is over, and the upload was there first
        upload.write(b"4\r\nmore\r\n0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n8")).startswith(b"HTTP/1.1 200")

    serve(scenario, header_timeout=0.2)


def test_a_silent_connection_is_closed_after_the_idle_timeout(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        never, _ = await connect()
        assert await never.read() == b""
        once = await connect()
        assert (await ask(once)).startswith(b"HTTP/1.1 200")
        assert await once[0].read() == b""

    serve(scenario, idle_timeout=0.2)


def test_a_long_request_is_not_idle(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, upload = await connect()
        upload.write(CHUNKED)
        silent, _ = await connect()
        assert await silent.read() == b""
        upload.write(b"0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")

    serve(scenario, idle_timeout=0.2)


def test_a_client_that_reads_nothing_is_cut_off(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(GET % b"/big")
        await reader.readexactly(1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # only read transports have it
        other = await connect()
        while b"X-Big: 1" in await ask(other):
            await asyncio.sleep(0.02)
        writer.transport.abort()

    serve(scenario, stall_timeout=0.2)


def test_a_client_that_reads_slowly_is_served(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(GET % b"/some")
        total = 0
        while piece := await reader.read(1 << 20):
            total += len(piece)
            await asyncio.sleep(0.01)
            if reader.at_eof() or piece.endswith(b"\r\n0\r\n\r\n"):
                break
        assert total > tiny.SOME

    serve(scenario, stall_timeout=0.3)


async def counted(connect: Connect, count: int) -> None:
    """Waits until so many are being answered."""
    other = await connect()
    while b"X-Big: %d\r\n" % count not in await ask(other):
        await asyncio.sleep(0.02)


def test_a_client_that_leaves_before_its_answer_cancels_it(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        _, writer = streams = await connect()
        assert (await ask(streams)).startswith(b"HTTP/1.1 200")
        writer.write(GET % b"/wait")
        await counted(connect, 1)
        writer.close()
        await counted(connect, 0)

    serve(scenario)


def test_what_changes_something_is_done_though_the_client_left(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        _, writer = await connect()
        writer.write(b"POST /wait HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.close()
        await counted(connect, 1)

    serve(scenario)


def test_connections_beyond_the_most_get_503(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        first = await connect()
        await ask(first)
        second, _ = await connect()
        assert (await second.read()).startswith(b"HTTP/1.1 503")
        assert (await ask(first)).startswith(b"HTTP/1.1 200")
        first[1].close()
        while (await (await connect())[0].read(12)).endswith(b"503"):  # a silent one that is let in hears nothing
            await asyncio.sleep(0.01)

    serve(scenario, connections=1, idle_timeout=0.2)


def test_what_is_no_http_is_answered_400(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert b" 400 " in await reader.readline()

    serve(scenario)


@pytest.mark.parametrize(
    ("line", "header", "status", "said"),
    [
        (b"/ready?" + b"x" * 8000, b"", b"200", b""),
        (b"/ready?" + b"x" * 9000, b"", b"414", b"the URL is longer than 8192 bytes"),
        (b"/ready", b"X-Name: " + b"x" * 9000 + b"\r\n", b"431", b"one of more than 8190 bytes"),
        (b"/ready", b"X" * 9000 + b": x\r\n", b"431", b"one of more than 8190 bytes"),
        (b"/ready", b"X-Name: x\r\n" * 200, b"431", b"more than 128 lines"),
    ],
)
def test_what_is_too_long_is_called_that_and_not_quoted(serve: Serve, line: bytes, header: bytes, status: bytes, said: bytes) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(b"GET " + line + b" HTTP/1.1\r\nHost: here\r\nConnection: close\r\n" + header + b"\r\n")
        answer = await reader.read()
        assert answer.split()[1] == status
        assert said in answer
        assert b"xx" not in answer

    serve(scenario)


def test_a_body_with_a_content_encoding_arrives_as_it_was_sent(serve: Serve) -> None:
    async def scenario(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(b"POST /count HTTP/1.1\r\nHost: here\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello")
        assert (await reader.readuntil(b"\r\n\r\n5")).startswith(b"HTTP/1.1 200")

    serve(scenario)


def test_sweeps_are_frequent_enough_for_the_bounds() -> None:
    assert Bounds(10, 75, 30, 1).sweep_every == 1
    assert Bounds(0.4, 75, 30, 1).sweep_every == pytest.approx(0.1)
    assert Bounds(10, 75, 0.2, 1).sweep_every == pytest.approx(0.05)
