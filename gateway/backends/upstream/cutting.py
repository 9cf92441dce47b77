"""Frames and bulk data cut out of an origin's instances, as a local store cuts them out of its own.

An instance is fetched once, as stored, into the `Area`, and looked into while it arrives; whoever asks for another part of it
meanwhile waits for the same bytes. When nobody waits any more, the origin's call is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from mmap import ALLOCATIONGRANULARITY, PROT_READ, mmap
from typing import TypeVar

import xxhash

from gateway.backends.base import URL_BASE, Body, Retrieve
from gateway.backends.bulk import Laid, all_bulk_data, bulk_body
from gateway.backends.caller import caller
from gateway.backends.representations import Blob, opened
from gateway.backends.upstream.area import Area, Held, Key, Resting
from gateway.backends.upstream.fetching import Fetching
from gateway.backends.upstream.reframing import Closing, events
from gateway.backends.views import frames_body
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable, frame_table
from gateway.dicom.header import IDENTITY, identity
from gateway.dicom.metadata import in_model, instance_metadata
from gateway.dicom.model import Data as Bytes
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
from gateway.dicom.structure import UNDEFINED
from gateway.dicomweb.multipart import Data, Part, PartEnd
from gateway.dicomweb.resources import Resource
from gateway.errors import InstanceError, NotFound, OriginFailed, OutOfStorage
from gateway.metrics import Transaction

T = TypeVar("T")

UNIT = 1 << 20
"""Bytes that one hop to a thread writes and walks."""

WINDOW, BETWEEN = 64 << 10, 4 << 10
"""Bytes of a header that are walked at once, and between fragments, which are passed over."""

BATCH = 16
"""Instances whose metadata is made in one hop."""


def run(work: Callable[[], T], /) -> Awaitable[T]:
    """See `Runner`."""
    return asyncio.to_thread(work)


class _Receiving:
    """One instance on its way into the area. Its methods block, and are called one at a time."""

    def __init__(self, file: Held, limits: Limits) -> None:
        if over := file.size % ALLOCATIONGRANULARITY:  # so that it can be mapped
            file.write([bytes(ALLOCATIONGRANULARITY - over)])
        self._file = file
        self._offset = file.size
        self._walk = Walk(wanted=IDENTITY | TABLE_TAGS, limits=limits)
        self._hash = xxhash.xxh3_128()

    def add(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._walk.feed(piece)
            self._hash.update(piece)
        self._file.write(pieces)

    def finish(self, pieces: list[bytes]) -> Resting:
        self.add(pieces)
        self._walk.finish()
        instance = identity(self._walk.values, self._walk.syntax)
        size = self._file.size - self._offset
        whole = Resting(self._file, self._offset, size, self._hash.hexdigest(), instance, None)
        return replace(whole, table=_table(self._walk, whole))


def _table(walk: Walk, resting: Resting) -> FrameTable | None:
    if walk.pixels is None:
        return None
    try:
        return frame_table(walk, resting.read)
    except InstanceError:  # fragments of which nothing tells where a frame begins
        return None


def _modelled(resting: Resting, limits: Limits) -> tuple[Bytes, Walk]:
    """A recorded walk over an instance, and its bytes, of which only those are read that its model shows."""
    walk = Walk(record=True, limits=limits)
    data = mmap(resting.file.descriptor, resting.size, prot=PROT_READ, offset=resting.offset)
    while walk.position < resting.size:
        last = walk.events[-1] if walk.events else None
        if walk.skip and last is not None and not in_model(last):
            walk.jump(min(walk.skip, resting.size - walk.position))
        else:
            fragments = last is not None and last[3] == UNDEFINED and last[1] not in ("SQ", "", "UN")
            walk.feed(data[walk.position : walk.position + (BETWEEN if fragments else WINDOW)])
    walk.finish()
    return (inflated(data[:], limits) if walk.syntax in DEFLATED else data), walk


@dataclass(frozen=True, slots=True)
class _Every:
    """See `bulk.Held`."""

    resting: Sequence[Resting]
    limits: Limits

    @property
    def blobs(self) -> list[Blob]:
        return [one.blob for one in self.resting]

    def documents(self, some: Sequence[int]) -> list[bytes]:
        return [_document(self.resting[number], self.limits) for number in some]

    def laid(self, number: int) -> Laid:
        return _laid(self.resting[number], self.limits)


def _document(resting: Resting, limits: Limits) -> bytes:
    data, walk = _modelled(resting, limits)
    instance = resting.instance
    prefix = URL_BASE + Resource(instance.study, instance.series, instance.sop).path
    return instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix=prefix)


def _laid(resting: Resting, limits: Limits) -> Laid:
    data, walk = _modelled(resting, limits)
    return Laid(resting.blob, data, walk, lambda: resting.table)


@dataclass
class _Coming:
    """An instance that is being fetched, and how many wait for it."""

    task: asyncio.Task[Resting]
    waiting: int = 0


class Cutting:
    """:param scope: see `Credentials.scope`."""

    def __init__(self, fetching: Fetching, area: Area, limits: Limits, scope: Callable[[], str]) -> None:
        self._fetching = fetching
        self._area = area
        self._limits = limits
        self._scope = scope
        self._coming: dict[Key, _Coming] = {}

    async def frames(self, retrieve: Retrieve) -> Body:
        """Frames of an instance; see `views.frames_body`."""
        one = await self._one(retrieve.resource, "frames")
        make = partial(frames_body, one.blob, one.table, retrieve.resource.frames, retrieve.accept, run, self._limits)
        return _holding([one], await opened(run, make, _close))

    async def bulk(self, retrieve: Retrieve) -> Body:
        """One value of an instance; see `bulk.bulk_body`."""
        one = await self._one(retrieve.resource, "bulkdata")

        def make() -> Body:
            return bulk_body(_laid(one, self._limits), retrieve.bulk or "", retrieve.accept, run, self._limits)

        return _holding([one], await opened(run, make, _close))

    async def everything(self, retrieve: Retrieve) -> Body:
        """All bulk data of a resource, or all its pixel data; see `bulk.all_bulk_data`."""
        every = _Every(await self._all(retrieve.resource, "bulkdata"), self._limits)
        body = await all_bulk_data(retrieve.resource, retrieve.view, every, retrieve.accept, run, self._limits)
        return _holding(every.resting, body)

    async def documents(self, resource: Resource) -> AsyncGenerator[list[bytes], None]:
        """The metadata of a resource, for an origin that cannot give it."""
        every = _Every(await self._all(resource, "metadata"), self._limits)
        for start in range(0, len(every.resting), BATCH):
            yield await run(partial(every.documents, range(start, min(start + BATCH, len(every.resting)))))

    # -- fetching

    async def _all(self, resource: Resource, transaction: Transaction) -> list[Resting]:
        if resource.instance is not None:
            return [await self._one(resource, transaction)]
        return await self._receive(resource, transaction)

    async def _one(self, resource: Resource, transaction: Transaction) -> Resting:
        """The instance, kept from before or fetched once for all who wait."""
        resource = replace(resource, frames=())
        key = (self._scope(), resource.study or "", resource.series or "", resource.instance or "")
        found = None if caller().fresh else self._area.find(key)
        if found is not None:
            return found
        coming = self._coming.get(key)
        if coming is None or coming.task.done():
            coming = self._coming[key] = _Coming(asyncio.create_task(self._fetch(key, resource, transaction)))
        coming.waiting += 1
        try:
            return await asyncio.shield(coming.task)
        finally:
            coming.waiting -= 1
            if not coming.waiting:
                coming.task.cancel()  # does nothing to one that is done
                if self._coming.get(key) is coming:
                    del self._coming[key]

    async def _fetch(self, key: Key, resource: Resource, transaction: Transaction) -> Resting:
        stamp = self._area.stamp(key[1])
        found = await self._receive(resource, transaction)
        if len(found) != 1 or found[0].instance.sop != resource.instance:
            raise OriginFailed("The origin answers with another instance than was asked for.")
        self._area.keep(key, found[0], stamp)
        return found[0]

    async def _receive(self, resource: Resource, transaction: Transaction) -> list[Resting]:
        """Every instance of a resource into one file."""
        answer = await self._fetching.instances(resource, transaction=transaction)
        try:
            async with aclosing(events(answer)) as arriving:
                file = await run(partial(Held, self._area, answer.length or 0))
                found = await self._received(arriving, file)
                file.settle()
        except InstanceError as error:
            raise OriginFailed(f"The origin's instance cannot be read: {error.message}") from None
        except OSError:
            raise OutOfStorage("there is no disk space left for what has to be cut out of the origin's instances") from None
        if not found:
            raise NotFound(f"there is no such {resource.level} here")
        return found

    async def _received(self, arriving: AsyncGenerator[Part | Data | PartEnd | object, None], file: Held) -> list[Resting]:
        found: list[Resting] = []
        pieces: list[bytes] = []
        size = 0
        receiving: _Receiving | None = None
        async for event in arriving:
            if isinstance(event, Part):
                receiving, pieces, size = await run(partial(_Receiving, file, self._limits)), [], 0
            elif isinstance(event, Data) and receiving is not None:
                pieces.append(event.data)
                size += len(event.data)
                if size >= UNIT:
                    await run(partial(receiving.add, pieces))
                    pieces, size = [], 0
            elif isinstance(event, PartEnd) and receiving is not None:
                found.append(await run(partial(receiving.finish, pieces)))
        return found


def _close(body: Body) -> None:
    if body.close is not None:
        body.close()


def _holding(resting: Sequence[Resting], body: Body) -> Body:
    """The body, with what it is cut out of held until it is closed: its bytes are on disk that long (see `Area`).

    It has no date, for nobody knows when the origin got the instance.
    """

    async def let_go() -> None:
        _ = resting

    def select(start: int, stop: int) -> Body:
        assert body.select is not None  # noqa: S101 - only called where it is; narrows the type
        return _holding(resting, body.select(start, stop))

    ranged = None if body.select is None else select
    return replace(body, pieces=Closing(body.pieces, let_go), select=ranged, modified=None)
