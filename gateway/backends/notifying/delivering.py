"""The one process that sends what waits in the outbox.

1. All workers try to lock a file; who has it sends. The kernel lets go of the lock when its holder dies, however it dies, and
   another worker has it within `FOLLOW_SECONDS`. So nothing is sent twice, but what was under way when a process was killed.
2. Each receiver has a task of its own: one that is down or slow holds up no other. Calls are bounded over all of them.
3. Messages go out in the order in which they were acknowledged. A receiver that does not answer, or asks for time, keeps that
   order: nothing overtakes while it is waited for. That counts against no message.
4. A message that is refused (4xx) is tried again later, and others go past it. After `attempts` it is set aside: kept, visible,
   and not sent until people say so. One that refuses everything is asked more and more rarely.
5. What is older than `keep` is given up, and counted.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from gateway import logs, metrics
from gateway.backends.base import Backend
from gateway.backends.caller import CALLER, Caller
from gateway.backends.locks import try_lock
from gateway.backends.notifying import rows
from gateway.backends.notifying.events import Message, kind_of
from gateway.backends.notifying.journal import Journal
from gateway.backends.notifying.resolving import happened
from gateway.backends.notifying.rows import Intent, Refused
from gateway.backends.notifying.sending import Outcome, Receiver
from gateway.errors import GatewayError, Gone, NotFound

log = logs.get_logger()

FOLLOW_SECONDS = 2.0
"""How often a worker that does not send looks whether it has to."""

POLL_SECONDS = 1.0
"""How often the outbox is looked at for what other workers put into it; what this one does is noticed at once."""

MEASURE_SECONDS = 5.0
"""How often rows are counted for the metrics, and old ones given up: a million of them take some tenths of a second."""

RESOLVE_SECONDS = 30.0
"""How often intents are looked for whose process is gone."""

AT_ONCE = 16
"""Batches that are under way to all receivers together: what callers name as topics bounds nothing."""

REFUSING_SECONDS = 60.0
"""Seconds between two tries at a receiver that refuses everything, at the most."""

GONE = "the settings name no such webhook any more"


@dataclass(frozen=True, slots=True)
class Pace:
    """:param first: seconds until a second try; they double from try to try up to `longest`.
    :param attempts: refusals after which a message is set aside. :param keep: seconds after which anything is given up.
    :param drain: seconds that are left for sending when the process ends.
    """

    first: float = 1.0
    longest: float = 600.0
    attempts: int = 10
    keep: float = 7 * 86_400.0
    drain: float = 2.0

    def pause(self, failures: int) -> float:
        """Seconds before another try after so many failures, from 1; never twice the same."""
        longest: float = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return max(self.first, longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


class Deliverer:
    """:param find: the store of a resource name. :param receiver: who stands behind a key; None when nobody does any more."""

    def __init__(
        self, journal: Journal, find: Callable[[str], Awaitable[Backend]], receiver: Callable[[str], Receiver | None], pace: Pace
    ) -> None:
        self._journal = journal
        self._outbox = journal.outbox
        self._find = find
        self._receiver = receiver
        self._pace = pace
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._leading = False

    def nudge(self) -> None:
        """There is something new."""
        self._news.set()

    async def run(self) -> None:
        """Follows until it may lead, then leads; until `drain`, or until it is cancelled."""
        CALLER.set(Caller(fresh=True))  # what became of a change is nothing that a cache may answer
        resolving = asyncio.create_task(self._forever(self._resolve_own, FOLLOW_SECONDS))
        try:
            await self._forever(self._follow, FOLLOW_SECONDS)
        finally:
            await _ended(resolving)

    async def _follow(self) -> None:
        lock = await asyncio.to_thread(try_lock, f"{self._outbox.folder}/deliver.lock")
        if lock is not None:
            try:
                await self._lead()
            finally:
                os.close(lock)

    async def drain(self) -> None:
        """Sends what can be sent at once; after this `run` may be cancelled."""
        self._closing.set()
        if self._leading:
            await _patiently(self._look)
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=self._pace.drain)

    async def _lead(self) -> None:
        log.info("notifications_lead")
        self._leading = True
        beside = [
            asyncio.create_task(self._forever(self._resolve_dead, RESOLVE_SECONDS)),
            asyncio.create_task(self._forever(self._measure, MEASURE_SECONDS)),
        ]
        try:
            while not self._closing.is_set():
                self._news.clear()
                await _patiently(self._look)
                await _first(POLL_SECONDS, self._news, self._closing)
            while self._sending:  # until this is cancelled
                await asyncio.wait(self._sending.values())
        finally:
            self._leading = False
            await _ended(*beside, *self._sending.values())

    async def _forever(self, step: Callable[[], Awaitable[None]], seconds: float) -> None:
        while not self._closing.is_set():
            await _patiently(step)
            await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        await _first(seconds, self._closing)

    # -- sending

    async def _look(self) -> None:
        """Sees to it that each receiver for which something waits has a task."""
        for target in await self._outbox.read(rows.waiting):
            if target not in self._sending:
                task = asyncio.create_task(self._send_all(target))
                self._sending[target] = task
                task.add_done_callback(partial(self._done, target))

    def _done(self, target: str, task: asyncio.Task[None]) -> None:
        del self._sending[target]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("notifications_failed", exc_info=error)
        else:
            self._news.set()  # something may have come while it ended

    async def _send_all(self, target: str) -> None:
        """Sends until nothing waits for a receiver, or this ends."""
        receiver = self._receiver(target)
        if receiver is None:
            await self._outbox.run(partial(rows.set_aside, target=target, reason=GONE))
            return
        try:
            failures = 0
            for turn in count():
                batch = await self._batch(target, receiver.limit, turn)
                if not batch:
                    due = await self._outbox.read(partial(rows.next_due, target=target))
                    if due is None or self._closing.is_set():
                        return
                    await self._rest(min(max(due - time.time(), 0.01), POLL_SECONDS))
                    continue
                async with self._places:
                    outcome = await receiver.send(batch)
                await self._told(target, batch, outcome)
                failures = 0 if outcome.sent and outcome.away is None else failures + 1
                if failures and self._closing.is_set():
                    return
                if failures:
                    await self._rest(self._pause(failures, outcome))
        finally:
            await receiver.aclose()

    def _pause(self, failures: int, outcome: Outcome) -> float:
        """Seconds until a receiver that took nothing is asked again."""
        if outcome.away is not None:
            return max(self._pace.pause(failures), outcome.after or 0.0)
        return 0.0 if failures == 1 else min(self._pace.pause(failures - 1), REFUSING_SECONDS)

    async def _batch(self, target: str, limit: int, turn: int) -> list[Message]:
        """What goes out next; what was refused before and what is new take turns."""
        fresh = partial(rows.fresh, target=target, limit=limit)
        overdue = partial(rows.overdue, target=target, now=time.time(), longest=self._pace.longest, limit=limit)
        for choice in (overdue, fresh) if turn % 2 == 0 else (fresh, overdue):
            if batch := await self._outbox.read(choice):
                return batch
        return []

    async def _told(self, target: str, batch: Sequence[Message], outcome: Outcome) -> None:
        kind = kind_of(target)
        attempts = {one.number: one.attempts + 1 for one in batch}
        refused = [self._refusal(number, attempts[number], why) for number, why in outcome.refused.items()]
        left = attempts.keys() - outcome.sent - outcome.refused.keys()
        await self._outbox.run(partial(rows.told, sent=outcome.sent, refused=refused))
        metrics.NOTIFICATIONS_SENT.labels(kind).inc(len(outcome.sent))
        metrics.NOTIFICATIONS_FAILED.labels(kind).inc(len(refused) + len(left))
        if outcome.away is not None and left:
            await self._outbox.run(partial(rows.explain, numbers=left, reason=outcome.away))
            log.warning("notifications_wait", receiver=target, reason=outcome.away)
        if dead := [one for one in refused if one.dead]:
            log.warning("notifications_set_aside", receiver=target, messages=len(dead), reason=dead[0].reason)

    def _refusal(self, number: int, attempts: int, why: str) -> Refused:
        return Refused(number, why, time.time() + self._pace.pause(attempts), attempts >= self._pace.attempts)

    # -- what was cut off

    async def _resolve_own(self) -> None:
        if self._journal.abandoned:
            known = await self._outbox.read(rows.intents)
            self._journal.abandoned &= {one.number for one in known}
            for intent in known:
                if intent.number in self._journal.abandoned:
                    await self._resolve(intent)

    async def _resolve_dead(self) -> None:
        owners = await self._journal.owners()
        for intent in await self._outbox.read(rows.intents):
            if not await asyncio.to_thread(owners.alive, intent.owner):
                await self._resolve(intent)

    async def _resolve(self, intent: Intent) -> None:
        try:
            changed = await happened(await self._find(intent.store), intent)
        except (NotFound, Gone):  # the store itself has gone
            changed = []
        except GatewayError as error:
            log.warning("notifications_unclear", store=intent.store, error=error.message)
            return
        self._journal.abandoned.discard(intent.number)
        await self._journal.settle(intent.number, changed)

    # -- figures

    async def _measure(self) -> None:
        gone = await self._outbox.run(partial(rows.expire, before=time.time() - self._pace.keep))
        metrics.NOTIFICATIONS_DROPPED.labels("old").inc(gone)
        if gone:
            log.warning("notifications_given_up", messages=gone)
        depths = await self._outbox.read(rows.depth)
        for kind in ("webhook", "pubsub"):
            waiting = [one for one in depths if kind_of(one.target) == kind and not one.dead]
            dead = [one for one in depths if kind_of(one.target) == kind and one.dead]
            oldest = min((one.oldest for one in waiting), default=None)
            metrics.NOTIFICATIONS_WAITING.labels(kind).set(sum(one.messages for one in waiting))
            metrics.NOTIFICATIONS_SET_ASIDE.labels(kind).set(sum(one.messages for one in dead))
            metrics.NOTIFICATIONS_OLDEST_SECONDS.labels(kind).set(0 if oldest is None else max(0.0, time.time() - oldest))


async def _patiently(step: Callable[[], Awaitable[None]]) -> None:
    """One step. What goes wrong with the outbox is logged and tried again: nobody else would send."""
    try:
        await step()
    except GatewayError as error:
        log.error("notifications_failed", error=error.message)
    except Exception as error:
        log.error("notifications_failed", exc_info=error)


async def _first(seconds: float, *events: asyncio.Event) -> None:
    """Returns when one of them is set, or when the time is over."""
    waiting = [asyncio.ensure_future(one.wait()) for one in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
