"""Backends that are opened when somebody asks for them, a bounded number at once.

One that nobody uses makes room for another, the one that was used longest ago first; one in use is never closed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gateway.backends.base import Backend
from gateway.backends.catalog import close_all
from gateway.errors import Busy
from gateway.healthcare.names import StoreName


@dataclass(slots=True)
class _Held:
    opening: asyncio.Task[Backend]
    users: int = 0


class Leases:
    """:param opened: opens one. :param most: that are open at once."""

    def __init__(self, opened: Callable[[StoreName], Awaitable[Backend]], most: int) -> None:
        self._opened = opened
        self._most = most
        self._held: OrderedDict[StoreName, _Held] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def of(self, name: StoreName) -> AsyncGenerator[Backend, None]:
        """A backend that stays open until the end of it.

        :raises Busy: when as many others are in use.
        """
        held = self._take(name)
        held.users += 1
        try:
            yield await asyncio.shield(held.opening)
        finally:
            held.users -= 1

    def _take(self, name: StoreName) -> _Held:
        held = self._held.get(name)
        if held is not None and not _failed(held.opening):
            self._held.move_to_end(name)
            return held
        self._held.pop(name, None)
        self._make_room()
        made = self._held[name] = _Held(asyncio.create_task(self._open(name)))
        return made

    async def _open(self, name: StoreName) -> Backend:
        return await self._opened(name)

    def _make_room(self) -> None:
        while len(self._held) >= self._most:
            idle = next((name for name, held in self._held.items() if not held.users), None)
            if idle is None:
                raise Busy(f"{self._most} stores of this relay are in use already (stores). Try again in a moment.")
            task = asyncio.create_task(_close(self._held.pop(idle)))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Closes all of them."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        held, self._held = list(self._held.values()), OrderedDict()
        await asyncio.gather(*(one.opening for one in held), return_exceptions=True)
        await close_all([one.opening.result() for one in held if not _failed(one.opening)])


def _failed(task: asyncio.Task[Backend]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _close(held: _Held) -> None:
    with suppress(Exception):  # one that could not be opened; closing it is nobody's request
        await (await held.opening).aclose()
