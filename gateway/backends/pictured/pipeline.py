"""Several jobs ahead of the socket: what they make comes in order, and no more of it is held than is being made."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Job = Callable[[], Coroutine[Any, Any, T]]


class Pipeline(Generic[T]):
    """:param jobs: in the order in which their results are wanted.
    :param depth: how many are begun whose results nobody has taken.
    """

    def __init__(self, jobs: Iterable[Job[T]], depth: int) -> None:
        self._jobs = iter(jobs)
        self._depth = depth
        self._begun: deque[asyncio.Task[T]] = deque()

    async def next(self) -> T | None:
        """The next result, None after the last one. Raises what its job raised; the others are ended then."""
        self._begin()
        if not self._begun:
            return None
        try:
            result = await self._begun[0]
        except BaseException:
            self.cancel()
            raise
        self._begun.popleft()
        self._begin()
        return result

    def _begin(self) -> None:
        while len(self._begun) < self._depth and (job := next(self._jobs, None)) is not None:
            self._begun.append(asyncio.create_task(job()))

    def cancel(self) -> None:
        """Ends what is under way; safe to call twice."""
        self._jobs = iter(())
        while self._begun:
            task = self._begun.popleft()
            task.add_done_callback(_seen)
            task.cancel()


def _seen(task: asyncio.Task[Any]) -> None:
    """An error that nobody has waited for is no news."""
    if not task.cancelled():
        task.exception()
