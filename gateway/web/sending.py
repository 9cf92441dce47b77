"""A `Body` onto the socket, by the cheapest way that the kernel has.

Files go out with sendfile on a duplicate of the connection's descriptor: uvloop has no sendfile of its own, and reading
into Python costs twice the CPU time (measured: 0.13 against 0.28 s a GB).

Rules:
1. The loop never waits for a disk. A window of a file is sent from the loop only when its first and last pages are in the
   page cache (`preadv2` with RWF_NOWAIT says so for a microsecond); otherwise a thread sends it.
2. Nothing is written behind aiohttp's back while aiohttp has something in its own buffer.
3. Once headers are out an error can only cut the connection. It is counted and logged, never dressed up as a status.
4. Headers travel with the first bytes of a small body or a file: a packet of their own is a quarter of a small answer's CPU time.
   What lies in memory, as far as `LARGE`, is written in one call, which wakes its reader once.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway import logs, metrics
from gateway.backends.base import Body, FileSlice, Piece
from gateway.backends.held import LARGE
from gateway.backends.representations import close_pieces
from gateway.web.context import context_of

WINDOW = 1 << 20
"""Bytes of a file that one call sends at most, so that one fast reader does not keep the loop for long."""

READ = 256 << 10
"""Bytes read at once where sendfile is not possible (TLS)."""

JOINED = 64 << 10
"""Bytes of a chunk that are copied to go out with its length in one call."""

WHOLE = 128 << 10
"""Bytes of a body in memory that is copied behind its headers. A slow reader holds that copy, and of larger bodies none."""

_log = logs.get_logger()


async def send(request: web.Request, body: Body, status: int = 200, headers: dict[str, str] | None = None) -> web.StreamResponse:
    """Sends a body to its end and closes it, or returns it as an answer to be sent. A HEAD request gets the headers alone."""
    taken: list[Piece] = []
    try:
        if body.length is None or body.length > LARGE or request.method == "HEAD":
            return await _send(request, body, status, headers or {})
        data = await _whole(body, taken)
        if data is None or len(data) > WHOLE:
            return await _send(request, replace(body, pieces=_resumed(taken, body)), status, headers or {}, data)
        context = context_of(request)
        context.instances += body.instances
        context.still = body.served.still
        return web.Response(body=data, status=status, headers={"Content-Type": body.media_type} | (headers or {}))
    finally:
        close_pieces(taken)
        await body.aclose()


async def _whole(body: Body, taken: list[Piece]) -> bytes | None:
    """The body when its first piece is all of it, and in memory.

    :param taken: gets the pieces that were asked for, where it is not.
    """
    async for piece in body.pieces:
        taken.append(piece)
        if not isinstance(piece, bytes) or len(piece) != body.length or len(taken) > 1:
            return None
    return piece if taken and isinstance(piece, bytes) else None


async def _resumed(taken: list[Piece], body: Body) -> AsyncGenerator[Piece, None]:
    """All pieces, from the first one on."""
    while taken:
        yield taken.pop(0)
    async for piece in body.pieces:
        yield piece


async def _send(request: web.Request, body: Body, status: int, headers: dict[str, str], data: bytes | None = None) -> web.StreamResponse:
    """:param data: all of the body, where that is in memory."""
    context = context_of(request)
    response = web.StreamResponse(status=status, headers={"Content-Type": body.media_type} | headers)
    if body.length is not None:
        response.content_length = body.length
    elif request.version >= (1, 1):
        response.enable_chunked_encoding()
    else:
        response.force_close()  # nothing else tells a client of HTTP/1.0 where the body ends
    if data is not None:
        context.still, context.whole = body.served.still, data
    context.instances += body.instances
    writer = await response.prepare(request)
    context.first_byte()
    if request.method == "HEAD" or status == HTTPStatus.NOT_MODIFIED or writer is None:
        return response
    try:
        transport = request.transport
        if data is not None:
            sent = len(data)
            await response.write_eof(data)  # one call wakes the reader once; who reads nothing of it is cut off by `connection`
        elif transport is not None and transport.get_extra_info("ssl_object") is None and (body.length is not None or response.chunked):
            sent = await _by_descriptor(transport, writer, body, context.stall_timeout)
            if body.length not in (None, sent):
                raise EOFError("a body has another length than was announced")
        else:
            sent = await _by_writer(response, body, context.stall_timeout)
        context.sent += sent
    except (ConnectionError, asyncio.CancelledError):
        _cut(request)
        raise
    except TimeoutError:
        _cut(request)
        raise ConnectionResetError("the client stopped reading") from None
    except Exception as error:
        _cut(request)
        _log.error("answer broke off", request_id=context.request_id, exc_info=error)
        raise ConnectionAbortedError("the answer broke off") from error
    return response


def _cut(request: web.Request) -> None:
    metrics.ABORTED.labels(context_of(request).transaction).inc()
    if request.transport is not None:
        request.transport.abort()


# -- through aiohttp


async def _by_writer(response: web.StreamResponse, body: Body, stall: float) -> int:
    """Sends all pieces; returns the number of their bytes."""
    sent = 0
    async for piece in body.pieces:
        sent += len(piece) if isinstance(piece, bytes) else piece.length
        if isinstance(piece, bytes):
            async with asyncio.timeout(stall):
                await response.write(piece)
        else:
            async with aclosing(read(piece)) as pieces:
                async for some in pieces:
                    async with asyncio.timeout(stall):
                        await response.write(some)
    await response.write_eof()
    return sent


async def read(piece: FileSlice) -> AsyncGenerator[bytes, None]:
    """The bytes of a piece, which is closed."""
    descriptor = piece.descriptor
    try:
        at, end = piece.offset, piece.offset + piece.length
        while at < end:
            some = await asyncio.to_thread(os.pread, descriptor, min(READ, end - at), at)
            if not some:
                raise EOFError("a file ended before its length")
            at += len(some)
            yield some
    finally:
        os.close(descriptor)


# -- around aiohttp


async def _by_descriptor(transport: asyncio.Transport, writer: AbstractStreamWriter, body: Body, stall: float) -> int:
    """Sends all pieces; returns the number of their bytes. What is in aiohttp's writer already, the headers, goes before them.

    Where the length was announced, what comes early may wait in the kernel for company, which it does for 200 ms at most. Else
    every piece is a chunk of HTTP/1.1, and goes out at once: nobody knows when the next one will be there.
    """
    sent = 0
    with _beside(transport) as outside, _corked(outside) as uncork:
        writer.send_headers()
        await _flushed(transport, writer)
        async with aclosing(body.pieces):
            async for piece in body.pieces:
                if body.length is not None:
                    sent += await _send_piece(outside, piece, 0, stall)
                else:
                    sent += await _send_chunk(outside, piece, stall)
                    uncork()
    if body.length is not None:
        writer.length = 0  # aiohttp counts what passes through its writer; nothing did, and nothing is owed any more
    return sent


@contextmanager
def _beside(transport: asyncio.Transport) -> Iterator[socket.socket]:
    """A socket of our own on the connection. It is a duplicate: the transport may close its descriptor at any time, and the number
    could then be that of somebody else's connection."""
    theirs = transport.get_extra_info("socket")
    outside = socket.socket(theirs.family, socket.SOCK_STREAM, theirs.proto, fileno=os.dup(theirs.fileno()))
    outside.setblocking(False)
    try:
        yield outside
    finally:
        outside.close()


@contextmanager
def _corked(outside: socket.socket) -> Iterator[Callable[[], None]]:
    """The kernel waits for full packets until the end of it, or until what it gives is called."""
    outside.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    left = [1]

    def uncork() -> None:
        if left:
            left.clear()
            outside.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    try:
        yield uncork
    finally:
        uncork()


async def _send_piece(outside: socket.socket, piece: Piece, flags: int, stall: float) -> int:
    if isinstance(piece, bytes):
        await _send_bytes(outside, piece, flags, stall)
        return len(piece)
    await _send_file(outside, piece, stall)
    return piece.length


async def _send_chunk(outside: socket.socket, piece: Piece, stall: float) -> int:
    """A chunk (RFC 9112 7.1). aiohttp sends the last one, which is empty, and so must no other be: it would be taken for the last."""
    if isinstance(piece, FileSlice) and not piece.length:
        os.close(piece.descriptor)
        return 0
    if isinstance(piece, bytes) and len(piece) <= JOINED:
        if piece:
            await _send_bytes(outside, b"%x\r\n%b\r\n" % (len(piece), piece), 0, stall)
        return len(piece)
    await _send_bytes(outside, b"%x\r\n" % (len(piece) if isinstance(piece, bytes) else piece.length), socket.MSG_MORE, stall)
    sent = await _send_piece(outside, piece, socket.MSG_MORE, stall)
    await _send_bytes(outside, b"\r\n", 0, stall)
    return sent


async def _flushed(transport: asyncio.Transport, writer: AbstractStreamWriter) -> None:
    if transport.get_write_buffer_size():
        low, high = transport.get_write_buffer_limits()
        transport.set_write_buffer_limits(high=0)
        try:
            await writer.drain()
        finally:
            transport.set_write_buffer_limits(high=high, low=low)


async def _send_bytes(outside: socket.socket, piece: bytes, flags: int, stall: float) -> None:
    rest = memoryview(piece)
    while rest:
        try:
            rest = rest[outside.send(rest, flags) :]
        except BlockingIOError:
            await _writable(outside, stall)


async def _send_file(outside: socket.socket, piece: FileSlice, stall: float) -> None:
    descriptor = piece.descriptor
    try:
        at, end = piece.offset, piece.offset + piece.length
        while at < end:
            count = min(WINDOW, end - at)
            try:
                if _cached(descriptor, at, count):
                    sent = os.sendfile(outside.fileno(), descriptor, at, count)
                else:
                    sent = await asyncio.to_thread(os.sendfile, outside.fileno(), descriptor, at, count)
            except BlockingIOError:
                await _writable(outside, stall)
                continue
            if not sent:
                raise EOFError("a file ended before its length")
            at += sent
    finally:
        os.close(descriptor)


_probe = bytearray(1)


def _cached(descriptor: int, at: int, count: int) -> bool:
    """Whether the ends of a window are in the page cache; read-ahead makes that true of what lies between."""
    try:
        os.preadv(descriptor, [_probe], at, os.RWF_NOWAIT)
        os.preadv(descriptor, [_probe], at + count - 1, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that cannot tell
        return _in_memory(descriptor)
    return True


def _in_memory(descriptor: int) -> bool:
    """Whether there is no disk to wait for: only files in memory have seals."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        return False
    return True


async def _writable(outside: socket.socket, stall: float) -> None:
    """:raises ConnectionResetError: when the client reads nothing for `stall` seconds."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(outside, _set, ready)
    try:
        async with asyncio.timeout(stall):
            await ready
    except TimeoutError:
        raise ConnectionResetError("the client stopped reading") from None
    finally:
        loop.remove_writer(outside)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
