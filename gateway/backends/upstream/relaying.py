"""Requests of the Cloud Healthcare API passed on to the real one as they are, and its DICOM stores as backends.

1. Nothing is held: a body goes on in the pieces in which it comes, in both directions, and each side waits for the other.
2. Whatever the origin answers is the answer, errors too. That it does not accept the gateway's own credentials is one of the gateway,
   and so is a redirect, which nobody follows.
3. What goes past the stores makes the answers old that are kept of them. A deletion of a study is an operation that ends later, at a
   moment that nobody tells: they are made old again and again for a while, each time after twice as long.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from gateway.backends.base import Backend
from gateway.backends.leases import Leases
from gateway.backends.relays import Relayed
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.sending import Outgoing
from gateway.healthcare.names import StoreName

ANSWERS = frozenset({*range(200, 300), 304, *range(400, 600)}) - {407}
"""Statuses that are passed on."""

AGAIN = tuple(2.0**power for power in range(10))
"""Seconds after a change until it is told once more: 17 minutes in all, more than the deletion of a large study takes."""

FOLLOWED = 256
"""Studies that are followed so; of more the first ones are given up, and their answers age as all do."""


class Relaying:
    """See `gateway.backends.relays.Relay`.

    :param client: at the root of the origin; closed with this. :param stores: its DICOM stores; likewise, before it.
    :param changed: makes old what is kept of a study, or of everything.
    :param idle: seconds that the origin may take nothing of a body, 0 for any time.
    """

    def __init__(self, client: Client, stores: Leases, changed: Callable[[str | None], None], *, idle: float) -> None:
        self._client = client
        self._stores = stores
        self._changed = changed
        self._idle = idle
        self._following: OrderedDict[str, asyncio.Task[None]] = OrderedDict()
        self.root = client.base
        self.own = client.credentials.own
        self._answers = ANSWERS - {401} if self.own else ANSWERS

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None
    ) -> AsyncGenerator[Relayed, None]:
        """See `Relay.ask`."""
        outgoing = None if body is None else Outgoing(body, self._idle)
        try:
            answer = await self._client.ask(method, path, transaction="other", headers=headers, body=outgoing, ok=self._answers)
            async with answer:
                yield Relayed(answer.status, answer.headers, answer.length, answer.chunks())
        finally:
            if outgoing is not None:
                await outgoing.stop()

    def store(self, name: StoreName) -> AbstractAsyncContextManager[Backend]:
        """See `Relay.store`."""
        return self._stores.of(name)

    def changed(self, study: str | None) -> None:
        """See `Relay.changed`."""
        self._changed(study)
        if study is not None:
            self._follow(study)

    def _follow(self, study: str) -> None:
        if (old := self._following.pop(study, None)) is not None:
            old.cancel()
        while len(self._following) >= FOLLOWED:
            self._following.popitem(last=False)[1].cancel()
        self._following[study] = asyncio.create_task(self._again(study))

    async def _again(self, study: str) -> None:
        for seconds in AGAIN:
            await asyncio.sleep(seconds)
            self._changed(study)
        self._following.pop(study, None)

    async def aclose(self) -> None:
        """See `Relay.aclose`."""
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._stores.aclose()
        finally:
            await self._client.aclose()
