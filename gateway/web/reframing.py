"""Multipart answers of origins in the form that Google's dcmweb reads, for the routes that it asks.

It throws away whatever shares a read with a boundary. What comes from files here goes out in chunks of which none holds both; what an
origin framed is framed anew, for it comes in pieces of any size, and out of a cache in one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from gateway.backends.base import Body, Piece
from gateway.dicomweb import framing
from gateway.dicomweb.media import MULTIPART, MediaType, parse_media_type
from gateway.dicomweb.multipart import Data, MultipartLimits, Part, boundary_of
from gateway.streams import multipart_events
from gateway.web.sending import read

SCANNED = 256 << 10
"""Bytes that are looked through at once."""


def in_chunks(body: Body) -> Body:
    """The same parts with a chunk for each head; a body that is framed so already, or has one part, as it is."""
    if body.length is None and body.served.cache is None:
        return body
    media = parse_media_type(body.media_type)
    if media.type != MULTIPART:
        return body
    boundary = framing.new_boundary()
    pieces = _framed(body, media, boundary)
    return replace(body, pieces=pieces, media_type=framing.content_type(media.param("type") or "", boundary), length=None, select=None)


async def _framed(body: Body, media: MediaType, boundary: str) -> AsyncGenerator[Piece, None]:
    first = True
    async with aclosing(_bytes(body.pieces)) as pieces, aclosing(multipart_events(pieces, boundary_of(media), MultipartLimits())) as events:
        async for event in events:
            if isinstance(event, Part):
                others = [(name.title(), value) for name, value in event.headers.items() if name != "content-type"]
                yield framing.part_head(boundary, event.headers.get("content-type", ""), others, first=first)
                first = False
            elif isinstance(event, Data):
                yield bytes(event.data)
    yield framing.closing(boundary)


async def _bytes(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, bytes):
                for start in range(0, len(piece), SCANNED):
                    yield piece[start : start + SCANNED]
            else:
                async with aclosing(read(piece)) as some:
                    async for one in some:
                        yield one
