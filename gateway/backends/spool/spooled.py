"""A store that takes in at once and delivers later: a local store in front of one or several destinations.

What it promises:
1. A store is answered when it is durable here, with what the spool's own store says of it. The destinations are not asked.
2. What was acknowledged arrives at each destination that `routing` names, or becomes a dead letter that people have to decide
   about (`spool list`); it leaves the spool only when every one of them named it stored and returned it.
3. What is in the spool is found and read like everything else, once, whether or not a destination has it too, and in the
   version that is here. What is shown of a study is what its origin says, unless all of it is here as well; counts are those of
   both together (`merging`).
4. Reads ask the destinations that may have something which no other one has (`Router.read`): the store's own origin, and others
   to which a route leads apart from it. Copies that go to further stores are theirs.
5. A delete takes an instance out of the spool and undoes its deliveries, also one that is under way. Where the origin does
   not answer nothing is deleted: nobody could say that it is gone.
6. Another version of a known instance: while that is in the spool, the spool's own rule decides (reject, replace, skip). Once it
   was delivered and the origin still has it, the same rule is kept by what is remembered of it; what was delivered
   longer ago is the destination's to judge, and becomes a dead letter if that refuses it, or keeps the older version whatever
   it says. Equal bytes are delivered again.
7. A search or read during which instances move is done again, so that counts are right. Nothing is ever missed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from gateway.backends.base import Backend, Body, Health, Matches, Retrieve, StoreResult, Upload
from gateway.backends.federation import Federation
from gateway.backends.local.index import missing
from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.local.store import LocalStore
from gateway.backends.merging.members import Member, Round, holders
from gateway.backends.merging.reads import list_instances, read_in_parts
from gateway.backends.merging.searches import search
from gateway.backends.policy import OnDuplicate
from gateway.backends.spool import deliveries
from gateway.backends.spool.delivering import Leader, Pace
from gateway.backends.spool.routing import Route, Router
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, Gone, NotFound

FOLDER = "spool"
"""Name of the spool's folder below that of its store."""

WITHDRAW_SECONDS = 5.0
"""How long a delete waits for a delivery that is under way. If that takes longer it is undone later, but never forgotten."""

WITHDRAW_POLL_SECONDS = 0.02


class Spooled:
    """See `Backend` for the methods. Made inside the running loop; it begins to deliver at once, or when no other worker does.

    :param local: the spool, empty or as it was left; closed with this.
    :param destinations: by name; closed by their owners, after this. That under `name` is the store's own origin.
    :param routes: see `routing`.
    :param name: of this store.
    :param attempts: deliveries of an instance that may fail before it is set aside.
    :param batch: instances of a study that go out in one request.
    :param pauses: seconds between two tries at first and at the most; in between they double.
    :param delivers: False to take in and to read only.
    :param looks: how often a search or read is done again because instances moved meanwhile. Then it is taken as it is: nothing is
        missed, but something that moved may be counted twice.
    :raises ValueError: for routes that lead nowhere.
    """

    def __init__(
        self,
        local: LocalStore,
        destinations: Mapping[str, Backend],
        routes: Sequence[Route] = (),
        *,
        name: str,
        attempts: int = 20,
        batch: int = 64,
        pauses: tuple[float, float] = (1.0, 300.0),
        delivers: bool = True,
        looks: int = 3,
    ) -> None:
        self._local = local
        self._destinations = dict(destinations)
        self._looks = looks
        self._router = Router(routes, self._destinations, name)
        self._leader = Leader(local, self._destinations, self._router, name=name, pace=Pace(*pauses, attempts=attempts, batch=batch))
        self._here = Member(name, local)
        self._origins = [Member(one, self._destinations[one]) for one in self._router.read]
        self._origin: Backend = Federation({one.name: one.backend for one in self._origins}, name=name)
        if len(self._origins) == 1:
            self._origin = self._origins[0].backend
        local.accompany(self)
        self._delivering = asyncio.get_running_loop().create_task(self._leader.run()) if delivers else None

    # -- store

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`."""
        result = await self._local.store(uploads)
        if result.stored:
            self._leader.nudge()
        return result

    async def screen(self, prepared: Sequence[Prepared]) -> None:
        """See `Beside`: forgets the versions that the origin does not have any more, so that others may come."""
        if self._local.on_duplicate is OnDuplicate.REPLACE:
            return
        for one in await self._local.read(partial(deliveries.other_versions, prepared=prepared)):
            resource = Resource(one.study, one.series, one.sop)
            asking = Round(self._origins)
            with suppress(GatewayError):  # nobody answers: what was delivered there is thought to be there
                if not await holders(asking, self._origins, resource) and asking.whole:
                    await self._local.write(partial(deliveries.forget, resource=resource))

    def refusal(self, db: sqlite3.Connection, new: Prepared, policy: OnDuplicate) -> Outcome | None:
        """See `Beside`: another version of what was delivered is treated as one of what is here."""
        known = None if policy is OnDuplicate.REPLACE else deliveries.delivered(db, new.instance)
        if known is None or known == (new.size, new.checksum):
            return None
        return Outcome.SKIPPED if policy is OnDuplicate.SKIP else Outcome.REJECTED

    def inserted(self, db: sqlite3.Connection, generation: int, now: float) -> None:
        """See `Beside`."""
        deliveries.add(db, generation, self._router.fixed or (deliveries.UNDECIDED,), now)

    def again(self, db: sqlite3.Connection, generation: int) -> None:
        """See `Beside`: who sends something again wants it delivered, though it was set aside."""
        deliveries.revive(db, generation)

    # -- reading

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        waiting, departures = await self._local.read(deliveries.state)
        if not waiting:
            return await self._origin.search(query)
        for _ in range(self._looks):
            matches = await search([*self._origins, self._here], query, first=self._here, looks=self._looks)
            before, (_, departures) = departures, await self._local.read(deliveries.state)
            if departures == before:
                break
        return matches

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        resource = replace(retrieve.resource, frames=())
        look = partial(self._local.read, partial(_whether_here, resource=resource))
        here, departures = await look()
        for _ in range(self._looks):
            if not here:
                return await self._from_origin(retrieve)
            found = await self._found(retrieve, resource)
            before, (here, departures) = departures, await look()
            if departures == before or (isinstance(found, Body) and resource.instance is not None):
                return _given(found)
            if isinstance(found, Body):
                await found.aclose()
        if resource.instance is None:
            return await self._in_parts(retrieve)
        found = await self._found(retrieve, resource)
        return _given(found) if isinstance(found, Body) or (await look())[0] else await self._from_origin(retrieve)

    async def _from_origin(self, retrieve: Retrieve) -> Body:
        try:
            return await self._origin.retrieve(retrieve)
        except NotFound as error:
            raise await self._why(replace(retrieve.resource, frames=()), error) from None

    async def _why(self, resource: Resource, error: NotFound | Gone) -> NotFound | Gone:
        """Why something is not there: the spool knows what was deleted here, though the origin may never have had it."""
        known = await self._local.read(partial(missing, resource=resource))
        return known if isinstance(known, Gone) else error

    async def _found(self, retrieve: Retrieve, resource: Resource) -> Body | NotFound | Gone:
        """Something of which at least a part is in the spool, or why it is not there; when things moved meanwhile that may be wrong.

        An instance that is here is read here, whatever the origin has: that may be an older version.
        """
        asking = Round([*self._origins, self._here])
        try:
            if resource.instance is None and await holders(asking, self._origins, resource):
                return await self._in_parts(retrieve)
            body = await self._local.retrieve(retrieve)
        except (NotFound, Gone) as error:
            return error
        return replace(body, served=asking.served())

    async def _in_parts(self, retrieve: Retrieve) -> Body:
        asking = Round([*self._origins, self._here])
        return await read_in_parts(asking, [*self._origins, self._here], retrieve, first=self._here)

    # -- delete

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        asking = Round(self._origins)
        await holders(asking, self._origins, resource)
        if asking.error is not None:
            raise asking.error
        here = await self._delete_here(resource)
        there = await self._listed(asking, self._origins, resource) if here else set()
        try:
            count = await self._origin.delete(resource)
        except (NotFound, Gone) as error:
            count = 0
            if not here:
                raise await self._why(resource, error) from None
        await self._local.write(partial(deliveries.forget, resource=resource))
        return len(here | there) if here else count

    async def _delete_here(self, resource: Resource) -> set[tuple[str, str]]:
        """Takes a resource out of the spool, and back from where it was just being sent; series and instance of each."""
        here = await self._listed(Round([self._here]), [self._here], resource)
        try:
            await self._local.delete(resource)
        except (NotFound, Gone):
            return set()
        self._leader.nudge()
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHDRAW_SECONDS):
                while await self._local.read(partial(deliveries.is_withdrawing, resource=resource)):  # noqa: ASYNC110 - by any process
                    await asyncio.sleep(WITHDRAW_POLL_SECONDS)
        return here

    async def _listed(self, asking: Round, members: Sequence[Member], resource: Resource) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for member in await holders(asking, members, resource):
            if resource.instance is not None:
                found.add((resource.series or "", resource.instance))
            else:
                found |= set(await list_instances(asking, member, resource) or ())
        return found

    # -- the rest

    async def check(self) -> Health:
        """Ready and writable as long as the spool is: that destinations are down is what it is for."""
        own, *others = await asyncio.gather(self._local.check(), *(one.check() for one in self._destinations.values()))
        notes = [own.detail] if own.detail else []
        notes += [
            f"{name} waits: {one.detail}" for name, one in zip(self._destinations, others, strict=True) if not (one.ready and one.writable)
        ]
        return Health(own.ready, own.writable, "; ".join(notes))

    async def aclose(self) -> None:
        """See `Backend.aclose`; what is not delivered yet is at the next start."""
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.wait([self._delivering])
        await self._local.aclose()


def _given(found: Body | NotFound | Gone) -> Body:
    if isinstance(found, Body):
        return found
    raise found


def _whether_here(db: sqlite3.Connection, resource: Resource) -> tuple[bool, int]:
    """Whether anything of a resource is in the spool, and how often something had departed before that was looked for: what departs
    between the two has to be noticed, and nothing holds them together."""
    departures = deliveries.state(db)[1]
    return deliveries.is_here(db, resource), departures
