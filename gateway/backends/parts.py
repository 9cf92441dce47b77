"""Bodies whose bytes are made while they are sent: parts of a multipart body, or a single one (PS3.18 8.6.1.2).

Frames and bulk data go out this way. Whatever makes bytes here is a plain iterator that may block; it is asked in hops to a
worker thread, a few pieces ahead of the socket:

1. A hop ends when `OPEN` slices, `HELD` bytes or `AHEAD` pieces wait to be sent; nothing else of the body is in memory or open.
2. What lies in a file as it is goes out as a slice of it, unless it is so small that reading it now is cheaper.
3. A value that has to be changed is made in windows of `PIECE` bytes; only a frame of odd bits or swapped words is made whole.
4. A piece that nobody takes is closed, whoever leaves, and whenever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

from gateway.backends.base import Body, Piece
from gateway.backends.representations import Runner, Source, close_pieces, opened, whole
from gateway.backends.validators import State
from gateway.dicomweb import framing

AHEAD = 256
"""Pieces that one hop makes at most: a few milliseconds of a thread's time."""

OPEN = 16
"""Slices that one hop opens at most: so many descriptors a body may hold."""

HELD = 1 << 20
"""Bytes in memory after which a hop ends; one piece may go beyond."""

PIECE = 1 << 20
"""Bytes of a value that are changed at once."""

SMALL = 128 << 10
"""Bytes of a file up to which they are read in the hop that finds them: cheaper than a sendfile of their own."""

_ALL = 1 << 62
"""An end that is beyond any content."""

Make = Callable[[int, int], Iterator[Piece]]
"""The bytes from one offset up to another, in order; blocks."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a part.

    :param make: its bytes; an end beyond them means all. May be called more than once.
    :param length: bytes, None where they are not known before they are made.
    """

    make: Make
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """:param media: the Content-Type with its parameters.
    :param location: Content-Location: a reference that is relative to the URL of the request (RFC 3986 4.2).
    """

    media: str
    content: Content
    location: str | None = None


# -- contents


def spanned(source: Source, spans: Sequence[tuple[int, int]]) -> Content:
    """Bytes that lie in a source as they are.

    :param spans: offset and length of each run of them.
    """
    return Content(partial(_spanned, source, spans), sum(length for _, length in spans))


def _spanned(source: Source, spans: Sequence[tuple[int, int]], start: int, stop: int) -> Iterator[Piece]:
    at = 0
    for offset, length in spans:
        first, behind = max(start - at, 0), min(stop - at, length)
        at += length
        if first < behind:
            get = source.read if behind - first <= SMALL else source.piece
            yield get(offset + first, behind - first)


def windowed(read: Callable[[int, int], bytes], length: int) -> Content:
    """Bytes that are made window by window.

    :param read: ``read(offset, length)``; offsets are multiples of eight, so that no word is cut in two.
    """
    return Content(partial(_windowed, read, length), length)


def _windowed(read: Callable[[int, int], bytes], length: int, start: int, stop: int) -> Iterator[bytes]:
    stop = min(stop, length)
    for offset in range(start - start % 8, stop, PIECE):
        made = read(offset, min(PIECE, length - offset))
        yield made[max(start - offset, 0) : stop - offset]


def made_whole(make: Callable[[], bytes]) -> Content:
    """Bytes that have to be made to know how many they are."""
    return Content(lambda start, stop: iter([make()[start:stop]]))


# -- ahead of the socket


@dataclass(slots=True)
class _Ahead:
    """Pieces that wait to be sent. :param ended: whether they are the last ones."""

    pieces: deque[Piece] = field(default_factory=deque)
    ended: bool = False

    def close(self) -> None:
        close_pieces(self.pieces)
        self.pieces.clear()


Stream = Iterator[Piece | None]
"""Pieces; None wherever a thread has worked enough for one hop."""


def _some(stream: Stream, most: int = AHEAD) -> _Ahead:
    """The next pieces; blocks."""
    ahead, held, slices = _Ahead(), 0, 0
    try:
        for piece in stream:
            if piece is None:
                return ahead
            ahead.pieces.append(piece)
            if isinstance(piece, bytes):
                held += len(piece)
            else:
                slices += 1
            if len(ahead.pieces) >= most or held >= HELD or slices >= OPEN:
                return ahead
    except BaseException:
        ahead.close()
        raise
    ahead.ended = True
    return ahead


async def _sent(first: _Ahead, stream: Stream, run: Runner) -> AsyncGenerator[Piece, None]:
    ahead = first
    while True:
        try:
            while ahead.pieces:
                yield ahead.pieces.popleft()
        finally:
            ahead.close()
        if ahead.ended:
            return
        ahead = await opened(run, partial(_some, stream), _Ahead.close)


# -- bodies


def single(media: str, content: Content, run: Runner, state: State, etag: str) -> Body:
    """A body that is no multipart, of which ranges can be asked for. Blocks."""
    length = content.length
    stream = content.make(0, _ALL)
    ahead = _some(stream)
    if ahead.ended and len(ahead.pieces) == 1:
        return whole(media, ahead.pieces.popleft(), etag, state.modified)

    def select(start: int, stop: int) -> Body:
        ahead.close()
        return Body(media, _sent(_Ahead(), content.make(start, stop), run), stop - start, etag, modified=state.modified)

    return Body(
        media,
        _sent(ahead, stream, run),
        length,
        etag,
        modified=state.modified,
        select=None if length is None else select,
        close=ahead.close,
    )


def multipart(media: str, parts: Iterable[Part | None], run: Runner, state: State, etag: str, *, first: int = AHEAD) -> Body:
    """A body of parts. Blocks: its beginning is made here, in the hop that looked the instance up.

    :param media: that of the first part.
    :param parts: a list where all of them are known; the length of the body is then known too, if that of all contents is.
        None among them wherever a thread has worked enough for one hop.
    :param first: pieces that are made here at most.
    """
    boundary = framing.new_boundary()
    head = lru_cache(1)(partial(_head, boundary))  # frames have the same one
    tail = framing.closing(boundary)
    length = _length(parts, head, tail) if isinstance(parts, list) else None
    stream = _stream(parts, head, tail)
    ahead = _some(stream, first)
    return Body(
        framing.content_type(media.partition(";")[0], boundary),
        _sent(ahead, stream, run),
        length,
        etag,
        weak=True,
        modified=state.modified,
        instances=state.instances,
        close=ahead.close,
    )


Head = Callable[[str, str | None, bool], bytes]


def _head(boundary: str, media: str, location: str | None, first: bool) -> bytes:
    return framing.part_head(boundary, media, [] if location is None else [("Content-Location", location)], first=first)


def _stream(parts: Iterable[Part | None], head: Head, tail: bytes) -> Stream:
    first = True
    for part in parts:
        if part is None:
            yield None
        else:
            yield head(part.media, part.location, first)
            yield from part.content.make(0, _ALL)
            first = False
    yield tail


def _length(parts: Sequence[Part], head: Head, tail: bytes) -> int | None:
    length = len(tail)
    for number, part in enumerate(parts):
        if part.content.length is None:
            return None
        length += len(head(part.media, part.location, number == 0)) + part.content.length
    return length
