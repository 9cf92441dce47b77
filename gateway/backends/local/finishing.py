"""Received files made whole: a large one in a thread of its own, small ones together.

To wake a thread for a file of 3 kB costs half as much as all that the thread does with it, and a sync of its own costs as much again. So
small files that are ready in the same turn of the event loop, of whichever requests, share a thread's turn. All of them are written
first, then the disk is asked for all, then each is waited for: the file system commits them together. Nobody waits for a timer: what
comes while `ABREAST` turns are at work makes up the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from gateway.backends.local.incoming import Incoming
from gateway.backends.local.prepared import Prepared

T = TypeVar("T")

SMALL = 64 << 10
"""Bytes up to which a file is small: its sync takes about as long as that of an empty one."""

TOGETHER = 64
"""Files of one turn, each of which has a descriptor open. What they cost beside their syncs takes a thread about ten milliseconds."""

ABREAST = 2
"""Turns at work at once: one waits for the disk, another one walks. More of them would only make each smaller."""

_Waiting = tuple[Incoming, list[bytes], asyncio.Future[Prepared]]


class Finisher:
    """One for all requests of a store. Used from one event loop.

    :param pool: has more threads than `ABREAST`.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._waiting: deque[_Waiting] = deque()
        self._called = False
        self._at_work = 0

    def finish(self, file: Incoming, pieces: list[bytes], size: int) -> asyncio.Future[Prepared]:
        """Done when the file is whole and synced; raises as `Incoming` does, and leaves nothing behind then.

        :param pieces: its last ones, of `size` bytes.
        :raises RuntimeError: when the store was closed; likewise.
        """
        loop = asyncio.get_running_loop()
        if size > SMALL or not file.quick:
            try:
                return loop.run_in_executor(self._pool, file.finish, pieces)
            except RuntimeError:
                file.discard()
                raise
        future: asyncio.Future[Prepared] = loop.create_future()
        self._waiting.append((file, pieces, future))
        if not self._called and self._at_work < ABREAST:
            self._called = True
            loop.call_soon(self._begin)
        return future

    def _begin(self) -> None:
        self._called = False
        if not self._waiting or self._at_work == ABREAST:
            return
        some = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        try:
            turn = asyncio.get_running_loop().run_in_executor(self._pool, _finished, [(file, pieces) for file, pieces, _ in some])
        except RuntimeError as error:  # the store was closed
            for file, _, _ in some:
                file.discard()
            _tell(some, [error] * len(some))
        else:
            self._at_work += 1
            turn.add_done_callback(partial(self._end, some))
        self._begin()

    def _end(self, some: Sequence[_Waiting], turn: asyncio.Future[list[Prepared | Exception]]) -> None:
        self._at_work -= 1
        _tell(some, turn.result())
        self._begin()


def _tell(some: Sequence[_Waiting], outcomes: Sequence[Prepared | Exception]) -> None:
    for (_, _, future), outcome in zip(some, outcomes, strict=True):
        if future.done():  # nobody waits for it any more, which must not cost the others
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _finished(files: Sequence[tuple[Incoming, list[bytes]]]) -> list[Prepared | Exception]:
    """What became of each; blocks."""
    failures = [_tried(partial(file.complete, pieces)) for file, pieces in files]
    complete = [file for (file, _), failure in zip(files, failures, strict=True) if failure is None]
    if len(complete) > 1:
        for file in complete:
            file.begin_sync()
    return [_tried(file.settle) if failure is None else failure for (file, _), failure in zip(files, failures, strict=True)]


def _tried(step: Callable[[], T]) -> T | Exception:
    """What comes of a step for one file; its error belongs to whoever waits for that one."""
    try:
        return step()
    except Exception as error:
        return error
