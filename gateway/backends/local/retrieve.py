"""Reads of a local store: from a resource to blobs, and to the body that the caller accepts.

Instances, frames and one bulk value are looked up, chosen and opened in one hop to a reader thread. Metadata and all bulk data
of a study come in batches, so that the first of it is on its way while the rest is still being read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TypeVar

from gateway.backends.base import Body, FileSlice, Retrieve, View
from gateway.backends.bulk import Laid, all_bulk_data, bulk_body
from gateway.backends.documents import metadata_body, metadata_offer
from gateway.backends.local.files import Files
from gateway.backends.local.headers import Headers
from gateway.backends.local.index import Readers, Row, frame_table, instances
from gateway.backends.local.inspect import modelled, walked
from gateway.backends.local.recent import Recent
from gateway.backends.local.threads import Threads
from gateway.backends.representations import Blob, opened
from gateway.backends.representations import instances as instances_body
from gateway.backends.validators import State, state_of
from gateway.backends.views import frames_body, frames_syntax
from gateway.dicom.elements import Limits
from gateway.dicom.frames import FrameTable
from gateway.dicom.frames import frame_table as table_of
from gateway.dicom.header import Instance
from gateway.dicomweb.resources import Resource
from gateway.errors import InstanceError

T = TypeVar("T")

FIRST_BATCH, BATCH = 8, 100
"""Instances of metadata that are read in one hop: few at first, for a quick first byte, then enough to be worth the hop."""

FRAME_TABLES = 64
"""Frame tables that are kept parsed. They hang on generations, so they never go stale; the largest have 16 bytes a frame."""


@dataclass(frozen=True, slots=True)
class _File:
    """A `Source` over a blob. Of a study there are thousands: the name is only made when it is needed."""

    files: Files
    generation: int

    def _opened(self) -> int:
        return os.open(self.files.path(self.generation), os.O_RDONLY)

    def read(self, offset: int, length: int) -> bytes:
        descriptor = self._opened()
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def piece(self, offset: int, length: int) -> FileSlice:
        return FileSlice(self._opened(), offset, length)


@dataclass(frozen=True, slots=True)
class _Every:
    """See `bulk.Held`."""

    rows: Sequence[Row]
    blobs: Sequence[Blob]
    headers: Headers
    look: Callable[[Row], Laid]

    def documents(self, some: Sequence[int]) -> list[bytes]:
        return self.headers.documents([self.rows[number] for number in some])

    def laid(self, number: int) -> Laid:
        return self.look(self.rows[number])


def _version(row: Row) -> str:
    return f"{row.generation:x}"


def _rows_and_state(db: sqlite3.Connection, resource: Resource) -> tuple[tuple[list[Row], State], int]:
    rows = instances(db, resource)
    return (rows, state_of([_version(row) for row in rows], [row.stored_at for row in rows])), len(rows)


def _close(body: Body) -> None:
    """Gives back what a body opened before anybody took a piece of it."""
    if body.close is not None:
        body.close()


class Retriever:
    """:param default: the transfer syntax for callers who name none, ``*`` for as stored."""

    def __init__(self, files: Files, readers: Readers, threads: Threads, headers: Headers, limits: Limits, default: str) -> None:
        self._files = files
        self._readers = readers
        self._threads = threads
        self._headers = headers
        self._limits = limits
        self._default = default
        self._table = lru_cache(FRAME_TABLES)(self._read_table)
        self._recent = Recent(_rows_and_state)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        if retrieve.view is View.METADATA:
            metadata_offer(retrieve.accept)
            rows, state = await self._run(partial(self._found, retrieve.resource))
            body = metadata_body(retrieve.accept, self._metadata(rows), state, self._run)
            return body if retrieve.resource.instance is None else replace(body, syntax=frames_syntax(rows[0].syntax))
        if retrieve.view is View.PIXELDATA or (retrieve.view is View.BULKDATA and retrieve.bulk is None):
            return await self._all_bulk_data(retrieve)
        return await opened(self._run, partial(self._body, retrieve), _close)

    async def _all_bulk_data(self, retrieve: Retrieve) -> Body:
        try:
            return await self._look_through(retrieve)
        except FileNotFoundError:  # as in `_body`
            return await self._look_through(retrieve)

    async def _look_through(self, retrieve: Retrieve) -> Body:
        every = await self._run(partial(self._every, retrieve.resource))
        return await all_bulk_data(retrieve.resource, retrieve.view, every, retrieve.accept, self._run, self._limits)

    def _run(self, work: Callable[[], T]) -> Awaitable[T]:
        return self._threads.run(work)

    # -- in a reader thread

    def _body(self, retrieve: Retrieve) -> Body:
        try:
            return self._open(retrieve)
        except FileNotFoundError:  # replaced or deleted between the look at the index and the file: look once more
            return self._open(retrieve)

    def _rows(self, resource: Resource) -> list[Row]:
        return self._readers.read(partial(instances, resource=resource))

    def _found(self, resource: Resource) -> tuple[list[Row], State]:
        return self._readers.read(partial(self._recent, resource=resource))

    def _every(self, resource: Resource) -> _Every:
        rows = self._rows(resource)
        return _Every(rows, [self._blob(row) for row in rows], self._headers, self._laid)

    def _open(self, retrieve: Retrieve) -> Body:
        rows = self._rows(retrieve.resource)
        if retrieve.view is View.INSTANCES:
            single = retrieve.resource.instance is not None
            return instances_body(
                [self._blob(row) for row in rows], retrieve.accept, self._default, self._run, single=single, limits=self._limits
            )
        row = rows[0]
        if retrieve.view is View.FRAMES:
            table = self._table(row.generation) if row.pixel_start is not None else None
            return frames_body(self._blob(row), table, retrieve.resource.frames, retrieve.accept, self._run, self._limits)
        return bulk_body(self._laid(row), retrieve.bulk or "", retrieve.accept, self._run, self._limits)

    def _blob(self, row: Row) -> Blob:
        instance = Instance(row.study, row.series, row.sop, row.sop_class, row.syntax)
        return Blob(instance, row.size, _version(row), row.stored_at, _File(self._files, row.generation))

    def _laid(self, row: Row) -> Laid:
        descriptor = os.open(self._files.path(row.generation), os.O_RDONLY)
        try:
            data, walk = modelled(descriptor, self._limits)
        finally:
            os.close(descriptor)
        return Laid(self._blob(row), data, walk, partial(self._table_of, row.generation))

    def _table_of(self, generation: int) -> FrameTable | None:
        """The frame table, made again where the index has forgotten the instance: it may go while its study is being sent."""
        try:
            return self._table(generation)
        except FileNotFoundError:
            return self._table_again(generation)

    def _table_again(self, generation: int) -> FrameTable | None:
        descriptor = os.open(self._files.path(generation), os.O_RDONLY)
        try:
            return table_of(walked(descriptor, self._limits), lambda offset, length: os.pread(descriptor, length, offset))
        except InstanceError:  # fragments of which nothing tells where a frame begins
            return None
        finally:
            os.close(descriptor)

    def _read_table(self, generation: int) -> FrameTable | None:
        kept = self._readers.read(partial(frame_table, generation=generation))
        return None if kept is None else FrameTable.from_bytes(kept)

    # -- metadata

    async def _metadata(self, rows: list[Row]) -> AsyncGenerator[list[bytes], None]:
        start, count = 0, FIRST_BATCH
        while start < len(rows):
            yield await self._run(partial(self._headers.documents, rows[start : start + count]))
            start, count = start + count, BATCH
