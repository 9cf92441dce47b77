"""How many requests may be at an origin at once.

Those beyond wait in a short line, so that a viewer that opens a series does not fail for being fast; whoever would wait too
long, or finds the line full, hears at once to come back later (503): a line without end only makes everybody late.
"""

from __future__ import annotations

import asyncio

from gateway.errors import Busy

WAIT = 2.0
"""Seconds in line: a little less than people take for a failure."""


class Places:
    """A bounded number of places and a line as long.

    :param name: of the store, for messages.
    """

    def __init__(self, name: str, most: int, wait: float = WAIT) -> None:
        self._name = name
        self._free = asyncio.Semaphore(most)
        self._most = most
        self._wait = wait
        self._line = 0

    async def enter(self) -> None:
        """Takes a place.

        :raises Busy: none is free, and none will be soon.
        """
        if not self._free.locked():
            await self._free.acquire()  # does not wait
            return
        if self._line >= self._most:
            raise self._busy()
        self._line += 1
        try:
            async with asyncio.timeout(self._wait):
                await self._free.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._line -= 1

    def leave(self) -> None:
        """Gives a place back."""
        self._free.release()

    def _busy(self) -> Busy:
        return Busy(f"{self._most} requests are at the origin of store {self._name!r} already (in_flight). Try again in a moment.")
