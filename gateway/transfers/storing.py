"""Files into a store, on the way that a request takes: the same checks, the same durability.

Files are stored in groups, so that many share one commit. One that cannot be read or is refused holds up none of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway.backends.base import Backend, Failed, Stored, Upload
from gateway.dicom.header import Instance
from gateway.dicomweb.reasons import Reason
from gateway.errors import Busy, GatewayError, InstanceError
from gateway.streams import Budget, Intake, IntakeLimits, single_events

GROUP = 64
"""Files in one group: enough to make a commit cheap, few enough to see progress."""

PATIENCE = 60
"""Seconds that a group waits for memory that requests hold at the moment."""


class Source(NamedTuple):
    """A file. :param name: for people. :param chunks: its bytes, from the first one."""

    name: str
    chunks: Callable[[], AsyncGenerator[bytes, None]]


class Refused(NamedTuple):
    """:param number: its place in the group, from 0. :param instance: who it is, where that is known."""

    number: int
    reason: Reason
    detail: str
    instance: Instance | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a group; a file of which nothing is said was not read to its end before somebody asked to stop."""

    stored: Sequence[Stored] = ()
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Storing:
    """:param closed: studies that take nothing. :param stopping: whether to end as soon as may be."""

    limits: IntakeLimits
    budget: Budget
    closed: frozenset[str] = frozenset()
    stopping: Callable[[], bool] = lambda: False

    async def store(self, backend: Backend, group: Sequence[Source]) -> Outcome:
        """Stores a group; what is told as stored is durable.

        :raises OutOfStorage: :raises StoreUnavailable: see `Backend.store`. :raises Busy: when no memory was free for a minute.
        """
        for _ in range(PATIENCE):
            try:
                return await self._store(backend, group)
            except Busy:
                await asyncio.sleep(1)
        return await self._store(backend, group)

    async def _store(self, backend: Backend, group: Sequence[Source]) -> Outcome:
        outcome = Outcome()
        read: dict[int, Instance] = {}
        stopped: set[int] = set()
        async with aclosing(self._uploads(group, outcome, read, stopped)) as uploads:
            result = await backend.store(uploads)
        failed = [one for one in result.failed if one.part - 1 not in stopped]
        outcome.refused += [_refused(one, read.get(one.part - 1)) for one in failed]
        outcome.refused.sort(key=lambda one: one.number)
        outcome.stored = result.stored
        return outcome

    async def _uploads(
        self, group: Sequence[Source], outcome: Outcome, read: dict[int, Instance], stopped: set[int]
    ) -> AsyncGenerator[Upload, None]:
        """An upload for each file; `part` is its place in the group, from 1."""
        for number, source in enumerate(group):
            if self.stopping():
                return
            async with aclosing(_chunks(source)) as chunks, aclosing(single_events(chunks)) as events:
                intake = Intake(events, self.limits, self.budget, closed=self.closed)
                try:
                    async for upload in intake.uploads():
                        read[number] = upload.instance
                        yield replace(upload, part=number + 1, body=self._body(upload.body, number, stopped))
                        if number in stopped:
                            return  # the rest of the file is not read
                except _Unreadable as error:
                    outcome.refused.append(Refused(number, Reason.OUT_OF_RESOURCES, error.detail))
                outcome.refused += [Refused(number, one.reason, one.detail) for one in intake.failed]

    async def _body(self, body: AsyncIterator[bytes], number: int, stopped: set[int]) -> AsyncIterator[bytes]:
        """A file that cannot be read to its end is that instance's failure and nobody else's."""
        try:
            async for piece in body:
                if self.stopping():
                    stopped.add(number)
                    raise InstanceError(Reason.PROCESSING_FAILURE, "somebody asked to stop")
                yield piece
        except _Unreadable as error:
            raise InstanceError(Reason.OUT_OF_RESOURCES, error.detail) from error


class _Unreadable(Exception):
    """What is wrong with the file itself, apart from what is wrong with the store."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


async def _chunks(source: Source) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(source.chunks()) as chunks:
            async for piece in chunks:
                yield piece
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror}") from error
    except GatewayError as error:
        raise _Unreadable(f"cannot be read: {error.message}") from error


def _refused(failed: Failed, instance: Instance | None) -> Refused:
    return Refused(failed.part - 1, failed.reason, failed.detail, instance)
