"""A proxy in front of an origin that misbehaves on request, and counts.

It forwards bytes, not messages, so each request that reaches the origin has a connection of its own (``Connection: close`` is
added to its head). What it answers itself keeps the connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass
class Faults:
    """What goes wrong from now on; change it while the proxy runs.

    :param latency: seconds before an answer's first byte.
    :param rate: bytes a second of answers, 0 for all at once.
    :param reset_after: bytes of an answer after which the connection is reset.
    :param end_after: bytes of an answer after which it is closed politely.
    :param hang_after: bytes of an answer after which nothing comes any more.
    :param black_hole: requests are read, and nothing ever comes back.
    :param deaf: requests are not even read.
    :param status: answered instead of asking the origin.
    :param status_times: how often; None for always.
    :param retry_after: sent with `status`.
    :param length: the Content-Length that answers claim.
    """

    latency: float = 0.0
    rate: int = 0
    reset_after: int | None = None
    end_after: int | None = None
    hang_after: int | None = None
    black_hole: bool = False
    deaf: bool = False
    status: int | None = None
    status_times: int | None = None
    retry_after: str | None = None
    length: int | None = None
    connections: int = 0
    requests: int = 0
    left: int = 0
    """Clients that closed before their answer had ended."""

    def heal(self) -> None:
        """From now on nothing goes wrong; counts stay."""
        counts = self.connections, self.requests, self.left
        self.__init__()  # type: ignore[misc]  # the same object, as new
        self.connections, self.requests, self.left = counts


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    base: str
    faults: Faults


@asynccontextmanager
async def faulty(port: int, path: str = "") -> AsyncIterator[Proxy]:
    """A proxy in front of 127.0.0.1:`port`; `path` is appended to its base."""
    faults = Faults()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        faults.connections += 1
        task = asyncio.get_running_loop().create_task(_serve(reader, writer, port, faults))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield Proxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}", faults)
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, faults: Faults) -> None:
    try:
        await _requests(reader, writer, port, faults)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, faults: Faults) -> None:
    while True:
        if faults.deaf:
            await asyncio.Event().wait()
        head = await reader.readuntil(b"\r\n\r\n")
        faults.requests += 1
        if faults.black_hole:
            while await reader.read(1 << 16):
                pass
            return
        if faults.status is None:
            await _forward(head, reader, writer, port, faults)
            return
        await _refuse(head, reader, writer, faults)


async def _refuse(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults) -> None:
    """Answers itself; bodies with a length are read, so that the connection can be used again."""
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
    again = f"Retry-After: {faults.retry_after}\r\n" if faults.retry_after is not None else ""
    close = "Connection: close\r\n" if chunked else ""
    writer.write(f"HTTP/1.1 {faults.status} Faulty\r\n{again}{close}Content-Length: 4\r\n\r\nbusy".encode())
    await writer.drain()
    if faults.status_times is not None:
        faults.status_times -= 1
        if not faults.status_times:
            faults.status = None
    if chunked:
        raise ConnectionResetError


async def _forward(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, faults: Faults) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    back.write(head.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n")
    pump = asyncio.get_running_loop().create_task(_pump(reader, back))
    answering = asyncio.get_running_loop().create_task(_answer(there, writer, faults))
    try:
        await asyncio.wait([pump, answering], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():  # the client left
            faults.left += 1
    finally:
        for task in (pump, answering):
            task.cancel()
        await asyncio.gather(pump, answering, return_exceptions=True)
        back.close()
        with suppress(OSError):
            await back.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 16):
        writer.write(piece)
        await writer.drain()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults) -> None:
    """Passes answers on until the origin closes; from the first fault on the bytes are counted."""
    piece = await reader.read(1 << 16)
    await asyncio.sleep(faults.latency)
    if faults.length is not None:
        piece = _claim(piece, faults.length)
    passed = 0
    while piece:
        limit = min((n for n in (faults.reset_after, faults.end_after, faults.hang_after) if n is not None), default=None)
        if limit is not None and passed + len(piece) >= limit:
            writer.write(piece[: limit - passed])
            await writer.drain()
            await _break(writer, faults)
            return
        writer.write(piece)
        await writer.drain()
        passed += len(piece)
        if faults.rate:
            await asyncio.sleep(len(piece) / faults.rate)
        piece = await reader.read(min(1 << 16, faults.rate // 10) if faults.rate else 1 << 16)


def _claim(piece: bytes, length: int) -> bytes:
    head, _, body = piece.partition(b"\r\n\r\n")
    kept = [
        line for line in head.split(b"\r\n") if not line.lower().startswith((b"content-length:", b"transfer-encoding:", b"connection:"))
    ]
    return b"\r\n".join([*kept, b"Content-Length: %d" % length, b"Connection: close"]) + b"\r\n\r\n" + body


async def _break(writer: asyncio.StreamWriter, faults: Faults) -> None:
    if faults.hang_after is not None:
        await asyncio.Event().wait()
    if faults.reset_after is not None:
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
