"""An answer that is still arriving, and those who read it meanwhile.

1. While it is to be kept, all of it stays here, and readers take it at their own pace; its bytes are room of the memory tier.
2. What grows too large, or finds no room, only passes through: what all readers have seen is let go, and the next piece is
   asked for when no more than `WINDOW` bytes wait for the slowest of them. A reader who has stopped for good is cut by the
   web layer (`server.stall_timeout`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from gateway.backends.base import Piece

WINDOW = 1 << 20
"""Bytes that wait for the slowest reader of what is not kept: enough to keep a socket busy. One piece may go beyond."""


class Growing:
    """:param expected: how many read it, or will: none of them must miss the beginning."""

    def __init__(self, expected: Callable[[], int]) -> None:
        self.pieces: list[bytes] = []
        self.received = 0
        self.passing = False
        self._first = 0  # number of the first piece that is here
        self._held = 0
        self._ended = False
        self._error: BaseException | None = None
        self._expected = expected
        self._readers: dict[object, int] = {}
        self._moved: list[asyncio.Future[None]] = []

    async def add(self, piece: bytes) -> None:
        """The next bytes; returns when more can be taken."""
        self.pieces.append(piece)
        self.received += len(piece)
        self._held += len(piece)
        self.wake()
        while self.passing:
            self._let_go()
            if self._held <= WINDOW:
                return
            await self._changed()

    def _let_go(self) -> None:
        if len(self._readers) < self._expected():
            return
        lowest = min(self._readers.values(), default=self._first + len(self.pieces))
        seen = self.pieces[: lowest - self._first]
        self._held -= sum(map(len, seen))
        del self.pieces[: len(seen)]
        self._first += len(seen)

    def end(self) -> None:
        """It is whole."""
        self._ended = True
        self.wake()

    def fail(self, error: BaseException) -> None:
        """It broke off: every reader learns it where the bytes end."""
        self._error = error
        self.wake()

    def wake(self) -> None:
        """Something has changed: a piece came, a reader went on or left."""
        moved, self._moved = self._moved, []
        for one in moved:
            if not one.done():
                one.set_result(None)

    async def _changed(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._moved.append(future)
        await future

    async def read(self, start: int, stop: int | None) -> AsyncGenerator[Piece, None]:
        """The bytes from one offset to another, None for all, as they arrive."""
        reader = object()
        number, at = self._first, 0
        self._readers[reader] = number
        try:
            while stop is None or at < stop:
                if number == self._first + len(self.pieces):
                    if self._error is not None:
                        raise self._error
                    if self._ended:
                        return
                    await self._changed()
                    continue
                piece = self.pieces[number - self._first]
                wanted = piece[max(start - at, 0) : None if stop is None else max(stop - at, 0)] if start or stop is not None else piece
                if wanted:
                    yield wanted
                number, at = number + 1, at + len(piece)
                self._readers[reader] = number
                if self.passing:
                    self.wake()
        finally:
            del self._readers[reader]
            self.wake()
