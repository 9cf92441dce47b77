"""Several stores as one.

1. Searches ask every member and merge what they find (`merging.searches`); results of the first member come first.
2. Reads go where the study is. That is looked for once and remembered; when it turns out to be wrong it is looked for again.
   Of a study that lies in several members the parts are put together (`merging.reads`).
3. Stores go to the first member.
4. Deletes go to every member that has it. When one does not answer nothing is deleted: nobody could say that it is gone.
5. A member that does not answer costs a warning in the answer, not the answer. Where only it may have what is asked for, its
   error is the answer: "not found" would be a guess.
6. Members are stores with an owner of their own: closing the federation closes none of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from gateway.backends.base import Backend, Body, Health, Matches, Retrieve, StoreResult, Upload, View
from gateway.backends.merging.deletes import delete_everywhere
from gateway.backends.merging.members import Member, Round, holders
from gateway.backends.merging.reads import read_in_parts
from gateway.backends.merging.searches import search
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound

REMEMBERED = 4096
"""Studies of which it is remembered where they are."""

REMEMBERED_SECONDS = 60.0
"""For how long: within that time a part of a study that another program puts into another member may be overlooked."""


class Federation:
    """See `Backend` for the methods.

    :param members: by name, in the order in which they are asked; the first one takes what is stored.
    :param name: of this store, for messages.
    :raises ValueError: without members.
    """

    def __init__(self, members: Mapping[str, Backend], *, name: str) -> None:
        if not members:
            raise ValueError(f"the federation {name} has no members")
        self._members = tuple(Member(member, backend) for member, backend in members.items())
        self._places = _Places()

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`."""
        try:
            result = await self._members[0].backend.store(uploads)
        except BaseException:
            self._places.clear()  # nobody knows what of it arrived
            raise
        for stored in result.stored:
            self._places.forget(stored.instance.study)
        return result

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        return await search(self._members, query)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        study = retrieve.resource.study or ""
        if (known := self._places.get(study)) is not None:
            try:
                return await known.backend.retrieve(retrieve)
            except (NotFound, Gone):
                self._places.forget(study)
        asking = Round(self._members)
        found = await holders(asking, self._members, Resource(study))
        if len(found) == 1 and asking.whole:
            self._places.remember(study, found[0])
        elif len(found) > 1:
            found = await holders(asking, found, replace(retrieve.resource, frames=()))
        if len(found) > 1 and retrieve.resource.instance is None and retrieve.view is not View.THUMBNAIL:  # of which one is enough
            return await read_in_parts(asking, found, retrieve)
        if found:
            body = await found[0].backend.retrieve(retrieve)
            return replace(body, served=replace(body.served, warnings=(*body.served.warnings, *asking.served().warnings)))
        return await _from_any(asking, retrieve)

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        self._places.forget(resource.study or "")
        return await delete_everywhere(self._members, resource)

    async def check(self) -> Health:
        """Ready as long as one member is, writable as long as the first is."""
        found = await asyncio.gather(*(member.backend.check() for member in self._members))
        notes = [
            f"{member.name}: {one.detail or 'not ready'}"
            for member, one in zip(self._members, found, strict=True)
            if one.detail or not one.ready
        ]
        return Health(any(one.ready for one in found), found[0].ready and found[0].writable, "; ".join(notes))

    async def aclose(self) -> None:
        """See `Backend.aclose`; members are closed by their owners."""
        self._places.clear()


async def _from_any(asking: Round, retrieve: Retrieve) -> Body:
    """What no search finds: each member says why it is not there, or gives it after all."""
    missing: NotFound | Gone = NotFound(f"there is no such {retrieve.resource.level} here")
    for member in asking.answering:
        try:
            return await member.backend.retrieve(retrieve)
        except Gone as gone:
            missing = gone
        except NotFound as error:
            missing = missing if isinstance(missing, Gone) else error
    raise asking.error or missing


class _Places:
    """Where studies are, as far as it was found out lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, Member]] = OrderedDict()

    def get(self, study: str) -> Member | None:
        since, member = self._known.get(study, (0.0, None))
        return member if time.monotonic() - since < REMEMBERED_SECONDS else None

    def remember(self, study: str, member: Member) -> None:
        self._known[study] = time.monotonic(), member
        self._known.move_to_end(study)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, study: str) -> None:
        self._known.pop(study, None)

    def clear(self) -> None:
        self._known.clear()
