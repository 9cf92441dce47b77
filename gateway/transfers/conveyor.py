"""Many pieces of work at once, and one mark of how far nothing is left undone.

Pieces are begun in the order of their marks and end in any. What is kept is the mark before which all have ended, with what was
counted until there: a process that takes the work up goes on at that mark, does a few pieces again, and counts none twice.
Those who ask meanwhile are told what is counted now.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from gateway.healthcare.operations import Counter

T = TypeVar("T")

AT_ONCE = 8
"""Pieces: enough that the disk, the network and the pixel processes all have something to do; what each holds in memory is bounded."""

EVERY = 0.9
"""Seconds between two tellings."""

GRACE = 0.3
"""Seconds that what is under way gets to end when somebody asks to stop: a commit takes some milliseconds."""

NOTES = 10
"""Files of which it is told what was wrong; the others are counted."""

Note = tuple[str, str]
"""The name of a file, and what was wrong with it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a piece."""

    success: int = 0
    notes: Sequence[Note] = ()
    failure: int | None = None
    """None for as many as there are notes."""

    @property
    def failed(self) -> int:
        """How many."""
        return len(self.notes) if self.failure is None else self.failure


class Telling(Protocol):
    """What `operations.work.Running` has of what is needed here."""

    counter: Counter
    reached: str

    async def tell(self, counter: Counter, reached: str = "") -> None:
        """Keeps how far it is; raises when the work is to stop."""


@dataclass(slots=True)
class _Sum:
    after: str = ""
    success: int = 0
    failure: int = 0
    notes: list[Note] = field(default_factory=list)

    def add(self, ended: Ended) -> None:
        self.success += ended.success
        self.failure += ended.failed
        self.notes += list(ended.notes)[: NOTES - len(self.notes)]

    def text(self) -> str:
        return json.dumps([self.after, self.success, self.failure, self.notes])  # any name is ASCII in it, also one that is no UTF-8

    @classmethod
    def of(cls, text: str) -> _Sum:
        if not text:
            return cls()
        after, success, failure, notes = json.loads(text)
        return cls(after, success, failure, [(name, what) for name, what in notes])


class Conveyor:
    """:param running: is told how far it is, and knows where to begin."""

    def __init__(self, running: Telling) -> None:
        self._running = running
        self._kept = _Sum.of(running.reached)
        self._now = _Sum.of(running.reached)
        self._under_way: deque[tuple[str, list[Ended]]] = deque()
        self._total: int | None = None
        self.stopping = False
        """Whether somebody asked to stop: nothing more is begun, and what is under way had better end."""

    @property
    def after(self) -> str:
        """The mark behind which to begin; empty for the very beginning."""
        return self._kept.after

    @property
    def notes(self) -> Sequence[Note]:
        """What was wrong with the first of those that failed, in their order."""
        return self._kept.notes

    @property
    def counter(self) -> Counter:
        """What is counted now; pending as soon as it is known how many there are."""
        done = self._now.success + self._now.failure
        return Counter(self._now.success, self._now.failure, max(0, (self._total or 0) - done))

    async def run(
        self, line: AsyncGenerator[tuple[str, T], None], work: Callable[[T], Awaitable[Ended]], count: Callable[[], Awaitable[int]]
    ) -> Counter:
        """Works through all of `line`.

        :param line: marks in ascending order, and what is to be done. :param count: tells how many files or instances there are in all.
        :raises Exception: the first one that `work` raised, or `tell`.
        """

        async def pull() -> None:
            while not self.stopping:
                async with taking:
                    one = await anext(line, None)
                    if one is None:
                        return
                    slot: list[Ended] = []
                    self._under_way.append((one[0], slot))
                self._count(await work(one[1]), slot)

        taking = asyncio.Lock()
        async with aclosing(line):
            pulling = [asyncio.ensure_future(pull()) for _ in range(AT_ONCE)]
            beside = [asyncio.ensure_future(self._tell()), asyncio.ensure_future(self._expect(count))]
            try:
                await _all(pulling, beside)
            except BaseException:
                self.stopping = True
                await asyncio.wait(pulling, timeout=GRACE)
                raise
            finally:
                await _ended([*pulling, *beside])
                self._running.counter = self.counter
        self._total = 0
        return self.counter

    def _count(self, ended: Ended, slot: list[Ended]) -> None:
        self._now.add(ended)
        if not self.stopping:  # else it may have left something undone
            slot.append(ended)
        while self._under_way and self._under_way[0][1]:
            mark, slot = self._under_way.popleft()
            self._kept.add(slot[0])
            self._kept.after = mark
        self._running.counter = self.counter

    async def _expect(self, count: Callable[[], Awaitable[int]]) -> None:
        self._total = await count()

    async def _tell(self) -> None:
        while True:
            await self._running.tell(self.counter, self._kept.text())
            await asyncio.sleep(EVERY)


async def _all(pulling: Sequence[asyncio.Future[None]], beside: Sequence[asyncio.Future[None]]) -> None:
    """Until all of the first have ended, or one of any has failed."""
    left = {*pulling, *beside}
    while not all(one.done() for one in pulling):
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    for one in pulling:
        one.result()


async def _ended(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
