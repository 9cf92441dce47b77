"""A `Backend` around a `Backend`: it remembers answers, and asks once for all who ask the same. The package has the rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from http import HTTPStatus

from gateway.backends.base import Backend, Body, Health, Matches, Retrieve, Served, StoreResult, Upload, View
from gateway.backends.cached.arriving import Answer, Arrivals, Arriving, FromDisk, Large, Wanted
from gateway.backends.cached.coalescing import Flight, Flights
from gateway.backends.cached.counts import Counts
from gateway.backends.cached.disk import DiskTier
from gateway.backends.cached.entries import Found, Read, cost_of, now
from gateway.backends.cached.generations import Generations
from gateway.backends.cached.keys import KINDS, STORED, Key, Kind, digest, kind_of
from gateway.backends.cached.memory import MemoryTier
from gateway.backends.caller import caller
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError

_PASSING = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Failures for which an old answer may stand in: those of a store that is down, slow or overrun (RFC 5861 4)."""

_MISS = Served("miss")


GUARDED = 1.0
"""See `Cached.guard`."""


class Cached:
    """See `Backend` for the methods.

    :param inner: the store behind; closed with this one.
    :param name: its configured name, in keys and metrics.
    :param memory: one for all stores of a process.
    :param disk: one for all stores and workers; whoever made it closes it, after this. None keeps nothing there.
    :param generations: a file that all workers open.
    :param ttl: seconds that searches and metadata are believed.
    :param content_ttl: seconds that everything else is believed; None for as long as they are.
    :param stale_if_error: seconds that an answer may be older than that while the store behind fails.
    :param entry_bytes: the longest answer that is kept.
    :param kinds: which reads are kept; two caches of one name keep different ones, or have different scopes.
    :param scope: what stands for the caller of the request that is being answered, where the store behind sees the caller.
    :param clock: seconds, the same for all processes.
    """

    def __init__(
        self,
        inner: Backend,
        *,
        name: str,
        memory: MemoryTier,
        disk: DiskTier | None,
        generations: Generations,
        ttl: float,
        stale_if_error: float,
        entry_bytes: int,
        content_ttl: float | None = None,
        kinds: Mapping[View, Kind] = STORED,
        scope: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = now,
    ) -> None:
        self._inner = inner
        self._name = name
        self._memory = memory
        self._disk = disk
        self._generations = generations
        content = ttl if content_ttl is None else content_ttl
        self._kinds = kinds
        self._ttl: dict[Kind, float] = dict.fromkeys(KINDS, content) | {"search": ttl, "metadata": ttl}
        self._stale_if_error = stale_if_error
        self._entry_bytes = entry_bytes
        self._scope = scope
        self._clock = clock
        self._counts = Counts(name)
        self._searches: Flights[Matches] = Flights()
        self._reads: Flights[Answer] = Flights()
        self._arrivals = Arrivals(inner, memory, disk, entry_bytes, self._is_current)

    # -- what is kept

    def _age(self, entry: Found | Read, stamp: int) -> float | None:
        """Seconds, None for what something was written after."""
        age = self._clock() - entry.made
        return age if entry.stamp == stamp and age >= 0 else None

    def _stamp(self, resource: Resource) -> int:
        return self._generations.of_study(self._name, resource.study or "")

    def _is_current(self, resource: Resource, stamp: int) -> bool:
        return self._stamp(resource) == stamp

    def _is_old_enough(self, kind: Kind, age: float | None) -> bool:
        """Whether an answer that is too old may stand in for a failure."""
        return age is not None and age <= self._ttl[kind] + self._stale_if_error and self._stale_if_error > 0

    def _again(self, entry: Found | Read, stamp: Callable[[], int]) -> float | None:
        """See `Served.still`."""
        age = self._age(entry, stamp())
        if age is None or age > self._ttl[entry.kind]:
            return None
        self._counts.hit(entry.kind)
        return age

    def guard(self, study: str | None) -> Callable[[], float | None]:
        """`Served.still` of what the store behind is about to be asked, where it knows everything itself: right as long as nothing is
        written to that study, or to the whole store. Not for longer than `GUARDED` seconds, whoever writes without a word."""
        stamp = partial(self._generations.of_store, self._name) if study is None else partial(self._generations.of_study, self._name, study)
        return partial(self._unwritten, stamp, stamp(), self._clock())

    def _unwritten(self, stamp: Callable[[], int], before: int, since: float) -> float | None:
        age = self._clock() - since
        return age if stamp() == before and 0 <= age <= GUARDED else None

    def _stale(self, kind: Kind, age: float | None) -> Served:
        self._counts.stale(kind)
        sentence = f"the store {self._name!r} cannot be asked at the moment; this is what it answered {age or 0:.0f} seconds ago"
        return Served("stale", age or 0, (sentence,))

    # -- searches

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        key, stamp, fresh = Key(self._name, self._scope(), query), self._generations.of_store(self._name), caller().fresh
        kept = self._memory.get(key)
        if isinstance(kept, Found) and not fresh and (age := self._age(kept, stamp)) is not None and age <= self._ttl["search"]:
            self._counts.hit("search")
            still = partial(self._again, kept, partial(self._generations.of_store, self._name))
            return _served(kept.matches, Served("hit", age, still=still))
        flight, joined = self._searches.join((key, stamp), partial(self._search, key, stamp, query), anew=fresh)
        try:
            matches = await flight.result()
        except GatewayError as error:
            age = self._age(kept, stamp) if isinstance(kept, Found) and error.status in _PASSING and not fresh else None
            if not isinstance(kept, Found) or not self._is_old_enough("search", age):
                raise
            return _served(kept.matches, self._stale("search", age))
        finally:
            flight.leave()
        self._counts.miss("search", joined=joined)
        return _served(matches, Served("miss", matches.served.age, matches.served.warnings))

    async def _search(self, key: Key, stamp: int, query: Query, flight: Flight[Matches]) -> None:
        begun = self._clock()
        matches = await self._inner.search(query)
        if not matches.served.warnings and self._generations.of_store(self._name) == stamp and cost_of(matches) <= self._entry_bytes:
            self._memory.add(key, Found("search", stamp, begun - matches.served.age, matches))
        flight.answer(matches)

    # -- reads

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        kind = kind_of(retrieve, self._kinds)
        if kind is None:
            return await self._inner.retrieve(retrieve)
        key, stamp = Key(self._name, self._scope(), retrieve), self._stamp(retrieve.resource)
        if caller().fresh:
            return await self._read(Wanted(key, retrieve, kind, stamp, self._clock()), fresh=True)
        kept = self._memory.get(key)
        if isinstance(kept, Read) and (body := self._current(kept, retrieve.resource, stamp)) is not None:
            return body
        wanted = Wanted(key, retrieve, kind, stamp, self._clock())
        try:
            return await self._read(wanted, fresh=False)
        except GatewayError as error:
            old = await self._old(wanted, kept) if error.status in _PASSING else None
            if old is None:
                raise
            return old.body(self._stale(kind, self._age(old, stamp)))

    def kept(self, retrieve: Retrieve) -> Body | None:
        """What memory holds of a read and is current; nobody is asked for it."""
        if caller().fresh:
            return None
        kept = self._memory.get(Key(self._name, self._scope(), retrieve))
        return self._current(kept, retrieve.resource, self._stamp(retrieve.resource)) if isinstance(kept, Read) else None

    def _current(self, kept: Read, resource: Resource, stamp: int) -> Body | None:
        age = self._age(kept, stamp)
        if age is None or age > self._ttl[kept.kind]:
            return None
        self._counts.hit(kept.kind)
        return kept.body(Served("hit", age, still=partial(self._again, kept, partial(self._stamp, resource))))

    async def _old(self, wanted: Wanted, kept: object) -> Read | None:
        """What may stand in for a failure."""
        if not isinstance(kept, Read) and self._disk is not None:
            kept = await self._disk.get(digest(wanted.key), in_memory=self._memory.share)
        fits = isinstance(kept, Read) and self._is_old_enough(wanted.kind, self._age(kept, self._stamp(wanted.retrieve.resource)))
        return kept if isinstance(kept, Read) and fits else None

    async def _read(self, wanted: Wanted, *, fresh: bool) -> Body:
        flight, joined = self._reads.join((wanted.key, wanted.stamp), partial(self._fetch, wanted, fresh), anew=fresh)
        left = [flight]

        def leave() -> None:
            if left:
                left.pop().leave()

        try:
            answer = await flight.result()
            return await self._body(wanted, answer, leave, joined=joined)
        except BaseException:
            leave()
            raise

    async def _fetch(self, wanted: Wanted, fresh: bool, flight: Flight[Answer]) -> None:
        entry = None if fresh or self._disk is None else await self._disk.get(wanted.name, in_memory=self._memory.share)
        if entry is not None and (age := self._age(entry, wanted.stamp)) is not None and age <= self._ttl[wanted.kind]:
            self._memory.add(wanted.key, entry)
            flight.answer(FromDisk(entry))
        else:
            await self._arrivals.fetch(wanted, flight)

    async def _body(self, wanted: Wanted, answer: Answer, leave: Callable[[], None], *, joined: bool) -> Body:
        if isinstance(answer, FromDisk):
            leave()
            self._counts.from_disk(wanted.kind)
            return answer.entry.body(Served("hit", self._age(answer.entry, wanted.stamp) or 0))
        self._counts.miss(wanted.kind, joined=joined and not isinstance(answer, Large))
        if isinstance(answer, Arriving):
            return answer.body(leave)
        if isinstance(answer, Read):
            leave()
            return answer.body(_MISS)
        mine = answer.bodies.pop() if answer.bodies else None
        leave()
        body = mine or await self._inner.retrieve(wanted.retrieve)
        return replace(body, served=Served("miss", body.served.age, body.served.warnings))

    # -- writes

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`."""
        studies: set[str] = set()
        try:
            async with aclosing(self._watched(uploads, studies)) as watched:
                return await self._inner.store(watched)
        finally:
            for study in studies:
                self._generations.bump(self._name, study)

    async def _watched(self, uploads: AsyncIterator[Upload], studies: set[str]) -> AsyncGenerator[Upload, None]:
        """The same uploads; the stamps of their studies are new before the store behind has seen them."""
        async for upload in uploads:
            study = upload.instance.study
            if study not in studies:
                studies.add(study)
                self._generations.bump(self._name, study)
            yield upload

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        self._generations.bump(self._name, resource.study or "")
        try:
            return await self._inner.delete(resource)
        finally:
            self._generations.bump(self._name, resource.study or "")

    # -- the rest

    async def check(self) -> Health:
        """See `Backend.check`. While old answers may stand in, a store that is down does not make the gateway unready."""
        health = await self._inner.check()
        if health.ready or not self._stale_if_error or not self._memory.bound:
            return health
        return Health(ready=True, writable=False, detail=f"{health.detail}; what is kept is still answered".lstrip("; "))

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        await self._searches.aclose()
        await self._reads.aclose()
        await self._inner.aclose()


def _served(matches: Matches, served: Served) -> Matches:
    return Matches(matches.results, matches.remaining, matches.modified, served)
