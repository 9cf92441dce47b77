from __future__ import annotations

import asyncio

import pytest

from gateway.backends.upstream.places import Places
from gateway.errors import Busy


async def test_places_are_given_up_to_the_bound_and_again() -> None:
    places = Places("pacs", 2, wait=0)
    await places.enter()
    await places.enter()
    with pytest.raises(Busy, match=r"2 requests.*in_flight"):
        await places.enter()
    places.leave()
    await places.enter()


async def test_who_waits_gets_the_next_place_in_order() -> None:
    places, order = Places("pacs", 2, wait=10), []

    async def one(number: int) -> None:
        await places.enter()
        order.append(number)

    await places.enter()
    await places.enter()
    waiting = [asyncio.create_task(one(number)) for number in range(2)]
    await asyncio.sleep(0)
    assert order == []
    places.leave()
    places.leave()
    await asyncio.gather(*waiting)
    assert order == [0, 1]


async def test_the_line_is_no_longer_than_the_places() -> None:
    places = Places("pacs", 1, wait=10)
    await places.enter()
    waiting = asyncio.create_task(places.enter())
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await places.enter()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    places.leave()
    await places.enter()


async def test_waiting_ends() -> None:
    places = Places("pacs", 1, wait=0.01)
    await places.enter()
    with pytest.raises(Busy):
        await places.enter()
    places.leave()
    await places.enter()
