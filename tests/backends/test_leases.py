"""Backends that are open while somebody uses them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.backends.base import Backend
from gateway.backends.leases import Leases
from gateway.backends.memory import MemoryBackend
from gateway.errors import Busy, StoreUnavailable
from gateway.healthcare.names import StoreName, store_name
from tests.backends.registered import D


class Opened(MemoryBackend):
    closed = False

    async def aclose(self) -> None:
        self.closed = True


class Opener:
    def __init__(self) -> None:
        self.made: list[tuple[str, Opened]] = []
        self.fails = False

    async def __call__(self, name: StoreName) -> Backend:
        await asyncio.sleep(0)
        if self.fails:
            raise StoreUnavailable("no")
        self.made.append((name.store, Opened()))
        return self.made[-1][1]


def name(store: str) -> StoreName:
    return store_name(D, store)


async def used(leases: Leases, store: str) -> Backend:
    async with leases.of(name(store)) as backend:
        return backend


async def test_one_is_opened_once_and_the_least_used_makes_room() -> None:
    opener = Opener()
    leases = Leases(opener, 2)
    first, again = await asyncio.gather(used(leases, "a"), used(leases, "a"))
    assert first is again
    await used(leases, "b")
    await used(leases, "a")
    await used(leases, "c")  # b goes
    assert await used(leases, "a") is first
    assert [store for store, _ in opener.made] == ["a", "b", "c"]
    await leases.aclose()
    assert all(one.closed for _, one in opener.made)


async def test_what_is_in_use_is_never_closed() -> None:
    opener = Opener()
    leases = Leases(opener, 2)
    async with AsyncExitStack() as held:
        for store in ("a", "b"):
            await held.enter_async_context(leases.of(name(store)))
        with pytest.raises(Busy):
            await used(leases, "c")
        await used(leases, "a")
    assert not any(one.closed for _, one in opener.made)
    await used(leases, "c")
    await leases.aclose()


async def test_one_that_cannot_be_opened_is_tried_again() -> None:
    opener = Opener()
    leases = Leases(opener, 1)
    opener.fails = True
    with pytest.raises(StoreUnavailable):
        await used(leases, "a")
    opener.fails = False
    await used(leases, "a")
    opener.fails = True
    with pytest.raises(StoreUnavailable):
        await used(leases, "b")
    await leases.aclose()
    assert all(one.closed for _, one in opener.made)


async def test_who_leaves_while_it_opens_takes_nothing_along() -> None:
    opener = Opener()
    leases = Leases(opener, 1)
    asking = asyncio.create_task(used(leases, "a"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await used(leases, "a") is opener.made[0][1] and len(opener.made) == 1
    await leases.aclose()
