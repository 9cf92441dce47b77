"""One call for all who ask the same at the same time: who leaves takes nobody with him."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.backends.cached.coalescing import Flight, Flights
from gateway.errors import OriginFailed, StoreUnavailable


class Calls:
    """A call that answers when it is told to."""

    def __init__(self) -> None:
        self.begun = self.cancelled = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, flight: Flight[int]) -> None:
        self.begun += 1
        number = self.begun
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        flight.answer(number)


@pytest.fixture
async def calls() -> Calls:
    return Calls()


@pytest.fixture
async def flights() -> AsyncIterator[Flights[int]]:
    made: Flights[int] = Flights()
    yield made
    await made.aclose()
    assert not made._open and not len(made)


async def ask(flights: Flights[int], calls: Calls, key: object = "key", *, anew: bool = False) -> int:
    flight, _ = flights.join(key, calls, anew=anew)
    try:
        return await flight.result()
    finally:
        flight.leave()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_the_same_get_one_answer(flights: Flights[int], calls: Calls) -> None:
    asking = [asyncio.create_task(ask(flights, calls)) for _ in range(500)]
    await settle()
    calls.go.set()
    assert await asyncio.gather(*asking) == [1] * 500
    assert await ask(flights, calls) == 2  # what is over is over


async def test_other_questions_have_calls_of_their_own(flights: Flights[int], calls: Calls) -> None:
    calls.go.set()
    assert sorted(await asyncio.gather(*[ask(flights, calls, key) for key in range(5)])) == [1, 2, 3, 4, 5]


async def test_the_first_who_leaves_takes_nobody_with_him(flights: Flights[int], calls: Calls) -> None:
    asking = [asyncio.create_task(ask(flights, calls)) for _ in range(3)]
    await settle()
    asking[0].cancel()
    await settle()
    calls.go.set()
    assert await asyncio.gather(*asking[1:]) == [1, 1]
    assert asking[0].cancelled() and calls.cancelled == 0


async def test_when_all_have_left_the_call_is_cancelled_and_nobody_joins_it(flights: Flights[int], calls: Calls) -> None:
    asking = [asyncio.create_task(ask(flights, calls)) for _ in range(3)]
    await settle()
    for one in asking:
        one.cancel()
    await settle()
    assert (calls.begun, calls.cancelled) == (1, 1)
    calls.go.set()
    assert await ask(flights, calls) == 2


async def test_what_has_come_whole_is_finished_for_those_who_ask_later(flights: Flights[int]) -> None:
    done, kept = asyncio.Event(), []

    async def call(flight: Flight[int]) -> None:
        flight.answer(1)
        flight.whole = True
        await done.wait()
        kept.append(1)

    flight, _ = flights.join("key", call)
    assert await flight.result() == 1
    flight.leave()
    await settle()
    done.set()
    await settle()
    assert kept == [1]


async def test_an_error_reaches_all_and_is_remembered_for_nobody(flights: Flights[int], calls: Calls) -> None:
    asking = [asyncio.create_task(ask(flights, calls)) for _ in range(10)]
    await settle()
    calls.error = OriginFailed("it is down")
    calls.go.set()
    assert {str(error) for error in await asyncio.gather(*asking, return_exceptions=True)} == {"it is down"}
    calls.error = None
    assert await ask(flights, calls) == 2


async def test_an_error_that_nobody_waits_for_is_no_news(flights: Flights[int], calls: Calls) -> None:
    calls.error = OriginFailed("it is down")
    calls.go.set()
    flight, _ = flights.join("key", calls)
    await settle()
    flight.leave()


async def test_who_wants_it_anew_joins_nothing_and_others_join_him(flights: Flights[int], calls: Calls) -> None:
    old = asyncio.create_task(ask(flights, calls))
    await settle()
    fresh = asyncio.create_task(ask(flights, calls, anew=True))
    await settle()
    later = asyncio.create_task(ask(flights, calls))
    await settle()
    calls.go.set()
    assert [await old, await fresh, await later] == [1, 2, 2]


async def test_what_is_under_way_when_all_ends_is_an_error(flights: Flights[int], calls: Calls) -> None:
    replaced = asyncio.create_task(ask(flights, calls))
    await settle()
    waiting = asyncio.create_task(ask(flights, calls, anew=True))
    await settle()
    await flights.aclose()
    for one in (replaced, waiting):
        with pytest.raises(StoreUnavailable):
            await one
    assert calls.cancelled == 2
