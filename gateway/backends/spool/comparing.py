"""Whether what a destination has under the UIDs of an instance is that instance, or another version of it.

A destination says "stored" of another version, too, that it did not take (Orthanc does, as it comes); and what it had before is
found there like what was just sent. So where it had something before, what it returns afterwards is read to its end:

1. Equal bytes have arrived.
2. Other bytes than before have arrived as well: it changes what it takes.
3. The same other bytes as before are another version, that it kept.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing

import xxhash

from gateway.backends.base import Backend, FileSlice, Retrieve, View
from gateway.backends.merging.members import with_uids
from gateway.backends.merging.reads import parts_of
from gateway.backends.spool.deliveries import Parcel
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.multipart import Data
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import (
    Busy,
    Forbidden,
    GatewayError,
    Gone,
    NotAuthenticated,
    NotFound,
    OriginFailed,
    OriginTimeout,
    OutOfStorage,
    StoreUnavailable,
)

NOT_NOW = (Busy, StoreUnavailable, OutOfStorage, NotAuthenticated, Forbidden)
"""What a destination says that wants nothing at the moment, whatever it is."""

BROKEN = (OriginFailed, OriginTimeout)
"""What may be its fault, the network's, or that of an instance."""

PIECE = 512 << 10
"""Bytes of a file that are read at once."""

AS_STORED = parse_accept(["application/dicom; transfer-syntax=*", 'multipart/related; type="application/dicom"; transfer-syntax=*'])

KEPT = "the destination says that it is stored, and keeps another version"
UNREADABLE = "the destination had a version of it before, and what it has now cannot be read"

Digest = tuple[int, bytes]
"""Length and checksum of an instance."""

NOTHING: Digest = (0, b"")
"""That of an instance that is not there."""


async def there(destination: Backend, parcels: Sequence[Parcel]) -> set[str]:
    """The SOP Instance UIDs of those that a destination has in some version; where it cannot be searched so each is read.

    :raises GatewayError: the destination does not answer now.
    """
    if not parcels:
        return set()
    found = await searched(destination, parcels)
    return found if found is not None else {one.instance.sop for one in parcels if await can_be_read(destination, one)}


async def searched(destination: Backend, parcels: Sequence[Parcel]) -> set[str] | None:
    """Those that a search finds; None where it cannot be searched so.

    :raises GatewayError: the destination does not answer now.
    """
    uids = [one.instance.sop for one in parcels]
    study = Resource(parcels[0].instance.study)
    try:
        found = await destination.search(Query("instance", study, (with_uids(uids, "instance"),), limit=2 * len(uids)))
    except (*NOT_NOW, *BROKEN):
        raise
    except GatewayError:
        return None
    return {sop for sop in uids if any(f'"{sop}"'.encode() in one for one in found.results)}


async def can_be_read(destination: Backend, one: Parcel) -> bool:
    """Whether a destination gives at least an instance's first bytes, whether or not it finds it (yet)."""
    try:
        body = await destination.retrieve(_reading(one))
    except (*NOT_NOW, *BROKEN):
        raise
    except GatewayError:
        return False
    async with aclosing(body):
        piece = await anext(body.pieces, b"")
        if isinstance(piece, FileSlice):
            os.close(piece.descriptor)
        return bool(piece)


async def digests(destination: Backend, parcels: Iterable[Parcel]) -> dict[str, Digest | None]:
    """What a destination has of these, by SOP Instance UID; None where it does not give it.

    :raises GatewayError: the destination does not answer now.
    """
    return {one.instance.sop: await _digest(destination, one) for one in parcels}


def refusal(own: Digest | None, before: Digest | None, after: Digest | None) -> tuple[str, bool] | None:
    """Why something has not arrived where another version may have been, and whether another try makes sense; None when it has.

    :param own: what was sent. :param before: what was there before; None where that could not be read. :param after: likewise now.
    """
    if after is None or after == NOTHING or own is None:
        return UNREADABLE, True
    return None if after == own or (before is not None and after != before) else (KEPT, False)


def judged(
    own: Mapping[str, Digest | None], before: Mapping[str, Digest | None], after: Mapping[str, Digest | None]
) -> dict[str, tuple[str, bool]]:
    """Each `refusal`, by SOP Instance UID."""
    each = {sop: refusal(own[sop], before[sop], after[sop]) for sop in after}
    return {sop: why for sop, why in each.items() if why is not None}


def digest_of_file(path: str) -> Digest | None:
    """That of a file in the spool; None when it is gone. In a thread."""
    seen, length = xxhash.xxh3_128(), 0
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the store gives out strings
            while piece := file.read(PIECE):
                seen.update(piece)
                length += len(piece)
    except OSError:
        return None
    return length, seen.digest()


async def _digest(destination: Backend, one: Parcel) -> Digest | None:
    """:raises GatewayError: the destination does not answer now."""
    seen, length = xxhash.xxh3_128(), 0
    try:
        async with aclosing(parts_of(await destination.retrieve(_reading(one)))) as events:
            async for event in events:
                if isinstance(event, Data):
                    length += len(event.data)
                    await asyncio.to_thread(seen.update, event.data)
    except (*NOT_NOW, *BROKEN):
        raise
    except (NotFound, Gone):
        return NOTHING
    except GatewayError:
        return None
    return length, seen.digest()


def _reading(one: Parcel) -> Retrieve:
    return Retrieve(Resource(one.instance.study, one.instance.series, one.instance.sop), View.INSTANCES, AS_STORED)
