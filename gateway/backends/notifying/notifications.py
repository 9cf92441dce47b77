"""Notifications of one worker: who is told of which store, and the outbox behind it. It opens nothing before it has to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.backends.base import Backend
from gateway.backends.notifying.delivering import Deliverer, Pace
from gateway.backends.notifying.events import Target, kind_of, topics_of
from gateway.backends.notifying.journal import Journal
from gateway.backends.notifying.notified import Notified
from gateway.backends.notifying.pubsub import Topic
from gateway.backends.notifying.sending import Receiver
from gateway.backends.notifying.webhooks import Hook, Webhook
from gateway.backends.upstream.credentials import Credentials, Nobody

WAITING = 1_000_000
"""Messages that may wait unless it is told otherwise: some 350 MiB of disk."""

SECONDS = 30.0
"""For a call, unless it is told otherwise."""

PUBSUB = "https://pubsub.googleapis.com"


class Notifications:
    """:param folder: of the outbox; made when something is first written.
    :param webhooks: those that the settings name, by their keys (`events.webhook_key`).
    :param credentials: for Pub/Sub; closed with this. :param pubsub: its URL.
    :param waiting: messages that may wait. :param seconds: for a call.
    """

    def __init__(
        self,
        folder: Path,
        *,
        webhooks: Mapping[str, Webhook] | None = None,
        credentials: Credentials | None = None,
        pubsub: str = PUBSUB,
        waiting: int = WAITING,
        seconds: float = SECONDS,
        pace: Pace | None = None,
    ) -> None:
        self.journal = Journal(folder, waiting, self._nudge)
        self._webhooks = dict(webhooks or {})
        self._credentials = credentials or Nobody()
        self._pubsub = pubsub
        self._seconds = seconds
        self._pace = pace or Pace()
        self._find: Callable[[str], Awaitable[Backend]] | None = None
        self._deliverer: Deliverer | None = None
        self._running: asyncio.Task[None] | None = None

    def around(self, backend: Backend, name: str, targets: tuple[Target, ...]) -> Backend:
        """A store with those who are told of it; the store itself when nobody is.

        :param name: resource name of the store.
        """
        return Notified(backend, name, targets, self.journal) if targets else backend

    def made(self, backend: Backend, name: str, fields: Mapping[str, Any]) -> Backend:
        """The same for a store that a caller made.

        :param fields: of its resource.
        """
        return self.around(backend, name, topics_of(fields))

    async def begin(self, find: Callable[[str], Awaitable[Backend]]) -> None:
        """From now on messages are sent: those that are left from before, and new ones.

        :param find: the store of a resource name, for what was cut off.
        """
        self._find = find
        if self.journal.outbox.begun or await asyncio.to_thread(lambda: self.journal.outbox.exists):
            self._nudge()

    def _nudge(self) -> None:
        if self._find is None:  # a command of the command line: whoever serves sends it
            return
        if self._deliverer is None:
            self._deliverer = Deliverer(self.journal, self._find, self._receiver, self._pace)
            self._running = asyncio.create_task(self._deliverer.run())
        self._deliverer.nudge()

    def _receiver(self, key: str) -> Receiver | None:
        if kind_of(key) == "pubsub":
            return Topic(self._pubsub, key, self._credentials, self._seconds)
        webhook = self._webhooks.get(key)
        return None if webhook is None else Hook(webhook, self._seconds)

    async def stop(self) -> None:
        """Sends what can be sent at once, and nothing after that; what is changed from here on waits for the next start."""
        self._find = None
        deliverer, self._deliverer = self._deliverer, None
        running, self._running = self._running, None
        if deliverer is not None and running is not None:
            await deliverer.drain()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await self._credentials.aclose()

    async def aclose(self) -> None:
        """Closes the outbox; for after the stores, which may still write."""
        await self.stop()
        await self.journal.aclose()
