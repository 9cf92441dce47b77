"""Bodies of an origin in the frame that a caller wants: passed on unopened, unwrapped, wrapped, or part by part (PS3.18 8.6.1).

1. What fits goes out as it came, in the very pieces that the socket brought.
2. A body whose end nothing announces must show it: without its closing boundary, or its array's bracket, it broke off.
3. What goes wrong after the first byte is raised from the pieces, so that the connection is cut and nobody takes a part for all.
4. Whoever closes a body closes the origin's answer, whether or not anybody took a piece of it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

from gateway.backends.base import Body, Piece
from gateway.backends.representations import DICOM, typed
from gateway.backends.upstream.client import Answer
from gateway.backends.validators import validator
from gateway.dicomweb import framing
from gateway.dicomweb.media import MULTIPART, MediaType, parse_media_type
from gateway.dicomweb.multipart import MAX_BOUNDARY, Data, Event, MultipartLimits, Part, PartEnd, Scanner, boundary_of
from gateway.dicomweb.resources import is_uid
from gateway.errors import BadRequest, MalformedMultipart, OriginFailed, TooLarge

LIMITS = MultipartLimits(parts=1 << 20)
"""Of an origin's answers: a study may have more instances than a request may bring parts."""

HEAD = 1024
"""Bytes at the beginning of a multipart body in which the first part's headers lie."""

META = 0x0002FFFF
"""The last tag of the file meta information."""

# Google's dcmweb lower-cases a Content-Type and reads no quotes; whatever else a boundary holds is written anew.
_BLANK_LINE = b"\r\n\r\n"
_BLANK = len(_BLANK_LINE)
_PLAIN_BOUNDARY = re.compile(rb"[0-9a-z_\-.+']{1,%d}" % MAX_BOUNDARY)


class Closing(AsyncGenerator[Piece, None]):
    """Pieces, and what has to be closed after them even when nobody ever asked for one."""

    def __init__(self, pieces: AsyncGenerator[Piece, None], close: Callable[[], Awaitable[None]]) -> None:
        self._pieces = pieces
        self._close = close

    async def asend(self, value: None) -> Piece:
        """The next piece."""
        return await self._pieces.asend(value)

    async def athrow(self, kind: Any, value: Any = None, trace: TracebackType | None = None) -> Piece:
        """Raises where the pieces are made."""
        return await self._pieces.athrow(kind, value, trace)

    async def aclose(self) -> None:
        """Ends the pieces, then closes."""
        try:
            await self._pieces.aclose()
        finally:
            await self._close()


def media_of(answer: Answer) -> MediaType:
    """The Content-Type of an answer.

    :raises OriginFailed: when it has none that can be read.
    """
    try:
        return parse_media_type(answer.media)
    except BadRequest:
        raise OriginFailed("The origin's answer has no Content-Type that can be read.") from None


async def events(answer: Answer) -> AsyncGenerator[Event, None]:
    """The parts of an answer; a body that is none of multipart is one part.

    :raises OriginFailed: when its framing is broken, or it ends too early.
    """
    async with aclosing(events_of(answer.chunks(), answer)) as found:
        async for event in found:
            yield event


async def events_of(chunks: AsyncGenerator[bytes, None], answer: Answer) -> AsyncGenerator[Event, None]:
    """As `events`, of an answer whose chunks somebody has begun to read."""
    try:
        media = media_of(answer)
        if media.type != MULTIPART:
            yield Part({"content-type": answer.media})
            async for chunk in chunks:
                yield Data(chunk)
            yield PartEnd(True)
            return
        scanner = Scanner(boundary_of(media), LIMITS)
        async for chunk in chunks:
            for event in scanner.scan(chunk):
                yield event
        scanner.close()
        if not scanner.finished:
            raise broken()
    except (MalformedMultipart, TooLarge):
        raise OriginFailed("The origin's multipart answer is broken.") from None
    finally:
        await chunks.aclose()
        await answer.aclose()


def broken() -> OriginFailed:
    """Of an answer whose end never came."""
    return OriginFailed("The origin broke off in the middle of its answer: the closing boundary is missing.")


def version_of(answer: Answer) -> str | None:
    """What changes with the instances of an answer, as far as the origin says.

    Where the origin sees the caller its tag may be one for all of them, while each is shown another part of a study.
    """
    tag = answer.headers.get("ETag")
    return None if tag is None else validator(tag, answer.scope)


def tagged(body: Body, answer: Answer, *more: str) -> Body:
    """The body with validators made of the origin's.

    :param more: what else its bytes hang on.
    """
    version = version_of(answer)
    if version is None:
        return body
    media = body.media_type.partition("; boundary=")[0]
    weak = body.weak or answer.headers["ETag"].startswith("W/")
    return replace(body, etag=validator(version, media, *more), weak=weak, modified=modified_of(answer))


def modified_of(answer: Answer) -> float | None:
    """When what the origin sends last changed, in seconds since the epoch."""
    try:
        return parsedate_to_datetime(answer.headers.get("Last-Modified", "")).timestamp()
    except (ValueError, OverflowError):  # the latter for a zone or a year that no clock has
        return None


# -- bodies that are not looked into


async def passed(answer: Answer) -> Body:
    """A multipart answer as it is, unless its boundary or its first part's headers are not fit to go out.

    :param answer: a multipart one; closed with the body.
    :raises OriginFailed: when it breaks off before its first part, or has none.
    """
    old = boundary_in(answer)
    chunks = answer.chunks()
    first, head = await opening(chunks, answer)
    if not first or first.lstrip(b"\r\n").startswith(b"--%b--" % old):
        await chunks.aclose()
        await answer.aclose()
        raise OriginFailed("The origin's answer holds no instance.")
    if not _PLAIN_BOUNDARY.fullmatch(old) or not head or b"content-location" in first[:head].lower():
        new = framing.new_boundary()
        pieces = _rewritten(resumed(first, chunks), old, new)
        return tagged(Body(framing.content_type(DICOM, new), Closing(pieces, answer.aclose), weak=True), answer)
    closing = b"--%b--" % old if answer.length is None else None
    pieces = _passed(first, chunks, closing)
    media = framing.content_type(DICOM, old.decode())
    return tagged(Body(media, Closing(pieces, answer.aclose), answer.length, weak=True), answer)


def boundary_in(answer: Answer) -> bytes:
    """The boundary of a multipart answer."""
    try:
        return boundary_of(media_of(answer))
    except MalformedMultipart:
        raise broken() from None


async def beginning(chunks: AsyncGenerator[bytes, None], answer: Answer) -> bytes:
    """The first piece: once it is there, an origin that fails does so in the middle of a body."""
    try:
        return await anext(chunks, b"")
    except BaseException:
        await answer.aclose()
        raise


async def opening(chunks: AsyncGenerator[bytes, None], answer: Answer) -> tuple[bytes, int]:
    """The first pieces of a multipart body, and where in them the headers of its first part end: origins write these in pieces of
    any size. 0 where that is not within `HEAD` bytes."""
    first = await beginning(chunks, answer)
    while (end := first.find(_BLANK_LINE, _BLANK, HEAD)) < 0 and len(first) < HEAD and (piece := await beginning(chunks, answer)):
        first += piece
    return first, end + _BLANK if end > 0 else 0


async def _passed(first: bytes, chunks: AsyncGenerator[bytes, None], closing: bytes | None) -> AsyncGenerator[Piece, None]:
    """:param closing: what must stand at the end; None where the length is known."""
    tail = b""
    async with aclosing(chunks):
        piece = first
        while piece:
            if closing is not None:
                tail = (tail + piece[-HEAD:])[-HEAD:]
            yield piece
            piece = await anext(chunks, b"")
    if closing is not None and closing not in tail:
        raise broken()


async def resumed(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The chunks of an answer of which the first was taken already."""
    async with aclosing(chunks):
        if first:
            yield first
        async for chunk in chunks:
            yield chunk


async def _rewritten(chunks: AsyncGenerator[bytes, None], old: bytes, boundary: str) -> AsyncGenerator[Piece, None]:
    """The parts between boundaries and with heads of our own."""
    scanner = Scanner(old, LIMITS)
    first = True
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                for event in scanner.scan(chunk):
                    if isinstance(event, Part):
                        yield framing.part_head(boundary, dicom_type(event), first=first)
                        first = False
                    elif isinstance(event, Data):
                        yield event.data
        scanner.close()
    except (MalformedMultipart, TooLarge):
        raise broken() from None
    if not scanner.finished:
        raise broken()
    yield framing.closing(boundary)


def dicom_type(part: Part) -> str:
    """The Content-Type of a part with an instance, as we write it."""
    return typed(DICOM, syntax_of(part))


def syntax_of(part: Part) -> str | None:
    """The transfer syntax that a part's Content-Type names."""
    try:
        return named_in(parse_media_type(part.headers.get("content-type", DICOM)))
    except BadRequest:
        return None


def named_in(media: MediaType) -> str | None:
    """The transfer syntax that a media type names; only a UID is one, and fit to be said again."""
    syntax = media.param("transfer-syntax")
    return syntax if syntax is not None and is_uid(syntax) else None


async def wrapped(answer: Answer) -> Body:
    """A single part as a multipart body of one."""
    boundary = framing.new_boundary()
    media = media_of(answer)
    head = framing.part_head(boundary, typed(DICOM, named_in(media)), first=True)
    tail = framing.closing(boundary)
    chunks = answer.chunks()
    first = await beginning(chunks, answer)

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield head
        async with aclosing(_passed(first, chunks, None)) as whole:
            async for piece in whole:
                yield piece
        yield tail

    length = None if answer.length is None else len(head) + answer.length + len(tail)
    return tagged(Body(framing.content_type(DICOM, boundary), Closing(pieces(), answer.aclose), length, weak=True), answer)
