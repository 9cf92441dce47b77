"""One batch to one destination, and what became of it.

1. An instance has arrived when the destination named it stored and returns it: to a search, or at least to a read. Where it had
   something under the same UIDs before, what it returns is compared (`comparing`).
2. What a destination says of the instance itself (its class, its syntax, that it makes no sense of it) it will say again:
   such an instance is set aside at once. A processing failure or a lack of room may pass.
3. What it refuses without naming an instance counts against all of the batch. They go alone from then on.
4. Where it wants nothing now, that counts against no instance. Where the connection breaks, `delivering` finds out whose fault
   that may be.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from gateway.backends.base import Backend, StoreResult, Upload
from gateway.backends.spool.comparing import BROKEN, NOT_NOW, PIECE, can_be_read, digest_of_file, digests, judged, searched
from gateway.backends.spool.deliveries import Parcel
from gateway.dicomweb.query import Query
from gateway.dicomweb.reasons import Reason
from gateway.errors import GatewayError, InstanceError

PASSING = frozenset({Reason.PROCESSING_FAILURE, Reason.OUT_OF_RESOURCES})
"""Reasons that may be others tomorrow."""

Path = Callable[[int], str]
"""The file of a generation."""


@dataclass
class Outcome:
    """What became of a batch.

    :param arrived: generations. :param refused: generation -> why, and whether another try makes sense.
    :param away: why the destination cannot be used now; None where it answered.
    :param broke: whether that happened in the middle, so that an instance may be the cause.
    """

    arrived: list[int] = field(default_factory=list)
    refused: dict[int, tuple[str, bool]] = field(default_factory=dict)
    away: GatewayError | None = None
    broke: bool = False


async def deliver(destination: Backend, batch: Sequence[Parcel], path: Path) -> Outcome:
    """Sends a batch, in which no two instances share a UID."""
    preceded = [one for one in batch if one.preceded]
    try:
        own = {one.instance.sop: await asyncio.to_thread(digest_of_file, path(one.generation)) for one in preceded}
        before = await digests(destination, preceded)
        result = await destination.store(_uploads(batch, path))
        named, outcome = _sorted_out(batch, result)
        returned = await _returned(destination, named)
        compared = [one for one in named if one.preceded and before[one.instance.sop] != own[one.instance.sop]]
        others = judged(own, before, await digests(destination, compared))
    except NOT_NOW as error:
        return Outcome(away=error)
    except BROKEN as error:
        return Outcome(away=error, broke=True)
    except GatewayError as error:
        return Outcome(refused={one.generation: (f"{error.status}: {error.message}", True) for one in batch})
    for one in named:
        if one.instance.sop in others:
            outcome.refused[one.generation] = others[one.instance.sop]
        elif one.instance.sop in returned:
            outcome.arrived.append(one.generation)
        else:
            outcome.refused[one.generation] = ("it is said to be stored, and is not returned", True)
    return outcome


async def reachable(destination: Backend) -> GatewayError | None:
    """Whether a destination answers; else why not. Any answer will do, even that it cannot be searched."""
    try:
        await destination.search(Query("study", limit=1))
    except (*NOT_NOW, *BROKEN) as error:
        return error
    except GatewayError:
        return None
    return None


async def _uploads(batch: Sequence[Parcel], path: Path) -> AsyncIterator[Upload]:
    for number, parcel in enumerate(batch, 1):
        yield Upload(number, parcel.instance, _bytes(path(parcel.generation)))


async def _bytes(path: str) -> AsyncIterator[bytes]:
    """:raises InstanceError: when the file cannot be read: it was deleted just now, or the disk is failing."""
    try:
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY)
        try:
            while piece := await asyncio.to_thread(os.read, descriptor, PIECE):
                yield piece
        finally:
            await asyncio.to_thread(os.close, descriptor)
    except OSError as error:
        raise InstanceError(Reason.OUT_OF_RESOURCES, f"the spool cannot read it: {error.strerror}") from error


def _sorted_out(batch: Sequence[Parcel], result: StoreResult) -> tuple[list[Parcel], Outcome]:
    """Those that the destination says it has stored, and why not the others."""
    stored = {one.instance.sop for one in result.stored}
    failed = {one.part: one for one in result.failed}
    named, outcome = [], Outcome()
    for number, parcel in enumerate(batch, 1):
        if (said := failed.get(number)) is not None:
            outcome.refused[parcel.generation] = (f"{said.reason:04X}: {said.detail}", said.reason in PASSING)
        elif parcel.instance.sop in stored:
            named.append(parcel)
        else:
            outcome.refused[parcel.generation] = ("the destination did not say what became of it", True)
    return named, outcome


async def _returned(destination: Backend, named: Sequence[Parcel]) -> set[str]:
    """The SOP Instance UIDs of those that the destination gives back."""
    if not named:
        return set()
    returned = await searched(destination, named) or set()
    for one in named:
        if one.instance.sop not in returned and await can_be_read(destination, one):
            returned.add(one.instance.sop)
    return returned
