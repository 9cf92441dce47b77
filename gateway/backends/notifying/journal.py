"""What a store writes down, so that nothing that it acknowledges goes untold.

1. Before a change: what will be changed, and who has to hear of it (`intend`). Where that cannot be written the change is refused.
2. After it: what was changed becomes messages (`settle`), in one transaction. Only then is the caller answered.
3. Whoever dies between the two leaves the first behind, and `resolving` looks what became of it.

So a store costs two small commits more, which it shares with others under way; one whose changes nobody has to hear of writes nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from gateway import logs, metrics
from gateway.backends.notifying import rows
from gateway.backends.notifying.outbox import Outbox
from gateway.backends.notifying.rows import Full, Intent
from gateway.backends.registry.owners import Owners
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, StoreUnavailable

log = logs.get_logger()

FULL_SECONDS = 1.0
"""How long a full outbox is thought to be full: until then stores are refused before their bodies are read."""


class Journal:
    """:param folder: of the outbox. :param bound: messages that may wait.
    :param news: called when there is something to tell.
    """

    def __init__(self, folder: Path, bound: int, news: Callable[[], None] = lambda: None) -> None:
        self.outbox = Outbox(folder)
        self.news = news
        self.abandoned: set[int] = set()
        """Intents of this process of which it does not know what became."""
        self._bound = bound
        self._full = 0.0
        self._owners: Owners | None = None
        self._opening = asyncio.Lock()

    async def owners(self) -> Owners:
        """Which processes are alive; this one is among them from now on.

        :raises StoreUnavailable: their folder cannot be used.
        """
        async with self._opening:
            if self._owners is None:
                try:
                    self._owners = await asyncio.to_thread(Owners, self.outbox.folder / "owners")
                except OSError as error:
                    raise StoreUnavailable(f"the outbox of notifications cannot be opened: {error.strerror}") from error
        return self._owners

    def check_room(self) -> None:
        """:raises Full: there was none a moment ago."""
        if time.monotonic() < self._full:
            raise Full

    async def intend(self, store: str, targets: tuple[str, ...], resources: Collection[Resource], action: str) -> int:
        """Notes what is about to be changed; its number is for `settle` and `abandon`.

        :raises Full: there is no room. :raises GatewayError: it cannot be written. Then nothing may be changed.
        """
        owner = (await self.owners()).me
        intent = Intent(secrets.randbits(62), owner, store, targets, action, tuple(resources))
        try:
            given_up = await self.outbox.run(partial(rows.intend, intent=intent, bound=self._bound))
        except Full:
            self._full = time.monotonic() + FULL_SECONDS
            raise
        except asyncio.CancelledError:
            self.abandon(intent.number)  # it is written all the same
            raise
        metrics.NOTIFICATIONS_DROPPED.labels("full").inc(given_up)
        return intent.number

    async def settle(self, intent: int, resources: Collection[Resource]) -> None:
        """What was changed of it; nothing when `resources` are empty.

        The change is made, so an outbox that fails now is no reason to say that it was not: the intent is safe, and is looked after.
        """
        try:
            if await self.outbox.run(partial(rows.settle, number=intent, resources=resources)):
                self.news()
        except asyncio.CancelledError:
            self.news()  # it is written all the same
            raise
        except GatewayError as error:
            log.error("notifications_late", error=error.message)
            self.abandon(intent)

    def abandon(self, intent: int) -> None:
        """Nobody knows whether the change was made."""
        self.abandoned.add(intent)
        self.news()

    async def add(
        self, store: str, targets: tuple[str, ...], resources: Collection[Resource], action: str, extra: Mapping[str, str] | None = None
    ) -> None:
        """Something was changed that can be done twice: who asked for it is answered after this, and asks again when it fails.

        :raises StoreUnavailable: it cannot be written.
        """
        await self.outbox.run(partial(rows.add, store=store, targets=targets, resources=resources, action=action, extra=extra))
        self.news()

    async def aclose(self) -> None:
        """Closes the outbox; what waits is told after the next start."""
        await self.outbox.aclose()
        if self._owners is not None:
            await asyncio.to_thread(self._owners.close)
