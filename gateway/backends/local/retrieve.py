"""Reads of a local store: from a resource to blobs, and to the body that the caller accepts.

Instances, frames and bulk data are looked up, chosen and opened in one hop to a reader thread. Metadata comes in batches,
so that the first objects of a large study are on their way while the later ones are still being read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeVar

from gateway.backends.base import Body, FileSlice, Retrieve, View
from gateway.backends.documents import metadata_body, metadata_offer
from gateway.backends.local.files import Files
from gateway.backends.local.headers import Headers
from gateway.backends.local.index import Readers, Row, frame_table, instances
from gateway.backends.local.inspect import modelled
from gateway.backends.representations import Blob, opened
from gateway.backends.representations import instances as instances_body
from gateway.backends.views import bulk_body, frames_body
from gateway.dicom.elements import Limits
from gateway.dicom.frames import FrameTable
from gateway.dicom.header import Instance

T = TypeVar("T")

FIRST_BATCH, BATCH = 8, 100
"""Instances of metadata that are read in one hop: few at first, for a quick first byte, then enough to be worth the hop."""

FRAME_TABLES = 64
"""Frame tables that are kept parsed. They hang on generations, so they never go stale; the largest have 16 bytes a frame."""


@dataclass(frozen=True, slots=True)
class _File:
    """A `Source` over a blob."""

    path: str

    def read(self, offset: int, length: int) -> bytes:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def piece(self, offset: int, length: int) -> FileSlice:
        return FileSlice(os.open(self.path, os.O_RDONLY), offset, length)


def _close(body: Body) -> None:
    """Gives back what a body opened before anybody took a piece of it."""
    if body.close is not None:
        body.close()


class Retriever:
    """:param default: the transfer syntax for callers who name none, ``*`` for as stored."""

    def __init__(self, files: Files, readers: Readers, pool: ThreadPoolExecutor, headers: Headers, limits: Limits, default: str) -> None:
        self._files = files
        self._readers = readers
        self._pool = pool
        self._headers = headers
        self._limits = limits
        self._default = default
        self._table = lru_cache(FRAME_TABLES)(self._read_table)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        if retrieve.view is View.METADATA:
            metadata_offer(retrieve.accept)
            rows = await self._run(partial(self._readers.read, partial(instances, resource=retrieve.resource)))
            return metadata_body(retrieve.accept, self._metadata(rows), len(rows), self._run)
        return await opened(self._run, partial(self._body, retrieve), _close)

    def _run(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    # -- in a reader thread

    def _body(self, retrieve: Retrieve) -> Body:
        try:
            return self._open(retrieve)
        except FileNotFoundError:  # replaced or deleted between the look at the index and the file: look once more
            return self._open(retrieve)

    def _open(self, retrieve: Retrieve) -> Body:
        rows = self._readers.read(partial(instances, resource=retrieve.resource))
        if retrieve.view is View.INSTANCES:
            single = retrieve.resource.instance is not None
            return instances_body(
                [self._blob(row) for row in rows], retrieve.accept, self._default, self._run, single=single, limits=self._limits
            )
        row = rows[0]
        table = self._table(row.generation) if row.pixel_start is not None else None
        if retrieve.view is View.FRAMES:
            return frames_body(self._blob(row), table, retrieve.resource.frames, retrieve.accept, self._run, self._limits)
        descriptor = os.open(self._files.path(row.generation), os.O_RDONLY)
        try:
            data, walk = modelled(descriptor, self._limits)
        finally:
            os.close(descriptor)
        return bulk_body(self._blob(row), table, data, walk, retrieve.bulk or "", retrieve.accept, self._run, self._limits)

    def _blob(self, row: Row) -> Blob:
        instance = Instance(row.study, row.series, row.sop, row.sop_class, row.syntax)
        return Blob(instance, row.size, f"{row.generation:x}", row.stored_at, _File(self._files.path(row.generation)))

    def _read_table(self, generation: int) -> FrameTable | None:
        kept = self._readers.read(partial(frame_table, generation=generation))
        return None if kept is None else FrameTable.from_bytes(kept)

    # -- metadata

    async def _metadata(self, rows: list[Row]) -> AsyncGenerator[list[bytes], None]:
        start, count = 0, FIRST_BATCH
        while start < len(rows):
            yield await self._run(partial(self._headers.documents, rows[start : start + count]))
            start, count = start + count, BATCH
