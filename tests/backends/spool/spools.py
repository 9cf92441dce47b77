"""Spools in front of destinations that fail when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from gateway.backends.base import Backend, Body, Failed, Health, Matches, Retrieve, StoreResult, Upload
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.policy import OnDuplicate
from gateway.backends.spool import deliveries
from gateway.backends.spool.deliveries import Letter
from gateway.backends.spool.spooled import Spooled
from gateway.dicomweb.query import Query
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, OriginFailed

PAUSES = (0.01, 0.05)
DOWN = OriginFailed("The origin cannot be reached.")


class Destination:
    """A backend in memory that can be down, refuse, forget or wait.

    :ivar error: raised by every method while it is set. :ivar store_error: likewise by stores alone.
    :ivar refuses: what becomes of an upload instead of being stored, by SOP Instance UID.
    :ivar forgets: stored is said of everything, and nothing is.
    :ivar gate: stores wait for it before they read anything, and again before they answer.
    :ivar requests: the SOP Instance UIDs of each store request.
    """

    def __init__(self, on_duplicate: OnDuplicate = OnDuplicate.REJECT) -> None:
        self.inner = MemoryBackend(on_duplicate=on_duplicate)
        self.error: GatewayError | None = None
        self.store_error: GatewayError | None = None
        self.refuses: dict[str, Reason | GatewayError] = {}
        self.forgets = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.landed = asyncio.Event()
        self.requests: list[list[str]] = []

    def _check(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        self._check()
        self.requests.append([])
        failed: list[Failed] = []

        async def let_in() -> AsyncIterator[Upload]:
            async for upload in uploads:
                sop = upload.instance.sop
                self.requests[-1].append(sop)
                refused = self.refuses.get(sop)
                if isinstance(refused, GatewayError):
                    raise refused
                if refused is not None:
                    failed.append(Failed(upload.part, refused, "not wanted", upload.instance.sop_class, sop))
                    async for _ in upload.body:
                        pass
                else:
                    yield upload

        target = MemoryBackend() if self.forgets else self.inner
        result = await target.store(let_in())
        self.landed.set()
        await self.gate.wait()
        if self.store_error is not None:
            raise self.store_error
        return StoreResult(result.stored, (*result.failed, *failed))

    async def search(self, query: Query) -> Matches:
        self._check()
        return await self.inner.search(query)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        self._check()
        return await self.inner.retrieve(retrieve)

    async def delete(self, resource: Resource) -> int:
        self._check()
        return await self.inner.delete(resource)

    async def check(self) -> Health:
        return Health(ready=self.error is None, detail="" if self.error is None else self.error.message)

    async def aclose(self) -> None:
        await self.inner.aclose()


def spooled(folder: Path, *destinations: Backend, delivers: bool = True, **chosen: Any) -> Spooled:
    """A spool whose own origin is the first destination; the others are `other1` and so on."""
    names = ["default", *(f"other{number}" for number in range(1, len(destinations)))]
    local = LocalStore(folder, on_duplicate=chosen.pop("on_duplicate", OnDuplicate.REJECT), durable=False)
    return Spooled(local, dict(zip(names, destinations, strict=True)), name="default", delivers=delivers, **({"pauses": PAUSES} | chosen))


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float = 30) -> None:
    """Waits for something that happens in the background."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.005)


async def is_empty(spool: Spooled) -> bool:
    return not (await spool._local.read(deliveries.state))[0]


async def settled(spool: Spooled) -> None:
    """Waits until everything has arrived."""
    await until(lambda: is_empty(spool))


async def letters(spool: Spooled, **chosen: Any) -> list[Letter]:
    return await spool._local.read(lambda db: deliveries.letters(db, **chosen))


class Settled:
    """A spool whose stores return when everything has arrived."""

    def __init__(self, inner: Spooled) -> None:
        self.inner = inner

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        result = await self.inner.store(uploads)
        await settled(self.inner)
        return result

    async def search(self, query: Query) -> Matches:
        return await self.inner.search(query)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        return await self.inner.retrieve(retrieve)

    async def delete(self, resource: Resource) -> int:
        return await self.inner.delete(resource)

    async def check(self) -> Health:
        return await self.inner.check()

    async def aclose(self) -> None:
        await self.inner.aclose()
