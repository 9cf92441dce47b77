"""The one process that delivers what a spool holds.

1. All workers try to lock a file; who has it delivers. The kernel lets go of the lock when its holder dies, however it dies,
   and another worker has it within `FOLLOW_SECONDS`.
2. Each destination has a task of its own: one that is down or slow holds up no other.
3. What was never tried goes first, in the order in which it came, a study at a time. What failed goes alone, after a pause
   that doubles from try to try, and is set aside after `attempts` of them: it stays readable, and waits for people.
4. A destination that does not answer is left alone for a pause, too, and then asked something small before anything is sent.
   It may be down for days: that counts against no instance.
5. Where a connection breaks in the middle, the destination is asked something small at once. If it lives, one of the instances
   is what it cannot stand. If not, it was going down, or an instance killed it: they all go alone from then on, and with whom
   it goes down again, that one it counts against.
6. Deletes are caught up with before anything else is sent.
7. Whatever is cut off by a crash is done again: to store equal bytes again changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import NoReturn

import orjson

from gateway import logs, metrics
from gateway.backends.base import Backend
from gateway.backends.caller import CALLER, Caller
from gateway.backends.local.store import LocalStore
from gateway.backends.locks import try_lock
from gateway.backends.results import Attributes
from gateway.backends.spool import deliveries
from gateway.backends.spool.comparing import BROKEN, NOT_NOW, there
from gateway.backends.spool.deliveries import Failure, Parcel
from gateway.backends.spool.routing import META_HEAD, Router, meta_attributes
from gateway.backends.spool.sending import Outcome, deliver, reachable
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, Gone, NotFound

log = logs.get_logger()

FOLLOW_SECONDS = 2.0
"""How often a worker that does not deliver looks whether it has to."""

POLL_SECONDS = 1.0
"""How often the table is looked at for what other workers put into it; what this one stores is noticed at once."""

MEASURE_SECONDS = 5.0
"""How often rows are counted for the metrics: a million of them take a tenth of a second."""

ROUTED_AT_ONCE = 200
"""Instances that are routed in one transaction; of each a header is read."""

WITHDRAWN_AT_ONCE = 100
"""Deletes that are caught up with before the table hears of it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """:param first: seconds until a second try; they double from try to try up to `longest`.
    :param attempts: tries after which an instance is set aside.
    :param batch: instances of a study that go out in one request.
    """

    first: float = 1.0
    longest: float = 300.0
    attempts: int = 20
    batch: int = 64

    def pause(self, failures: int) -> float:
        """Seconds, never twice the same: those who failed together shall not come back together."""
        longest: float = min(self.longest, self.first * 2.0 ** min(failures, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


@dataclass
class _Destination:
    """:param answered: whether it did when it was last asked. :param failures: how often it did not in a row."""

    name: str
    backend: Backend
    news: asyncio.Event = field(default_factory=asyncio.Event)
    answered: bool = False
    failures: int = 0
    turns: count[int] = field(default_factory=count)


@dataclass(frozen=True, slots=True)
class _Rest:
    """:param news: whether something new ends it early."""

    seconds: float
    news: bool = True


_GO_ON = _Rest(0)
_IDLE = _Rest(POLL_SECONDS)


class Leader:
    """:param name: of the store, for metrics and logs."""

    def __init__(self, local: LocalStore, destinations: Mapping[str, Backend], router: Router, *, name: str, pace: Pace) -> None:
        self._local = local
        self._destinations = [_Destination(one, backend) for one, backend in destinations.items()]
        self._router = router
        self._name = name
        self._pace = pace
        self._unrouted = asyncio.Event()

    def nudge(self) -> None:
        """There is something new in the table."""
        self._unrouted.set()
        for one in self._destinations:
            one.news.set()

    async def run(self) -> NoReturn:
        """Follows until it may lead, then leads; until it is cancelled."""
        CALLER.set(Caller(fresh=True))  # whether an instance has arrived is nothing that a cache may answer
        while True:
            lock = await asyncio.to_thread(try_lock, f"{self._local.root}/deliver.lock")
            if lock is None:
                await asyncio.sleep(FOLLOW_SECONDS)
                continue
            try:
                await self._lead()
            finally:
                os.close(lock)

    async def _lead(self) -> None:
        log.info("spool_leads", store=self._name)
        names = [one.name for one in self._destinations]
        async with asyncio.TaskGroup() as tasks:
            await _patiently(self._name, partial(self._reopen, names))
            tasks.create_task(self._forever(self._route, self._unrouted))
            tasks.create_task(self._forever(self._measure, asyncio.Event()))
            for one in self._destinations:
                tasks.create_task(self._forever(partial(self._step, one), one.news))

    async def _reopen(self, names: Sequence[str]) -> _Rest:
        await self._local.write(partial(deliveries.reopen, destinations=names))
        return _GO_ON

    async def _forever(self, step: Callable[[], Awaitable[_Rest]], news: asyncio.Event) -> NoReturn:
        while True:
            news.clear()
            rest = await _patiently(self._name, step)
            if rest.seconds and rest.news:
                await _either(news, rest.seconds)
            elif rest.seconds:
                await asyncio.sleep(rest.seconds)

    # -- routing

    async def _route(self) -> _Rest:
        generations = await self._local.read(partial(deliveries.undecided, limit=ROUTED_AT_ONCE))
        if not generations:
            return _IDLE
        documents = {} if self._router.fixed else await self._local.documents(generations)
        routed: dict[int, Sequence[str]] = {}
        for generation in generations:
            routed[generation] = await self._where(generation, documents.get(generation))
        await self._local.write(partial(deliveries.decide, routed=routed))
        self.nudge()
        return _GO_ON

    async def _where(self, generation: int, document: bytes | None) -> Sequence[str]:
        if self._router.fixed is not None or document is None:
            return self._router.default
        return await asyncio.to_thread(self._matched, generation, document)

    def _matched(self, generation: int, document: bytes) -> Sequence[str]:
        attributes: Attributes = orjson.loads(document)
        if self._router.meta:
            try:
                with open(self._local.path(generation), "rb") as file:  # noqa: PTH123 - the store gives out strings
                    attributes |= meta_attributes(file.read(META_HEAD), self._router.meta)
            except FileNotFoundError:  # deleted meanwhile
                return ()
        return self._router.destinations(attributes)

    # -- one destination

    async def _step(self, one: _Destination) -> _Rest:
        if not one.answered and (error := await reachable(one.backend)) is not None:
            return self._away(one, error)
        one.answered = True
        if instances := await self._local.read(partial(deliveries.withdrawals, destination=one.name, limit=WITHDRAWN_AT_ONCE)):
            return await self._withdraw(one, instances)
        try:
            batch = await self._batch(one)
        except NOT_NOW as error:
            return self._away(one, error)
        if not batch:
            one.failures = 0
            return _IDLE
        outcome = await deliver(one.backend, batch, self._local.path)
        away = await reachable(one.backend) if outcome.broke else outcome.away
        await self._settle(one, batch, outcome, away)
        if away is not None:
            return self._away(one, away)
        one.failures = 0
        return _GO_ON

    async def _batch(self, one: _Destination) -> list[Parcel]:
        """What goes out next; what failed before and what is new take turns.

        :raises GatewayError: the destination wants nothing now.
        """
        choices = [partial(deliveries.fresh, destination=one.name, limit=self._pace.batch)]
        choices.insert(next(one.turns) % 2, partial(deliveries.overdue, destination=one.name, now=time.time(), longest=self._pace.longest))
        for choice in choices:
            if batch := await self._local.read(choice):
                break
        else:
            return []
        apart = {parcel.instance.sop: parcel for parcel in reversed(batch)}  # an answer names instances by this UID alone
        generations = sorted(parcel.generation for parcel in apart.values())
        preceded = await self._preceded(one, [parcel for parcel in apart.values() if not parcel.sent])
        noted = partial(deliveries.send, destination=one.name, generations=generations, preceded=preceded)
        still = await self._local.write(noted)
        parcels = sorted(parcel for parcel in apart.values() if parcel.generation in still)
        return [parcel._replace(sent=True, preceded=still[parcel.generation]) for parcel in parcels]

    async def _preceded(self, one: _Destination, new: Sequence[Parcel]) -> list[int]:
        """Under whose UIDs a destination has something already. Where that breaks off nobody knows, and each is compared."""
        try:
            known = await there(one.backend, new)
        except BROKEN:
            known = {parcel.instance.sop for parcel in new}
        return [parcel.generation for parcel in new if parcel.instance.sop in known]

    async def _settle(self, one: _Destination, batch: Sequence[Parcel], outcome: Outcome, away: GatewayError | None) -> None:
        """:param away: why the destination does not answer now, after that."""
        attempts = {parcel.generation: parcel.attempts + 1 for parcel in batch}
        failed = [self._failure(generation, attempts[generation], *why) for generation, why in outcome.refused.items()]
        if outcome.broke and outcome.away is not None:
            why = outcome.away.message
            blamed = away is None or (len(batch) == 1 and batch[0].tried)
            failed += [
                self._failure(parcel.generation, attempts[parcel.generation], why, passing=True)
                if blamed
                else Failure(parcel.generation, why, time.time(), dead=False, counts=False)
                for parcel in batch
            ]
        await self._local.write(partial(deliveries.settle, local=self._local, destination=one.name, arrived=outcome.arrived, failed=failed))
        metrics.SPOOL_DELIVERED.labels(self._name, one.name).inc(len(outcome.arrived))
        metrics.SPOOL_FAILED.labels(self._name, one.name).inc(len(failed))
        if dead := [failure for failure in failed if failure.dead]:
            log.warning("spool_set_aside", store=self._name, name=one.name, instances=len(dead), reason=dead[0].reason)

    def _failure(self, generation: int, attempts: int, reason: str, passing: bool) -> Failure:
        dead = not passing or attempts >= self._pace.attempts
        return Failure(generation, reason, time.time() + self._pace.pause(attempts - 1), dead)

    async def _withdraw(self, one: _Destination, instances: Sequence[Resource]) -> _Rest:
        done: list[Resource] = []
        away: GatewayError | None = None
        for instance in instances:
            try:
                await one.backend.delete(instance)
            except (NotFound, Gone):
                pass
            except (*NOT_NOW, *BROKEN) as error:
                away = error
                break
            except GatewayError as error:  # it does not let anybody delete: there is no use in asking again
                log.warning("spool_delete_refused", store=self._name, name=one.name, error=error.message)
            done.append(instance)
        await self._local.write(partial(deliveries.withdrawn, destination=one.name, instances=done))
        return _GO_ON if away is None else self._away(one, away)

    def _away(self, one: _Destination, error: GatewayError) -> _Rest:
        if not one.failures:
            log.warning("spool_waits", store=self._name, name=one.name, error=error.message)
        pause = max(self._pace.pause(one.failures), float(getattr(error, "retry_after", 0)))
        one.answered, one.failures = False, one.failures + 1
        return _Rest(pause, news=False)

    # -- metrics

    async def _measure(self) -> _Rest:
        found = {(depth.destination, depth.dead): depth for depth in await self._local.read(deliveries.depth)}
        for name in (deliveries.UNDECIDED, *(one.name for one in self._destinations)):
            waiting, dead = found.get((name, False)), found.get((name, True))
            labels = (self._name, name or "undecided")
            metrics.SPOOL_DEPTH.labels(*labels).set(waiting.instances if waiting else 0)
            metrics.SPOOL_OLDEST_SECONDS.labels(*labels).set(max(0.0, time.time() - waiting.oldest) if waiting else 0)
            metrics.SPOOL_DEAD.labels(*labels).set(dead.instances if dead else 0)
        return _Rest(MEASURE_SECONDS)


async def _patiently(store: str, step: Callable[[], Awaitable[_Rest]]) -> _Rest:
    """One step. What goes wrong with the spool itself is logged and tried again: nobody else would deliver."""
    try:
        return await step()
    except GatewayError as error:
        log.error("spool_failed", store=store, error=error.message)
    except Exception:
        log.exception("spool_failed", store=store)
    return _Rest(POLL_SECONDS, news=False)


async def _either(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass
