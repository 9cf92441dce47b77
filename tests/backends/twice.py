"""Caches for tests, and a backend that asks each question twice: what the second answer is made of was kept."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.backends.base import Backend, Body, FileSlice, Health, Matches, Retrieve, StoreResult, Upload
from gateway.backends.cached.cached import Cached
from gateway.backends.cached.disk import DiskTier
from gateway.backends.cached.generations import Generations
from gateway.backends.cached.memory import MemoryTier
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError

ROOM = 64 << 20


def cached(inner: Backend, folder: Path, *, room: int = ROOM, **options: Any) -> Cached:
    """A cache around a backend; the stamps are those of the folder."""
    given: dict[str, Any] = {
        "name": "default",
        "memory": MemoryTier(room),
        "disk": None,
        "generations": Generations(folder / "generations"),
        "ttl": 1e6,
        "stale_if_error": 0,
        "entry_bytes": ROOM,
    }
    return Cached(inner, **given | options)


async def drain(body: Body) -> None:
    """Reads a body to its end."""
    try:
        async for piece in body.pieces:
            if isinstance(piece, FileSlice):
                os.close(piece.descriptor)
    finally:
        await body.aclose()


class Twice:
    """A cache that is asked twice; it closes the disk tier too."""

    def __init__(self, inner: Cached, disk: DiskTier | None) -> None:
        self._inner = inner
        self._disk = disk

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        return await self._inner.store(uploads)

    async def search(self, query: Query) -> Matches:
        await self._inner.search(query)
        matches = await self._inner.search(query)
        assert matches.served.cache == "hit"
        return matches

    async def retrieve(self, retrieve: Retrieve) -> Body:
        body = await self._inner.retrieve(retrieve)
        etag = body.etag
        try:
            await drain(body)
        except GatewayError:
            return await self._inner.retrieve(retrieve)
        body = await self._inner.retrieve(retrieve)
        assert body.served.cache in ("hit", None)
        assert body.etag == etag is not None
        return body

    async def delete(self, resource: Resource) -> int:
        return await self._inner.delete(resource)

    async def check(self) -> Health:
        return await self._inner.check()

    async def aclose(self) -> None:
        await self._inner.aclose()
        if self._disk is not None:
            await self._disk.aclose()
