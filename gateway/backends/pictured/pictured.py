"""A `Backend` around a `Backend`: its instances can be had in other transfer syntaxes too, and as pictures. The package has the rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from gateway.backends.base import Backend, Body, Countable, Health, Matches, Retrieve, Served, StoreResult, Tally, Upload, View
from gateway.backends.cached.cached import Cached
from gateway.backends.pictured.negotiating import Level, levels
from gateway.backends.pictured.sources import Sources
from gateway.backends.representations import NATIVE
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN
from gateway.dicomweb.query import Query
from gateway.dicomweb.rendering import AS_IT_IS, Rendering
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable


class Pictured:
    """See `Backend`.

    :param inner: the store behind.
    :param made: keeps what `Making` makes of the same store, which is closed with it.
    :param sources: ask the store behind.
    :param default: the transfer syntax of instances for callers who name none, ``*`` for as stored.
    :param decides: whether the store behind says of a whole study or series before its first byte that some of it cannot be given; if
        not, a study of which some has to be made is made here from the beginning.
    :param exact: whether everything that is written to it is written through this, in whichever process, so that an answer of it is right
        until then (`Served.still`).
    """

    def __init__(
        self,
        inner: Backend,
        made: Cached,
        sources: Sources,
        *,
        default: str = EXPLICIT_LITTLE_ENDIAN,
        decides: bool = True,
        exact: bool = False,
    ) -> None:
        self._inner = inner
        self._made = made
        self._sources = sources
        self._default = default
        self._decides = decides
        self._exact = exact

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        match retrieve.view:
            case View.FRAMES:
                return await self._frames(retrieve)
            case View.INSTANCES:
                return await self._instances(retrieve)
            case View.RENDERED | View.THUMBNAIL:
                return await self._made.retrieve(retrieve)
        return await self._guarded(retrieve)

    async def _guarded(self, retrieve: Retrieve) -> Body:
        """A read of the store behind that may be answered once more while nothing is written."""
        if not self._exact:
            return await self._inner.retrieve(retrieve)
        still = self._made.guard(retrieve.resource.study)
        return replace(await self._inner.retrieve(retrieve), served=Served(still=still))

    async def _frames(self, retrieve: Retrieve) -> Body:
        asked = retrieve.rendering
        plain = retrieve if asked is AS_IT_IS else replace(retrieve, rendering=Rendering(quality=asked.quality))  # they are not drawn
        return await self._preferred(plain, levels(retrieve.accept), self._stored_frames)

    async def _stored_frames(self, level: Level, wanted: Retrieve) -> Body:
        if not level.stored and (kept := self._made.kept(wanted)) is not None:
            return kept  # so it could not be had as stored when it was made, and nothing was written since
        return await self._guarded(wanted if wanted.rendering is AS_IT_IS else replace(wanted, rendering=AS_IT_IS))

    async def _instances(self, retrieve: Retrieve) -> Body:
        return await self._preferred(retrieve, levels(retrieve.accept, self._default), self._stored_instances)

    async def _stored_instances(self, level: Level, wanted: Retrieve) -> Body | None:
        if level.stored or self._decides or await self._plain(wanted):
            return await self._inner.retrieve(wanted)
        return None

    async def _preferred(
        self, retrieve: Retrieve, preferences: Sequence[Level], stored: Callable[[Level, Retrieve], Awaitable[Body | None]]
    ) -> Body:
        """What suits the caller best of what can be had: as it is stored where that will do, else made."""
        refused = NotAcceptable("nothing is asked for")
        for level in preferences:
            wanted = retrieve if level.accept is None else replace(retrieve, accept=level.accept)
            for ask in (partial(stored, level), self._made.retrieve):
                try:
                    body = await ask(wanted)
                except NotAcceptable as error:
                    refused = error
                else:
                    if body is not None:
                        return body
        raise refused

    async def _plain(self, retrieve: Retrieve) -> bool:
        """Whether the store behind can be asked for all of it at once: an instance alone, or none that is compressed."""
        if retrieve.resource.instance is not None:
            return True
        return all(one.syntax in NATIVE for one in await self._sources.listed(retrieve.resource, syntaxes=True))

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`. It goes by what is kept, which is old from then on."""
        return await self._made.store(uploads)

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        if not self._exact:
            return await self._inner.search(query)
        still = self._made.guard(None)
        return replace(await self._inner.search(query), served=Served(still=still))

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        return await self._made.delete(resource)

    async def check(self) -> Health:
        """See `Backend.check`."""
        return await self._inner.check()

    async def tally(self) -> Tally | None:
        """See `Countable.tally`."""
        return await self._inner.tally() if isinstance(self._inner, Countable) else None

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        await self._made.aclose()
