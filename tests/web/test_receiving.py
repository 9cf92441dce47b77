"""The body of a request, as it comes."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import HttpVersion11, StreamReader
from aiohttp.base_protocol import BaseProtocol

from gateway.errors import RequestTimeout
from gateway.web.context import Context
from gateway.web.receiving import SLOWEST, chunks


class Writer:
    def __init__(self) -> None:
        self.written = b""
        self.output_size = 0

    async def write(self, data: bytes) -> None:
        self.written += data
        self.output_size += len(data)


def asked(**headers: str) -> Any:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(Mock(spec=asyncio.Transport))
    content = StreamReader(protocol, 1 << 16, loop=loop)
    return Mock(content=content, headers=headers, version=HttpVersion11, writer=Writer())


async def test_pieces_come_as_they_are_and_are_counted() -> None:
    request, context = asked(), Context("id", stall_timeout=20)
    found: list[bytes] = []

    async def read() -> None:
        found.extend([piece async for piece in chunks(request, context)])

    reading = asyncio.create_task(read())
    for piece in (b"one", b"two"):
        request.content.feed_data(piece)
        async with asyncio.timeout(20):
            while request.content.total_bytes != context.received:
                await asyncio.sleep(0)
    request.content.feed_eof()
    await reading
    assert (b"".join(found), context.received, request.writer.written) == (b"onetwo", 6, b"")


async def test_who_waits_for_leave_gets_it() -> None:
    request = asked(Expect="100-Continue")
    reading = asyncio.ensure_future(anext(chunks(request, Context("id", stall_timeout=20))))
    async with asyncio.timeout(20):
        while not request.writer.written:
            await asyncio.sleep(0)
    request.content.feed_data(b"x")
    assert await reading == b"x"
    assert request.writer.written.startswith(b"HTTP/1.1 100 ") and request.writer.output_size == 0


async def test_who_sends_nothing_any_more_is_cut_off() -> None:
    with pytest.raises(RequestTimeout):
        await anext(chunks(asked(), Context("id", stall_timeout=0.01)))


async def sent(piece: bytes, times: int, stall: float) -> list[bytes]:
    """What is read of a body of which a piece comes every twentieth of a second."""
    request, found = asked(), []

    async def send() -> None:
        for _ in range(times):
            await asyncio.sleep(0.05)
            request.content.feed_data(piece)
        request.content.feed_eof()

    async with asyncio.TaskGroup() as group:
        sending = group.create_task(send())
        try:
            found.extend([some async for some in chunks(request, Context("id", stall_timeout=stall))])
        finally:
            sending.cancel()
    return found


async def test_who_sends_a_byte_now_and_then_is_cut_off() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await sent(b"x", 1000, stall=1.5)
    assert caught.group_contains(RequestTimeout, match="less than 16 KiB")


async def test_slow_but_steady_senders_and_the_last_bytes_are_fine() -> None:
    piece = bytes(SLOWEST)
    assert b"".join(await sent(piece, 30, stall=1.0)) == piece * 30
    assert b"".join(await sent(b"end", 3, stall=1.0)) == b"endendend"
