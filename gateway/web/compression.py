"""JSON and XML in fewer bytes (RFC 9110 8.4): made in threads, sent while they are made, and kept.

Rules:
1. Only JSON and XML. Pixels are compressed already or have transfer syntaxes for it, and whole instances go out by sendfile.
2. Never on the loop. `AT_ONCE` pieces are worked on at the same time, in the threads that asyncio has; the others wait.
3. A body goes out as it is made: its first piece is flushed, so that a caller of 2,000 instances waits for 8 of them.
4. A compressor holds memory for as long as its reader takes (`WINDOW_LOG`); with `STREAMS` of them further answers go out plain.
5. What is whole is kept under its entity tag, compressed or not, and the next caller gets those bytes. The tag is made of the
   content, of the URL and of the base URL inside (see `conditional`), so what is found under it is what this caller would have
   got. Two who ask first at the same time both compress: neither waits for the other one's reader.

Patient data may be compressed under TLS although lengths then say something of it (BREACH): that attack makes a victim's
browser send requests whose text comes back beside a secret. Bodies here hold no text of the request but the Host, and no
secrets of sessions; callers are known by bearer tokens, which no browser adds to requests of other sites.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Protocol

from gateway import metrics
from gateway.backends.base import Body, Piece
from gateway.backends.representations import close_pieces
from gateway.web.encoding import Coding
from gateway.web.kept import Entry, Kept

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KEPT_BYTES = 64 << 20
"""Default of limits.kept_bytes: metadata of 200 instances is a megabyte, and 5 to 50 KB when compressed: a day's work list."""

AT_ONCE = 2
"""Pieces that a process compresses at the same time: it has about one CPU, and the loop needs a share of it."""

STREAMS = 32
"""Compressors of a process that are open at once, one for each answer that is being made; together they hold 40 MiB at most."""

MINIMUM = 1024
"""Bytes below which a body goes out as it is: with its headers it fills one packet either way."""

GATHERED = 64 << 10
"""Bytes that are worth a turn in a thread, which costs as much as compressing 20 KB."""

GZIP_LEVEL = 6
"""Metadata becomes 90 times smaller, at 270 MB/s; level 1 is twice as fast and makes it 30 times smaller."""

ZSTD_LEVEL = 3
"""Metadata becomes 200 times smaller, at 4 GB/s."""

WINDOW_LOG = 18
"""zstd looks back 256 KiB, which is dozens of instances: 1.2 MiB a compressor. The 2 MiB of the level itself gain nothing, and
hold 3 MiB."""


class Compressor(Protocol):
    """One stream of a coding. Not used by two threads at once."""

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        """What can go out so far; with `flush` it can be decoded up to the last byte of `data`."""
        ...

    def finish(self, data: bytes) -> bytes:
        """The rest."""
        ...


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, wbits=31)  # 31 is gzip; no name, no time in its header

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        out = self._stream.compress(data)
        return out + self._stream.flush(zlib.Z_SYNC_FLUSH) if flush else out

    def finish(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush()


_ZSTD: dict[int, int] = {zstd.CompressionParameter.compression_level: ZSTD_LEVEL, zstd.CompressionParameter.window_log: WINDOW_LOG}


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstd.ZstdCompressor(options=_ZSTD)

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        return self._stream.compress(data, self._stream.FLUSH_BLOCK if flush else self._stream.CONTINUE)

    def finish(self, data: bytes) -> bytes:
        return self._stream.compress(data, self._stream.FLUSH_FRAME)


_COMPRESSORS: dict[Coding, Callable[[], Compressor]] = {"gzip": _Gzip, "zstd": _Zstd}


class Compression:
    """:param kept_bytes: what may be kept of finished answers, in bytes; 0 keeps none."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.kept = Kept(kept_bytes)
        self.streams = 0
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def document(self, coding: Coding, data: bytes, tag: str | None = None) -> bytes:
        """Compressed bytes of a document.

        :param tag: see `body`.
        """
        if tag is not None and (found := self._found(coding, tag)):
            return found.read()
        made = await self._turn(partial(_finished, _COMPRESSORS[coding](), [data]))
        _count(coding, "made", len(data), len(made))
        if tag is not None:
            beginning = self.kept.begin(tag, "")
            beginning.add(made)
            await beginning.keep()
        return made

    def body(self, coding: Coding, body: Body, tag: str | None = None) -> Body | None:
        """The same body compressed; None where too many are being compressed already. Closing it closes `body`.

        :param tag: what the result is kept under, made of all that its bytes depend on; None to keep nothing.
        """
        if tag is not None and (found := self._found(coding, tag)):
            return _as_kept(body, found)
        if self.streams >= STREAMS:
            return None
        self.streams += 1
        return replace(body, pieces=self._pieces(coding, body, tag), length=None, select=None, close=self._closing(body))

    def plain(self, body: Body, tag: str | None) -> Body:
        """The same body as it is, kept like the others: to read and join 200 headers again costs four times as much."""
        if tag is None:
            return body
        if (found := self.kept.get(tag)) is not None:
            return _as_kept(body, found)
        return replace(body, pieces=self._noted(body, tag), select=None)

    async def _noted(self, body: Body, tag: str) -> AsyncGenerator[Piece, None]:
        beginning = self.kept.begin(tag, body.media_type)
        try:
            async with aclosing(body.pieces):
                async for piece in body.pieces:
                    if isinstance(piece, bytes):
                        beginning.add(piece)
                    yield piece
            await beginning.keep()
        finally:
            beginning.drop()

    def _closing(self, body: Body) -> Callable[[], None]:
        """Gives the place of a stream back, once."""
        left = [1]

        def close() -> None:
            if left:
                self.streams -= left.pop()
            if body.close is not None:
                body.close()

        return close

    def _found(self, coding: Coding, tag: str) -> Entry | None:
        found = self.kept.get(tag)
        if found is not None:
            _count(coding, "kept", 0, 0)
        return found

    async def _turn(self, work: Callable[[], bytes]) -> bytes:
        async with self._turns:
            return await asyncio.to_thread(work)

    async def _pieces(self, coding: Coding, body: Body, tag: str | None) -> AsyncGenerator[Piece, None]:
        compressor = _COMPRESSORS[coding]()
        beginning = None if tag is None else self.kept.begin(tag, body.media_type)
        came = went = 0
        try:
            async with aclosing(_gathered(body.pieces)) as pieces:
                async for some, last in pieces:
                    work = partial(_finished, compressor, some) if last else partial(_fed, compressor, some, flush=came == 0)
                    out = await self._turn(work)
                    came, went = came + sum(map(len, some)), went + len(out)
                    if beginning is not None:
                        beginning.add(out)
                        if last:
                            await beginning.keep()
                    if out:
                        yield out
            _count(coding, "made", came, went)
        finally:
            if beginning is not None:
                beginning.drop()


def _as_kept(body: Body, found: Entry) -> Body:
    """The same body out of what is kept. It is taken now, for it may be driven out before it is sent."""
    left = [found.piece()]

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield left.pop()

    def close() -> None:
        close_pieces(left)
        left.clear()
        if body.close is not None:
            body.close()

    return replace(body, media_type=found.media_type, pieces=pieces(), length=found.length, select=None, close=close)


def _fed(compressor: Compressor, data: Sequence[bytes], *, flush: bool) -> bytes:
    return compressor.feed(b"".join(data), flush=flush)


def _finished(compressor: Compressor, data: Sequence[bytes]) -> bytes:
    return compressor.finish(b"".join(data))


def _count(coding: Coding, source: str, came: int, went: int) -> None:
    metrics.COMPRESSED.labels(coding, source).inc()
    metrics.COMPRESSION_IN_BYTES.labels(coding).inc(came)
    metrics.COMPRESSION_OUT_BYTES.labels(coding).inc(went)


async def _gathered(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[tuple[list[bytes], bool], None]:
    """Some pieces for one turn, and whether they are the last: the first one alone, then `GATHERED` bytes and more."""
    some: list[bytes] = []
    size, least = 0, 1
    async with aclosing(pieces):
        async for piece in pieces:
            if not isinstance(piece, bytes):
                raise TypeError("a file in a document")
            some.append(piece)
            size += len(piece)
            if size >= least:
                yield some, False
                some, size, least = [], 0, GATHERED
    yield some, True
