"""One instance of an origin as a body of its own, whatever the origin wrapped it in (PS3.18 10.4.4).

Where the origin says how long it is, its bytes are counted and not looked into, and ranges can be asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.backends.base import Body, Piece
from gateway.backends.representations import DICOM, typed
from gateway.backends.upstream.client import Answer
from gateway.backends.upstream.reframing import (
    HEAD,
    LIMITS,
    META,
    Closing,
    beginning,
    boundary_in,
    broken,
    events_of,
    media_of,
    opening,
    resumed,
    syntax_of,
    tagged,
)
from gateway.dicom.elements import SYNTAX, Walk
from gateway.dicomweb.media import MULTIPART
from gateway.dicomweb.multipart import Data, Event, Part, PartEnd, Scanner
from gateway.errors import InstanceError, MalformedMultipart, OriginFailed, TooLarge


async def unwrapped(answer: Answer) -> Body:
    """One instance as a body of its own, whatever the origin wrapped it in. Ranges can be asked for where its length is known.

    :raises OriginFailed: when there is no instance in the answer, or its framing is broken.
    """
    found = _one(answer)
    try:
        part = await anext(found, None)
        first = await anext(found, None)
        if not isinstance(part, Part) or not isinstance(first, Data):
            raise OriginFailed("The origin's answer holds no instance.")
    except BaseException:
        await found.aclose()
        raise
    multipart = media_of(answer).type == MULTIPART
    length = _length(part) if multipart else answer.length
    return tagged(_single(typed(DICOM, syntax_of(part) or _syntax_in(first.data)), _after(first, found), length), answer)


def _syntax_in(data: bytes) -> str | None:
    """The transfer syntax that the file meta information names, if it lies in the first bytes; parts are often silent about it."""
    walk = Walk(wanted=(SYNTAX,), stop_after=META)
    try:
        walk.feed(memoryview(data)[:HEAD])
    except InstanceError:
        return None
    return walk.syntax or None


async def _after(first: Data, found: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    async with aclosing(found):
        yield first
        async for event in found:
            yield event


async def _one(answer: Answer) -> AsyncGenerator[Event, None]:
    """As `events`; where the first part says how long it is, its bytes are counted instead of searched, at a third of the cost."""
    chunks = answer.chunks()
    framed = media_of(answer).type == MULTIPART
    first, head = await opening(chunks, answer) if framed else (await beginning(chunks, answer), 0)
    part = _part(first[:head], answer) if head else None
    length = None if part is None else _length(part)
    if part is None or length is None:
        found = events_of(resumed(first, chunks), answer)
    else:
        found = _counted(part, length, resumed(first[head:], chunks), boundary_in(answer))
    async with aclosing(found):
        async for event in found:
            yield event


def _part(head: bytes, answer: Answer) -> Part | None:
    """The part that begins with these bytes."""
    try:
        begun = Scanner(boundary_in(answer), LIMITS).feed(head)
    except (MalformedMultipart, TooLarge):
        raise broken() from None
    return begun[0] if begun and isinstance(begun[0], Part) else None


async def _counted(part: Part, length: int, rest: AsyncGenerator[bytes, None], boundary: bytes) -> AsyncGenerator[Event, None]:
    """A part of that many bytes, and nothing after it but the closing boundary."""
    yield part
    left, tail = length, b""
    async with aclosing(rest):
        async for chunk in rest:
            data = chunk if len(chunk) <= left else chunk[:left]
            left -= len(data)
            if data:
                yield Data(data)
            if len(data) < len(chunk) and len(tail) < HEAD:
                tail += chunk[len(data) : len(data) + HEAD]
    closing = b"\r\n--" + boundary
    if left or not tail.startswith(closing):
        raise OriginFailed("The origin's answer is not as long as it says.")
    if not tail.startswith(closing + b"--"):
        raise OriginFailed("The origin answers with several instances where one was asked for.")
    yield PartEnd(True)


def _length(part: Part) -> int | None:
    text = part.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _single(media: str, found: AsyncGenerator[Event, None], length: int | None) -> Body:
    def select(start: int, stop: int) -> Body:
        return Body(media, Closing(_some(found, start, stop, length), found.aclose), stop - start)

    pieces = Closing(_some(found, 0, length, length), found.aclose)
    return Body(media, pieces, length, select=None if length is None else select)


async def _some(found: AsyncGenerator[Event, None], start: int, stop: int | None, length: int | None) -> AsyncGenerator[Piece, None]:
    """The bytes of one part from one offset to another; those of a whole one are counted, and nothing may follow."""
    at = 0
    async with aclosing(found):
        async for event in found:
            if isinstance(event, Part):
                raise OriginFailed("The origin answers with several instances where one was asked for.")
            if not isinstance(event, Data):
                continue
            before, at = at, at + len(event.data)
            if length is not None and at > length:
                raise OriginFailed("The origin's answer is longer than it says.")
            if before < start or (stop is not None and at > stop):
                if piece := event.data[max(0, start - before) : None if stop is None else max(0, stop - before)]:
                    yield piece
            else:
                yield event.data
            if stop is not None and at >= stop and stop != length:
                return
    if stop is not None and at < stop:
        raise OriginFailed("The origin's answer is shorter than it says.")
