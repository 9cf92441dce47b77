from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from gateway.backends.upstream.reading import Answer
from gateway.errors import GatewayError, OriginFailed
from tests.origins.endpoints import origin


class Told(list[tuple[int, GatewayError | None]]):
    """What answers said when they ended."""

    def __call__(self, read: int, failure: GatewayError | None) -> None:
        self.append((read, failure))


@asynccontextmanager
async def answered(size: int, told: Told, *, length: bool = True) -> AsyncIterator[Answer]:
    """An answer with a body of so many bytes."""

    async def handler(request: web.Request) -> web.StreamResponse:
        made = web.StreamResponse(headers={"Content-Type": "application/dicom"})
        if length:
            made.content_length = size
        await made.prepare(request)
        for start in range(0, size, 1 << 16):
            await made.write(bytes(min(1 << 16, size - start)))
        return made

    async with origin(handler) as server, aiohttp.ClientSession() as session:
        yield Answer(await session.get(server.make_url("/")), "pacs", told)


@pytest.mark.parametrize("size", [0, 1, 65536, 1 << 20])
@pytest.mark.parametrize("length", [True, False])
async def test_a_body_is_read_whole_and_told_once(size: int, length: bool) -> None:
    told = Told()
    async with answered(size, told, length=length) as answer:
        assert (answer.status, answer.media, answer.length) == (200, "application/dicom", size if length else None)
        assert await answer.read(size) == bytes(size)
        await answer.aclose()
    assert told == [(size, None)]


@pytest.mark.parametrize("length", [True, False])
async def test_a_body_beyond_the_limit_is_refused(length: bool) -> None:
    told = Told()
    async with answered(1 << 20, told, length=length) as answer:
        with pytest.raises(OriginFailed, match="1000 bytes"):
            await answer.read(1000)
    assert len(told) == 1
    assert told[0][0] < 1 << 20


async def test_the_beginning_of_a_body() -> None:
    told = Told()
    async with answered(1 << 20, told) as answer:
        assert await answer.beginning(1000) == bytes(1000)
    assert len(told) == 1
    async with answered(10, Told()) as answer:
        assert await answer.beginning(1000) == bytes(10)


async def test_leaving_early_closes_the_answer() -> None:
    told = Told()
    async with answered(10 << 20, told) as answer, answer:
        async for piece in answer.chunks():
            assert len(piece) > 0
            break
    assert len(told) == 1
    assert told[0][0] < 10 << 20


async def test_an_answer_that_nobody_reads_is_closed() -> None:
    told = Told()
    async with answered(1 << 20, told) as answer:
        await answer.aclose()
        await answer.aclose()
    assert told == [(0, None)]
