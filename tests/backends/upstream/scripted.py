"""Answers that a played origin gives, and an `Answer` without an origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.backends.upstream.client import Answer, Client
from gateway.backends.upstream.credentials import Nobody
from tests.origins.endpoints import origin
from tests.web.gate import multipart

BOUNDARY = "there"
DICOM = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def whole(*files: bytes, head: str = "Content-Type: application/dicom\r\n", boundary: str = BOUNDARY) -> bytes:
    """A multipart body as Orthanc and others write it."""
    return multipart(*files, boundary=boundary, head=head)


@asynccontextmanager
async def answering(
    body: bytes | Iterable[bytes], media: str = DICOM, *, chunked: bool = False, cut: bool = False, **headers: str
) -> AsyncIterator[Answer]:
    """What a client gets from an origin that says this.

    :param chunked: its length is not announced. :param cut: the connection ends before the body does.
    """
    pieces = [body] if isinstance(body, bytes) else list(body)

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": media} | {name.replace("_", "-"): value for name, value in headers.items()})
        if not chunked:
            response.content_length = sum(map(len, pieces)) + (10 if cut else 0)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.002)
        if cut and request.transport is not None:
            request.transport.close()
        return response

    async with origin(handle) as server:
        client = Client(str(server.make_url("/")), Nobody(), name="pacs")
        try:
            yield await client.ask("GET", "/studies/1.1", transaction="retrieve")
        finally:
            await client.aclose()
