"""What is made of pixels, by view. A `Backend`, so that a cache can stand in front of it: all else it passes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.backends.base import Backend, Body, Health, Matches, Retrieve, StoreResult, Upload, View
from gateway.backends.pictured.frames import frames
from gateway.backends.pictured.instances import instances
from gateway.backends.pictured.rendering import rendered
from gateway.backends.pictured.sources import Sources
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.pixels.limits import PixelLimits
from gateway.pixels.pool import Pool


class Making:
    """See `Backend`. Its bodies have no entity tag: they hang on more than anybody could name, and whoever keeps them makes one.

    :param sources: asks the store behind, which is closed with this one.
    :param default: the transfer syntax of instances for callers who name none, ``*`` for as stored.
    """

    def __init__(self, sources: Sources, pool: Pool, limits: PixelLimits, default: str = EXPLICIT_LITTLE_ENDIAN) -> None:
        self._inner: Backend = sources.inner
        self._sources = sources
        self._pool = pool
        self._limits = limits
        self._default = default

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`. Frames and instances are never given as they are stored."""
        match retrieve.view:
            case View.FRAMES:
                return await frames(self._sources, self._pool, self._limits, retrieve)
            case View.INSTANCES:
                return await instances(self._sources, self._pool, self._limits, retrieve, self._default)
            case View.RENDERED | View.THUMBNAIL:
                return await rendered(self._sources, self._pool, self._limits, retrieve)
        return await self._inner.retrieve(retrieve)

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`."""
        return await self._inner.store(uploads)

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        return await self._inner.search(query)

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        return await self._inner.delete(resource)

    async def check(self) -> Health:
        """See `Backend.check`."""
        return await self._inner.check()

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        await self._sources.aclose()
        await self._inner.aclose()
