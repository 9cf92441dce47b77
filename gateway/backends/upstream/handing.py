"""Pieces from one task to another: from who reads a store request to the call that sends them on.

Two tasks, because the call may end at any moment, and must not take the reading of the request with it: what has not been
read yet is sent in another call. The reader waits while `AHEAD` bytes have not been taken: that is the back-pressure.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

AHEAD = 512 << 10
"""Bytes that wait at most; one piece may go beyond. Enough for both tasks to work without waiting for each other."""


class Unwanted(Exception):
    """Nobody takes pieces any more: the call is over."""


class Handover(AsyncIterator[bytes]):
    """:param pieces: what waits already."""

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self._pieces = deque(pieces)
        self._size = sum(map(len, self._pieces))
        self._ended = False
        self._over = False
        self._moved: asyncio.Future[None] | None = None

    # -- the reader's side

    async def put(self, piece: bytes) -> None:
        """Hands a piece over, as soon as there is room.

        :raises Unwanted: when the call is over.
        """
        while self._size >= AHEAD and not self._over:
            await self._wait()
        if self._over:
            raise Unwanted
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()

    def end(self) -> None:
        """There is nothing more."""
        self._ended = True
        self._wake()

    # -- the call's side

    def over(self) -> None:
        """Nothing is taken any more."""
        self._over = True
        self._wake()

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        piece = self._pieces.popleft()
        before, self._size = self._size, self._size - len(piece)
        if before >= AHEAD > self._size:
            self._wake()
        return piece

    # -- only one of the two ever waits: one for room, the other for a piece

    async def _wait(self) -> None:
        moved = self._moved = asyncio.get_running_loop().create_future()
        try:
            await moved
        finally:
            if self._moved is moved:
                self._moved = None

    def _wake(self) -> None:
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)
