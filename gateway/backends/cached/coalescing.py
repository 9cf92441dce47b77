"""One call for all who ask the same at the same time.

The call runs in a task of its own. It ends well when it ends for all of them; a caller who leaves takes nobody with him, and
when the last one has left the call is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

from gateway.errors import StoreUnavailable

T = TypeVar("T")


class Flight(Generic[T]):
    """A call that is under way.

    :ivar followers: who waits for it, or still reads what it brings.
    """

    def __init__(self, flights: Flights[T], key: Hashable) -> None:
        self._flights = flights
        self._key = key
        self._first: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._first.add_done_callback(_seen)
        self.task: asyncio.Task[None] | None = None
        self.followers = 0
        self.whole = False
        """Whether all has come that will come: what is left to do is not for those who read, and they may leave."""
        self.left: Callable[[], None] | None = None
        """Called whenever a follower has left."""

    @property
    def answered(self) -> bool:
        """Whether there is something for those who wait."""
        return self._first.done()

    def answer(self, result: T) -> None:
        """What all who wait get; the first answer counts."""
        if not self._first.done():
            self._first.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Likewise an error."""
        if not self._first.done():
            self._first.set_exception(error)

    async def result(self) -> T:
        """What was answered."""
        return await asyncio.shield(self._first)

    def leave(self) -> None:
        """One follower less."""
        self.followers -= 1
        if self.left is not None:
            self.left()
        if self.followers == 0 and not self.whole and self.task is not None and not self.task.done():
            self.retire()
            self.task.cancel()

    def retire(self) -> None:
        """Nobody can join any more."""
        self._flights.forget(self._key, self)


class Flights(Generic[T]):
    """The calls that are under way in this process."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Flight[T]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def join(self, key: Hashable, call: Callable[[Flight[T]], Coroutine[Any, Any, None]], *, anew: bool = False) -> tuple[Flight[T], bool]:
        """The call for that key, and whether it was under way before. Whoever joins leaves once.

        :param call: answers the flight that it is given, or fails it.
        :param anew: whether only a call that begins now will do; it is the one that others join from now on.
        """
        flight = None if anew else self._open.get(key)
        joined = flight is not None
        if flight is None:
            flight = self._open[key] = Flight(self, key)
            flight.task = asyncio.create_task(self._run(call, flight))
            self._running.add(flight.task)
            flight.task.add_done_callback(partial(self._ended, flight))
        flight.followers += 1
        return flight, joined

    async def _run(self, call: Callable[[Flight[T]], Coroutine[Any, Any, None]], flight: Flight[T]) -> None:
        try:
            await call(flight)
        except Exception as error:
            flight.fail(error)

    def _ended(self, flight: Flight[T], task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        flight.retire()
        flight.fail(StoreUnavailable("the store is being closed"))  # where nothing was answered before

    def forget(self, key: Hashable, flight: Flight[T]) -> None:
        """Nobody joins the flight any more."""
        if self._open.get(key) is flight:
            del self._open[key]

    async def aclose(self) -> None:
        """Ends all calls; whoever still waits gets an error."""
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _seen(first: asyncio.Future[Any]) -> None:
    """An error that nobody has waited for is no news."""
    if not first.cancelled():
        first.exception()
