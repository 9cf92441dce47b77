"""Jobs ahead of the socket: in order, bounded, and ended with those who wanted them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest

from gateway.backends.pictured.pipeline import Job, Pipeline
from tests.backends.cached.behind import settle


class Jobs:
    """:ivar begun: jobs in the order in which they began. :ivar left: those that were ended."""

    def __init__(self, count: int) -> None:
        self.gates = [asyncio.Event() for _ in range(count)]
        self.begun: list[int] = []
        self.left: list[int] = []
        self.error: dict[int, Exception] = {}

    def all(self) -> Iterator[Job[int]]:
        for number in range(len(self.gates)):
            yield partial(self._one, number)

    async def _one(self, number: int) -> int:
        self.begun.append(number)
        try:
            await self.gates[number].wait()
        except asyncio.CancelledError:
            self.left.append(number)
            raise
        if number in self.error:
            raise self.error[number]
        return number


async def test_results_come_in_order_whatever_is_ready_first() -> None:
    jobs = Jobs(5)
    pipeline = Pipeline(jobs.all(), 3)
    for gate in reversed(jobs.gates):
        gate.set()
    assert [await pipeline.next() for _ in range(6)] == [0, 1, 2, 3, 4, None]
    assert await pipeline.next() is None


async def test_no_more_is_begun_than_the_depth() -> None:
    jobs = Jobs(6)
    pipeline = Pipeline(jobs.all(), 2)
    taken = asyncio.create_task(pipeline.next())
    await settle()
    assert jobs.begun == [0, 1]
    jobs.gates[1].set()  # ready, and not taken: it holds its place
    await settle()
    assert jobs.begun == [0, 1]
    jobs.gates[0].set()
    assert await taken == 0
    await settle()
    assert jobs.begun == [0, 1, 2]
    pipeline.cancel()


async def test_an_error_comes_in_its_turn_and_ends_the_rest() -> None:
    jobs = Jobs(6)
    pipeline = Pipeline(jobs.all(), 3)
    jobs.error = {1: ValueError("one"), 2: ValueError("another")}
    for number in (0, 1, 2):
        jobs.gates[number].set()
    assert await pipeline.next() == 0
    await settle()
    with pytest.raises(ValueError, match="one"):
        await pipeline.next()
    await settle()
    assert jobs.begun == [0, 1, 2, 3] and jobs.left == [3]
    assert await pipeline.next() is None


@pytest.mark.parametrize("times", [1, 2])
async def test_who_leaves_ends_what_is_under_way(times: int) -> None:
    jobs = Jobs(6)
    pipeline = Pipeline(jobs.all(), 3)
    jobs.gates[0].set()
    assert await pipeline.next() == 0
    await settle()
    for _ in range(times):
        pipeline.cancel()
    await settle()
    assert jobs.begun == [0, 1, 2, 3] and sorted(jobs.left) == [1, 2, 3]
    assert await pipeline.next() is None


async def test_a_reader_that_is_cancelled_ends_the_jobs() -> None:
    jobs = Jobs(3)
    pipeline = Pipeline(jobs.all(), 3)
    reader = asyncio.create_task(pipeline.next())
    await settle()
    reader.cancel()
    await asyncio.wait([reader])
    await settle()
    assert sorted(jobs.left) == [0, 1, 2]
