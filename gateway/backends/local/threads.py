"""Threads for many short pieces of blocking work, such as looks at the index.

A look takes 30 microseconds. To wake a thread for each, as `ThreadPoolExecutor` does, costs more than that, and four threads
that are awake together fight with the event loop for the interpreter: searches of 16 clients cost a third more CPU time.

Rules:
1. While a thread is at work, further work waits for it. Each `PATIENCE` in which hardly anything gets done one more thread is
   woken: the others may be waiting for a disk, or have something long to do.
2. Who rested last is woken first: its connection has the index's pages and statements at hand.
3. One call to the loop tells of all that was done since it looked last.
4. Nobody holds a lock: each step on a list or a deque is whole, and the order of steps does the rest. Who brings work adds
   it, then looks whether all rest; who rests says so, then looks for work once more. One of the two sees the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 0.002
"""Seconds that work waits before one more thread is woken: the loop itself keeps the interpreter for one or two milliseconds at a
time when it is busy, and a disk takes longer than that when it is."""

BRISK = 4
"""Pieces of work in `PATIENCE` that more threads would not speed up: so short ones mostly need the interpreter, which is one."""


class Threads:
    """At most `most` threads, started when they are first needed. Used from one event loop at a time."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._threads: list[threading.Thread] = []
        self._resting: list[threading.Lock] = []
        self._work: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._closing = False
        self._told = False
        self._counted = 0
        self._looking = False
        self._loop: asyncio.AbstractEventLoop

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """What `work` returns or raises in a thread; one that is cancelled before its turn is not begun."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = self._loop.create_future()
        self._work.append((future, work))
        if len(self._resting) == len(self._threads):
            self._wake()
        elif not self._looking:
            self._look_later()
        return future

    def close(self) -> None:
        """Ends the threads when all work is done; blocks."""
        self._closing = True
        while self._resting:
            self._resting.pop().release()
        for thread in self._threads:
            thread.join()

    # -- on the loop

    def _wake(self) -> None:
        try:
            self._resting.pop().release()
        except IndexError:
            if len(self._threads) < self._most and not self._closing:
                thread = threading.Thread(target=self._keep_working, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _look_later(self) -> None:
        self._looking = True
        self._loop.call_later(PATIENCE, self._look, self._counted + len(self._done))

    def _look(self, done_before: int) -> None:
        self._looking = False
        if self._work:
            if self._counted + len(self._done) - done_before < BRISK:
                self._wake()
            self._look_later()

    def _tell(self) -> None:
        self._told = False  # first: what is done from here on either lies in the deque already or calls again
        while self._done:
            future, result, error = self._done.popleft()
            self._counted += 1
            if future.done():  # cancelled
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    # -- in the threads

    def _keep_working(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        while True:
            try:
                job = self._work.popleft()
            except IndexError:
                if self._closing:
                    return
                self._rest(gate)
                continue
            self._do(*job)
            del job  # what it holds may be large, and the next one may be long in coming

    def _rest(self, gate: threading.Lock) -> None:
        self._resting.append(gate)
        if self._work or self._closing:
            with suppress(ValueError):  # somebody has just woken this thread
                self._resting.remove(gate)
                return
        gate.acquire()

    def _do(self, future: asyncio.Future[T], work: Callable[[], T]) -> None:
        if future.cancelled():
            return
        self._done.append((future, *_outcome(work)))
        if not self._told:
            self._told = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._tell)


def _outcome(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except StopIteration as error:  # the one exception that no future takes
        return None, RuntimeError(f"{type(error).__name__} in a thread")
    except BaseException as error:
        return None, error
