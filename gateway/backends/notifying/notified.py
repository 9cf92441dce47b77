"""A backend around a backend: whatever is stored and deleted through it, others hear of.

A duplicate that changed nothing is not told. Where a store cannot tell (an origin), each that it calls stored is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

from gateway.backends.base import Backend, Body, Countable, Health, Matches, Retrieve, StoreResult, Tally, Upload
from gateway.backends.notifying.events import DELETED, STORED, UPDATED, Target, acting_as, hearing
from gateway.backends.notifying.journal import Journal
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound


class Notified:
    """See `Backend` for the methods.

    :param name: resource name of the store. :param targets: who hears of it.
    """

    def __init__(self, inner: Backend, name: str, targets: tuple[Target, ...], journal: Journal) -> None:
        self._inner = inner
        self._name = name
        self._targets = targets
        self._journal = journal

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`.

        :raises Busy: there is no room for notifications.
        """
        action = acting_as()
        targets = hearing(self._targets, action or STORED)
        if not targets:
            return await self._inner.store(uploads)
        self._journal.check_room()
        passing = _Passing(uploads, self._journal, self._name, targets, action)
        try:
            async with aclosing(passing.uploads()) as passed:
                result = await self._inner.store(passed)
        except BaseException:
            if passing.intent is not None:
                self._journal.abandon(passing.intent)
            raise
        if passing.intent is not None:
            new = [one.instance for one in result.stored if not one.known]
            await self._journal.settle(passing.intent, [Resource(one.study, one.series, one.sop) for one in new])
        return result

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`.

        :raises Busy: there is no room for notifications.
        """
        action = DELETED[resource.level]
        intent = await self._journal.intend(self._name, hearing(self._targets, action), [resource], action)
        try:
            count = await self._inner.delete(resource)
        except (NotFound, Gone):
            await self._journal.settle(intent, [])
            raise
        except BaseException:
            self._journal.abandon(intent)
            raise
        await self._journal.settle(intent, [resource])
        return count

    async def tell(self, resources: Sequence[Resource], action: str, extra: Mapping[str, str] | None = None) -> None:
        """Something else was changed here.

        :raises StoreUnavailable: that cannot be written down.
        """
        if targets := hearing(self._targets, action):
            await self._journal.add(self._name, targets, resources, action, extra)

    # -- the rest

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        return await self._inner.search(query)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        return await self._inner.retrieve(retrieve)

    async def check(self) -> Health:
        """See `Backend.check`."""
        return await self._inner.check()

    async def tally(self) -> Tally | None:
        """See `Countable.tally`."""
        return await self._inner.tally() if isinstance(self._inner, Countable) else None

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        await self._inner.aclose()


class _Passing:
    """The uploads of a request on their way to the store, which makes nothing durable before the last one has passed."""

    def __init__(self, uploads: AsyncIterator[Upload], journal: Journal, name: str, targets: tuple[str, ...], action: str | None) -> None:
        self._uploads = uploads
        self._journal = journal
        self._name = name
        self._targets = targets
        self._action = action
        self.intent: int | None = None

    async def uploads(self) -> AsyncGenerator[Upload, None]:
        """The same, and the intent behind the last one."""
        seen: dict[Resource, None] = {}
        action = self._action or STORED
        async for upload in self._uploads:
            one = upload.instance
            seen[Resource(one.study, one.series, one.sop)] = None
            if upload.replace and self._action is None:
                action = UPDATED
            yield upload
        if seen:
            self.intent = await self._journal.intend(self._name, self._targets, list(seen), action)
