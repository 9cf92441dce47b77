"""One store request at an origin, while it is being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.backends.upstream.client import Client
from gateway.backends.upstream.credentials import Nobody
from gateway.backends.upstream.handing import Unwanted
from gateway.backends.upstream.passage import Passage
from gateway.dicomweb.media import parse_media_type
from gateway.dicomweb.multipart import Data, Part, Scanner, boundary_of
from gateway.errors import Busy
from tests.origins.endpoints import Handler, origin


@asynccontextmanager
async def passing(handler: Handler, *, multipart: bool = True, hold: int = 100) -> AsyncIterator[Passage]:
    async with origin(handler) as server:
        client = Client(str(server.make_url("/dicom-web")), Nobody(), name="pacs", tries=1)
        passage = Passage(client, multipart=multipart, hold=hold)
        try:
            yield passage
        finally:
            await passage.abort()
            await client.aclose()


async def echo(request: web.Request) -> web.Response:
    """Says what came, and how."""
    form = "chunked" if request.headers.get("Transfer-Encoding") else "whole"
    return web.Response(body=await request.read(), headers={"Content-Type": f"{form}/x; of={request.headers['Content-Type']}"})


def bodies(media: str, body: bytes) -> list[bytes]:
    scanner = Scanner(boundary_of(parse_media_type(media.partition("of=")[2])))
    found: list[bytes] = []
    for event in [*scanner.feed(body), *scanner.close()]:
        if isinstance(event, Part):
            assert event.headers == {"content-type": "application/dicom"}
            found.append(b"")
        elif isinstance(event, Data):
            found[-1] += event.data
    assert scanner.finished
    return found


async def write(passage: Passage, *pieces: bytes) -> None:
    await passage.begin()
    for piece in pieces:
        await passage.put(piece)


async def test_a_small_request_goes_out_in_one_piece() -> None:
    async with passing(echo, hold=1000) as passage:
        for _ in range(2):
            await write(passage, b"abc", b"def")
            passage.ended()
        media, body = await passage.finish()
        assert media.startswith("whole/") and bodies(media, body) == [b"abcdef"] * 2


async def test_a_large_one_streams() -> None:
    async with passing(echo) as passage:
        await write(passage, b"x" * 200, b"y" * 5000)
        passage.ended()
        media, body = await passage.finish()
        assert media.startswith("chunked/") and bodies(media, body) == [b"x" * 200 + b"y" * 5000]


async def test_a_single_part_has_no_frame() -> None:
    async with passing(echo, multipart=False) as passage:
        await write(passage, b"x" * 300)
        passage.ended()
        media, body = await passage.finish()
        assert media.endswith("of=application/dicom") and body == b"x" * 300


@pytest.mark.parametrize("before", [True, False])
async def test_what_waits_can_be_withdrawn(before: bool) -> None:
    async with passing(echo, hold=1000) as passage:
        if before:
            await write(passage, b"one")
            passage.ended()
        await write(passage, b"bad")
        assert passage.withdrawn() and passage.withdrawn()
        await write(passage, b"two")
        passage.ended()
        assert bodies(*await passage.finish()) == [b"one", b"two"] if before else [b"two"]


async def test_what_is_on_its_way_cannot() -> None:
    async with passing(echo) as passage:
        await write(passage, b"one" * 100)
        assert not passage.withdrawn()
        passage.ended()
        assert passage.withdrawn()


async def endless(passage: Passage) -> None:
    while True:
        await write(passage, bytes(100_000))
        passage.ended()


async def test_an_origin_that_answers_early_is_noticed() -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=503)

    async with passing(busy) as passage:
        with pytest.raises(Unwanted):
            await endless(passage)
        with pytest.raises(Busy):
            await passage.finish()


async def test_a_request_that_is_broken_off_is_cut_at_the_origin() -> None:
    cut = asyncio.Event()

    async def waiting(request: web.Request) -> web.Response:
        try:
            await request.read()
        except (ConnectionError, web.HTTPException, asyncio.CancelledError, Exception):
            cut.set()
            raise
        return web.Response()

    async with passing(waiting) as passage:
        await write(passage, bytes(1000))
        await asyncio.sleep(0.05)
        await passage.abort()
        await passage.abort()
        await asyncio.wait_for(cut.wait(), 10)
