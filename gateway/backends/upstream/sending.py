"""A body on its way to an origin.

1. Pieces go out as they come. Give a Content-Length where it is known: in chunked coding each piece is copied once more.
2. The next piece is asked for when the connection has taken the last one: that is the back-pressure.
3. An origin that takes nothing for `idle` seconds is given up. How long the pieces themselves take to come is the business of
   whoever makes them.
4. What goes wrong while a piece is made is remembered, for aiohttp reports it as a broken connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter

PIECE = 256 << 10
"""Bytes that are written at once of a body that lies in memory: it takes the loop well under a millisecond."""


class Stalled(Exception):
    """The origin takes nothing any more."""


class Outgoing(aiohttp.Payload):
    """A body for one call; one that lies in memory can be sent again.

    :param idle: seconds that the origin may take nothing, 0 for any time.
    """

    _autoclose = True

    def __init__(self, body: bytes | AsyncIterator[bytes], idle: float) -> None:
        super().__init__(body)
        self._size = len(body) if isinstance(body, bytes) else None
        self._idle = idle or None
        self.sent = 0
        """Bytes handed to the connection, of all tries."""
        self.ended = 0.0
        """When the last byte was handed over, in the loop's time; 0 before."""
        self.failure: BaseException | None = None
        """What went wrong on this side."""
        self._task: asyncio.Task[None] | None = None

    @property
    def replayable(self) -> bool:
        """Whether the body is whole: it lies in memory, or nothing has been taken from it."""
        return self._size is not None or not self._consumed

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """A body is bytes, and stays that."""
        raise TypeError("a body for an origin is never text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """As `write_with_length` with what the headers say."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Sends everything. A Content-Length that does not fit the body is left to the origin, which sees a cut request."""
        if not isinstance(writer, StreamWriter):
            raise TypeError("a body for an origin is written by aiohttp's client only")
        self.ended, self.failure = 0.0, None
        self._task = asyncio.current_task()
        try:
            await self._write(writer)
        except aiohttp.ClientConnectionResetError:
            raise  # the connection is gone, which is no failure of this side
        except Exception as error:
            self.failure = error
            raise
        self.ended = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        """Returns when nothing is taken from the body any more: its maker can go on with it, or close it.

        An origin may answer before it has read everything, and aiohttp only asks its writing task to end.
        """
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _write(self, writer: StreamWriter) -> None:
        body: bytes | AsyncIterator[bytes] = self._value
        if isinstance(body, bytes):
            view = memoryview(body)
            for start in range(0, len(body), PIECE):
                await self._piece(writer, view[start : start + PIECE])
            return
        self._consumed = True
        async for piece in body:
            await self._piece(writer, piece)

    async def _piece(self, writer: StreamWriter, piece: bytes | memoryview) -> None:
        self.sent += len(piece)
        await writer.write(piece, drain=False)
        if writer.protocol.writing_paused:
            await self._drained(writer)

    async def _drained(self, writer: StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._idle):
                await writer.drain()
        except TimeoutError:
            raise Stalled from None
