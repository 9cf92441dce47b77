"""Many pieces at once: the mark behind which to go on, the counters, and what stops it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.errors import Forbidden
from gateway.healthcare.operations import Counter
from gateway.transfers import conveyor
from gateway.transfers.conveyor import AT_ONCE, NOTES, Conveyor, Ended
from tests.transfers.given import Told


async def numbers(first: int, last: int) -> AsyncGenerator[tuple[str, int], None]:
    for number in range(first, last + 1):
        yield f"{number:04}", number


async def good(number: int) -> Ended:
    return Ended(1)


def counting(total: int) -> object:
    async def count() -> int:
        return total

    return count


async def run(told: Told, last: int, work: object = good, first: int = 1) -> tuple[Counter, Conveyor]:
    made = Conveyor(told)
    counter = await made.run(numbers(first, last), work, counting(last))  # type: ignore[arg-type]  # called only
    return counter, made


async def test_everything_is_done_once_and_some_of_it_at_once() -> None:
    seen: list[int] = []
    now = most = 0

    async def work(number: int) -> Ended:
        nonlocal now, most
        now += 1
        most = max(now, most)
        await asyncio.sleep(0)
        now -= 1
        seen.append(number)
        return Ended(2, [("x", "bad")] if number % 10 == 0 else [])

    counter, made = await run(Told(), 50, work)
    assert sorted(seen) == list(range(1, 51)) and most == AT_ONCE
    assert counter == Counter(success=100, failure=5) and made.after == "0050"


async def test_the_mark_is_before_what_is_not_done() -> None:
    let = asyncio.Event()
    told = Told()

    async def work(number: int) -> Ended:
        await asyncio.sleep(0)
        if number == 5:
            await let.wait()
        if number == 20:
            assert made.after == "0004" and made.counter.success >= 12 and made.counter.success + made.counter.pending == 30
            let.set()
        return Ended(1)

    made = Conveyor(told)
    await made.run(numbers(1, 30), work, counting(30))  # type: ignore[arg-type]  # called only
    assert made.after == "0030"


async def test_what_was_kept_is_where_the_next_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conveyor, "EVERY", 0)
    first = Told()

    async def work(number: int) -> Ended:
        if number == 7:
            while '"0006"' not in first.reached:
                await asyncio.sleep(0.001)
            raise Forbidden("no more")
        if number > 7:
            await asyncio.Event().wait()
        return Ended(1, [(f"\udcff{number}", "bad")] if number == 3 else [])

    with pytest.raises(Forbidden):
        await run(first, 20, work)
    second = Told(first.reached)
    made = Conveyor(second)
    assert made.after == "0006" and made.counter == Counter(success=6, failure=1)
    counter = await made.run(numbers(7, 20), good, counting(20))  # type: ignore[arg-type]  # called only
    assert counter == Counter(success=20, failure=1) and made.notes == [("\udcff3", "bad")]


async def test_of_many_failures_the_first_are_noted_in_their_order() -> None:
    async def work(number: int) -> Ended:
        await asyncio.sleep(0.002 if number % 2 else 0)
        return Ended(0, [(str(number), "bad")])

    counter, made = await run(Told(), 40, work)
    assert counter.failure == 40 and [name for name, _ in made.notes] == [str(number) for number in range(1, NOTES + 1)]


async def test_whoever_tells_to_stop_stops_it_and_what_is_under_way_may_end() -> None:
    class Stop(Exception):
        pass

    begun = asyncio.Event()

    async def work(number: int) -> Ended:
        begun.set()
        while not made.stopping:
            await asyncio.sleep(0)
        return Ended(1)

    class Stopping(Told):
        async def tell(self, counter: Counter, reached: str = "") -> None:
            await begun.wait()
            raise Stop

    told = Stopping()
    made = Conveyor(told)
    with pytest.raises(Stop):
        await made.run(numbers(1, 1000), work, counting(1000))  # type: ignore[arg-type]  # called only
    assert 1 <= told.counter.success <= AT_ONCE and told.counter.success + told.counter.pending == 1000


async def test_what_ends_early_because_it_shall_stop_is_done_again_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conveyor, "EVERY", 0)
    told = Told()

    async def work(number: int) -> Ended:
        if number == 3:
            while '"0002"' not in told.reached:
                await asyncio.sleep(0)
            raise Forbidden("no more")
        while number > 3 and not made.stopping:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)  # so that it is told once more
        return Ended(1)

    async def later() -> AsyncGenerator[tuple[str, int], None]:
        for mark, number in (("0001", 1), ("0002", 2), ("0004", 4), ("0005", 5), ("0006", 3)):
            yield mark, number

    made = Conveyor(told)
    with pytest.raises(Forbidden):
        await made.run(later(), work, counting(5))  # type: ignore[arg-type]  # called only
    assert told.counter == Counter(success=4, pending=1) and made.after == "0002" and Conveyor(told).after == "0002"
    assert Conveyor(told).counter == Counter(success=2)


async def test_what_does_not_end_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conveyor, "GRACE", 0.01)
    ended: list[int] = []

    async def work(number: int) -> Ended:
        if number == 3:
            raise Forbidden("no more")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)
        return Ended()

    with pytest.raises(Forbidden):
        await run(Told(), 100, work)
    assert sorted(ended) == [1, 2, 4, 5, 6, 7, 8][: len(ended)] and len(ended) >= 2


async def test_a_line_or_a_count_that_breaks_ends_it() -> None:
    async def breaking() -> AsyncGenerator[tuple[str, int], None]:
        yield "1", 1
        raise Forbidden("no list")

    async def broken() -> int:
        raise Forbidden("no count")

    with pytest.raises(Forbidden, match="no list"):
        await Conveyor(Told()).run(breaking(), good, counting(9))  # type: ignore[arg-type]  # called only

    async def slow(number: int) -> Ended:
        await asyncio.Event().wait()
        return Ended()

    with pytest.raises(Forbidden, match="no count"):
        await Conveyor(Told()).run(numbers(1, 9), slow, broken)
