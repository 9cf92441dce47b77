"""One batch to one destination, and what became of it.

1. An instance has arrived when the destination named it stored and returns it: to a search, or at least to a read.
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
from contextlib import aclosing
from dataclasses import dataclass, field

from gateway.backends.base import Backend, FileSlice, Retrieve, StoreResult, Upload, View
from gateway.backends.merging.members import with_uids
from gateway.backends.spool.deliveries import Parcel
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.query import Query
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import (
    Busy,
    Forbidden,
    GatewayError,
    InstanceError,
    NotAuthenticated,
    OriginFailed,
    OriginTimeout,
    OutOfStorage,
    StoreUnavailable,
)

PIECE = 512 << 10
"""Bytes of a file that are read at once."""

NOT_NOW = (Busy, StoreUnavailable, OutOfStorage, NotAuthenticated, Forbidden)
"""What a destination says that wants nothing at the moment, whatever it is."""

BROKEN = (OriginFailed, OriginTimeout)
"""What may be its fault, the network's, or that of an instance."""

PASSING = frozenset({Reason.PROCESSING_FAILURE, Reason.OUT_OF_RESOURCES})
"""Reasons that may be others tomorrow."""

AS_STORED = parse_accept(["application/dicom; transfer-syntax=*", 'multipart/related; type="application/dicom"; transfer-syntax=*'])

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
    try:
        result = await destination.store(_uploads(batch, path))
        named, outcome = _sorted_out(batch, result)
        returned = await _returned(destination, named)
    except NOT_NOW as error:
        return Outcome(away=error)
    except BROKEN as error:
        return Outcome(away=error, broke=True)
    except GatewayError as error:
        return Outcome(refused={one.generation: (f"{error.status}: {error.message}", True) for one in batch})
    for one in named:
        if one.instance.sop in returned:
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
    uids = [one.instance.sop for one in named]
    study = Resource(named[0].instance.study)
    returned: set[str] = set()
    try:
        found = await destination.search(Query("instance", study, (with_uids(uids, "instance"),), limit=2 * len(uids)))
        returned = {sop for sop in uids if any(f'"{sop}"'.encode() in one for one in found.results)}
    except (*NOT_NOW, *BROKEN):
        raise
    except GatewayError:  # it cannot be searched so
        pass
    for one in named:
        if one.instance.sop not in returned and await _can_be_read(destination, one):
            returned.add(one.instance.sop)
    return returned


async def _can_be_read(destination: Backend, one: Parcel) -> bool:
    """Whether a destination that does not find an instance (yet) gives at least its first bytes."""
    resource = Resource(one.instance.study, one.instance.series, one.instance.sop)
    try:
        body = await destination.retrieve(Retrieve(resource, View.INSTANCES, AS_STORED))
    except (*NOT_NOW, *BROKEN):
        raise
    except GatewayError:
        return False
    async with aclosing(body):
        piece = await anext(body.pieces, b"")
        if isinstance(piece, FileSlice):
            os.close(piece.descriptor)
        return bool(piece)
