"""An HTTP/1.1 client that costs little, so that a server is the limit where that can be had.

One protocol object a connection, one receive buffer for its whole life, everything in callbacks of uvloop: no task and no future a
request. Bodies are counted and dropped unless they are to be looked at.

1. A connection asks for its next request the moment that an answer is whole, as long as the round has any: a closed loop.
2. A round ends when its time is up or its requests are spent, and what is under way is finished: all of it counts.
3. Only what a server answers is believed: a status that was not expected, or a body of another length, is in the figures.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

BUFFER = 1 << 20
"""Bytes read at once: with less, large bodies cost the client more than the server."""

Piece = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, ready to be written.

    :param head: request line and headers, with the blank line.
    :param about: what a check needs to know of it, for example the UIDs that were sent.
    """

    head: bytes
    body: Sequence[Piece] = ()
    about: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request. :param media: its Content-Type."""

    ask: Ask
    status: int
    media: str
    body: bytes


@dataclass(slots=True)
class Tally:
    """What a round came to. Times are seconds, one a request, in the order in which the answers ended."""

    taken: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    sent: int = 0
    received: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    kept: list[Answer] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0


def get(path: str, accept: str = "*/*") -> Ask:
    """A GET of a path that begins with a slash."""
    return Ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode(), about=path)


def post(path: str, media: str, accept: str, body: Sequence[Piece], about: object = None) -> Ask:
    """A POST of a body in pieces, with its Content-Length."""
    length = sum(map(len, body))
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n"
    return Ask(head.encode(), body, about)


class Round:
    """Requests of one round, handed to whichever connection is free.

    :param seconds: after which no new request begins.
    :param keep: how many answers are kept whole, to be looked at; the first ones.
    """

    def __init__(self, asks: Iterator[Ask], seconds: float, keep: int) -> None:
        self.tally = Tally()
        self._asks = asks
        self._seconds = seconds
        self._keep = keep
        self._end = 0.0
        self._busy = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, connections: Sequence[Connection]) -> None:
        """Sends the first request on each."""
        self._end = time.perf_counter() + self._seconds
        self._busy = len(connections)
        for connection in connections:
            connection.next()

    def take(self) -> Ask | None:
        """The next request, None when there is no other."""
        return next(self._asks, None) if time.perf_counter() < self._end else None

    def wants(self) -> bool:
        """Whether the answer to the next request is kept."""
        self._keep -= 1
        return self._keep >= 0

    def rest(self, error: BaseException | None = None) -> None:
        """A connection has nothing more to do, or cannot go on."""
        self._busy -= 1
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        elif not self._busy:
            self.done.set_result(None)


class Connection(asyncio.BufferedProtocol):
    """One connection with one request at a time; a new one when the server closes it between two requests."""

    def __init__(self, turn: Round, port: int) -> None:
        self._round, self._tally, self._port = turn, turn.tally, port
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._transport: asyncio.Transport | None = None
        self._pieces: Iterator[Piece] = iter(())
        self._paused = self._busy = False
        self._keep: list[bytes] | None = None
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connects.

        :raises OSError: when nobody listens.
        """
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    # -- asking

    def next(self) -> None:
        """Sends the next request, if there is one."""
        ask = self._round.take()
        if ask is None:
            self._round.rest()
            return
        self._ask, self._keep = ask, [] if self._round.wants() else None
        self._busy, self._reading, self._carry = True, self._head, b""
        self._status, self._media, self._count, self._first, self._closes = 0, "", 0, 0.0, False
        self._start = time.perf_counter()
        if self._transport is None:
            self._opening = asyncio.create_task(self._reopened())
        else:
            self._send()

    async def _reopened(self) -> None:
        try:
            await self.open()
        except OSError as error:
            self._busy = False
            self._round.rest(error)
        else:
            self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(self._ask.head)
        if self._ask.body:
            self._pieces = iter(self._ask.body)
            self._pump()

    def _pump(self) -> None:
        assert self._transport is not None
        while not self._paused and (piece := next(self._pieces, None)) is not None:
            self._tally.sent += len(piece)
            self._transport.write(piece)

    def pause_writing(self) -> None:
        """The socket takes no more."""
        self._paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._paused = False
        self._pump()

    # -- what comes back; each reader returns how far it read, and sets who reads on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not one by name
        self._opening, self._paused = None, False

    def connection_lost(self, exc: Exception | None) -> None:
        """The server went away: the end of an answer without a length, and else an error while something is under way."""
        self._transport = None
        if not self._busy or self._opening is not None:
            return
        if self._reading == self._until_closed and exc is None:
            self._end()
        else:
            self._busy = False
            self._round.rest(exc or ConnectionResetError("the server closed the connection in the middle of an answer"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where uvloop reads to."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Reads on."""
        if not self._first:
            self._first = time.perf_counter() - self._start
        at = 0
        while at < nbytes and self._busy:
            at = self._reading(at, nbytes)

    def _head(self, at: int, end: int) -> int:
        found = -1 if self._carry else self._buffer.find(b"\r\n\r\n", at, end)
        if found >= 0:
            self._read_head(bytes(self._view[at:found]))
            return found + 4
        before = len(self._carry)
        self._carry += bytes(self._view[at:end])
        found = self._carry.find(b"\r\n\r\n")
        if found < 0:
            return end
        head, self._carry = self._carry[:found], b""
        self._read_head(head)
        return at + found + 4 - before

    def _read_head(self, head: bytes) -> None:
        self._status = int(head[9:12])
        lower = head.lower()
        if self._keep is not None:
            self._media = _header(head, lower, b"content-type")
        self._closes = b"\r\nconnection: close" in lower
        length = _header(lower, lower, b"content-length")
        if length:
            self._left, self._reading = int(length), self._counted
            if not self._left:
                self._end()
        elif b"chunked" in lower:
            self._reading = self._chunk_line
        elif self._status in (204, 304):
            self._end()
        else:
            self._reading = self._until_closed

    def _until_closed(self, at: int, end: int) -> int:
        self._take(at, end)
        return end

    def _counted(self, at: int, end: int) -> int:
        stop = min(end, at + self._left)
        self._take(at, stop)
        self._left -= stop - at
        if not self._left:
            self._end()
        return stop

    def _chunk_line(self, at: int, end: int) -> int:
        found = self._buffer.find(b"\n", at, end)
        if found < 0:
            self._carry += bytes(self._view[at:end])
            return end
        size = int((self._carry + bytes(self._view[at:found])).partition(b";")[0], 16)
        self._carry = b""
        self._left, self._reading = (size, self._chunk) if size else (2, self._chunk_end)
        return found + 1

    def _chunk(self, at: int, end: int) -> int:
        stop = min(end, at + self._left)
        self._take(at, stop)
        self._left -= stop - at
        if not self._left:
            self._left, self._reading = 2, self._between
        return stop

    def _between(self, at: int, end: int) -> int:
        """The line end behind a chunk."""
        stop = min(end, at + self._left)
        self._left -= stop - at
        if not self._left:
            self._reading = self._chunk_line
        return stop

    def _chunk_end(self, at: int, end: int) -> int:
        """The blank line behind the last chunk; none of the servers here sends trailers."""
        stop = min(end, at + self._left)
        self._left -= stop - at
        if not self._left:
            self._end()
        return stop

    def _take(self, start: int, stop: int) -> None:
        self._count += stop - start
        if self._keep is not None:
            self._keep.append(bytes(self._view[start:stop]))

    def _end(self) -> None:
        tally = self._tally
        tally.taken.append(time.perf_counter() - self._start)
        tally.first_bytes.append(self._first)
        tally.received += self._count
        if self._status != 200:
            tally.wrong[f"status {self._status}"] += 1
        if self._keep is not None:
            tally.kept.append(Answer(self._ask, self._status, self._media, b"".join(self._keep)))
        self._busy = False
        if self._closes:
            self.close()
        self.next()

    def close(self) -> None:
        """Ends it."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _header(head: bytes, lower: bytes, name: bytes) -> str:
    """The value of a header that stands in `head`; `lower` is the same in lower case."""
    at = lower.find(b"\r\n" + name + b":")
    if at < 0:
        return ""
    end = head.find(b"\r\n", at + 2)
    return head[at + len(name) + 3 : end if end >= 0 else len(head)].strip().decode("latin-1")


async def asked(port: int, asks: Iterator[Ask], *, clients: int, seconds: float, keep: int = 0) -> Tally:
    """One round of requests over so many connections, which stand before the clock runs.

    :raises OSError: when a connection breaks.
    """
    turn = Round(asks, seconds, keep)
    connections = [Connection(turn, port) for _ in range(clients)]
    try:
        for connection in connections:
            await connection.open()
        start, cpu = time.perf_counter(), time.process_time()
        turn.begin(connections)
        await turn.done
        turn.tally.wall, turn.tally.cpu = time.perf_counter() - start, time.process_time() - cpu
    finally:
        for connection in connections:
            connection.close()
    return turn.tally
