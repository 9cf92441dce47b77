"""Short pieces of work in few threads: who is woken, and when."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator
from functools import partial

import pytest

from gateway.backends.local import threads as module
from gateway.backends.local.threads import Threads

PATIENCE = 30.0


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    made = Threads(3, "test")
    yield made
    await asyncio.to_thread(made.close)


@pytest.fixture
def never_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is woken for impatience."""
    monkeypatch.setattr(module, "PATIENCE", PATIENCE)


def fail(error: BaseException) -> None:
    raise error


async def test_what_work_returns_or_raises_comes_back(threads: Threads) -> None:
    assert await threads.run(partial(sum, [1, 2])) == 3
    with pytest.raises(KeyError):
        await threads.run(partial(fail, KeyError("x")))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(partial(fail, StopIteration()))
    assert await threads.run(threading.get_ident) != threading.get_ident()


async def test_a_failure_spares_what_was_done_beside_it(threads: Threads) -> None:
    pieces = [threads.run(partial(fail, ValueError()) if number % 2 else partial(int, number)) for number in range(50)]
    done = await asyncio.gather(*pieces, return_exceptions=True)
    assert done[::2] == list(range(0, 50, 2)) and {type(error) for error in done[1::2]} == {ValueError}


@pytest.mark.usefixtures("never_hurried")
async def test_short_work_stays_in_one_thread_in_the_order_in_which_it_came(threads: Threads) -> None:
    order: list[int] = []

    def work(number: int) -> int:
        order.append(number)
        return threading.get_ident()

    used = await asyncio.gather(*(threads.run(partial(work, number)) for number in range(200)))
    assert order == list(range(200)) and len(set(used)) == 1


async def test_work_does_not_wait_for_what_blocks(threads: Threads) -> None:
    gate = threading.Event()
    slow = threads.run(partial(gate.wait, PATIENCE))
    slower = threads.run(partial(gate.wait, PATIENCE))
    async with asyncio.timeout(PATIENCE / 2):
        assert await threads.run(partial(int, 7)) == 7
    assert not slow.done() and not slower.done()
    gate.set()
    assert await slow and await slower


async def test_there_are_no_more_threads_than_were_said(threads: Threads) -> None:
    gate = threading.Event()
    at_once, most = [0], [0]

    def work() -> None:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        gate.wait(PATIENCE)
        at_once[0] -= 1

    pieces = [threads.run(work) for _ in range(9)]
    async with asyncio.timeout(PATIENCE):
        while at_once[0] < 3:
            await asyncio.sleep(0.001)
    await asyncio.sleep(10 * module.PATIENCE)
    gate.set()
    await asyncio.gather(*pieces)
    assert most == [3]


@pytest.mark.usefixtures("never_hurried")
async def test_work_that_nobody_waits_for_is_not_begun(threads: Threads) -> None:
    gate, begun = threading.Event(), threading.Event()
    first, second = threads.run(partial(gate.wait, PATIENCE)), threads.run(begun.set)
    second.cancel()
    gate.set()
    assert await first and await threads.run(partial(int, 1)) == 1
    assert not begun.is_set()


async def test_work_under_way_ends_though_nobody_waits_for_it_any_more(threads: Threads) -> None:
    gate, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(PATIENCE)
        ended.set()

    future = threads.run(work)
    await asyncio.to_thread(begun.wait, PATIENCE)
    future.cancel()
    gate.set()
    assert await asyncio.to_thread(ended.wait, PATIENCE)
    assert await threads.run(partial(int, 1)) == 1  # and what came of it disturbs nobody


async def test_no_piece_is_lost_between_rest_and_work(threads: Threads) -> None:
    async def client(pause: float) -> int:
        total = 0
        for number in range(300):
            total += await threads.run(partial(int, number))
            await asyncio.sleep(pause)
        return total

    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*(client(pause) for pause in (0, 0, 0, 0.00001, 0.0001))) == [sum(range(300))] * 5


async def test_who_rests_holds_on_to_nothing(threads: Threads) -> None:
    class Large:
        def work(self) -> Large:
            return self

    large = Large()
    seen = weakref.ref(large)
    assert await threads.run(large.work) is large
    await threads.run(partial(int, 1))
    del large
    gc.collect()
    assert seen() is None


async def test_closing_waits_for_what_was_asked_for() -> None:
    threads, done = Threads(2, "test"), list[int]()

    def work(number: int) -> None:
        time.sleep(0.001)
        done.append(number)

    pieces = [threads.run(partial(work, number)) for number in range(20)]
    closing = asyncio.create_task(asyncio.to_thread(threads.close))
    async with asyncio.timeout(PATIENCE):  # impatience wakes others meanwhile
        await closing
    assert sorted(done) == list(range(20)) and not [one for one in threading.enumerate() if one.name.startswith("test-")]
    await asyncio.gather(*pieces)


async def test_closing_what_never_worked_is_nothing() -> None:
    await asyncio.to_thread(Threads(2, "test").close)


def test_a_loop_that_is_gone_is_no_failure() -> None:
    threads, gate, ended = Threads(1, "test"), threading.Event(), threading.Event()

    def work() -> None:
        gate.wait(PATIENCE)
        ended.set()

    async def leave() -> None:
        threads.run(work)

    asyncio.run(leave())
    gate.set()
    threads.close()
    assert ended.is_set()
