"""An answer that is still arriving: everybody reads all of it, and what is not kept waits for the slowest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.backends.base import Piece
from gateway.backends.cached.growing import WINDOW, Growing
from gateway.errors import OriginFailed

PIECES = [bytes([number]) * 1000 for number in range(50)]
WHOLE = b"".join(PIECES)


async def collected(pieces: AsyncGenerator[Piece, None]) -> bytes:
    found = [piece async for piece in pieces]
    assert all(isinstance(piece, bytes) for piece in found)
    return b"".join(piece for piece in found if isinstance(piece, bytes))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def feed(growing: Growing, pieces: list[bytes] = PIECES) -> None:
    for piece in pieces:
        await growing.add(piece)
        await asyncio.sleep(0)
    growing.end()


@pytest.mark.parametrize("passing", [False, True])
async def test_each_reader_gets_all_of_it(passing: bool) -> None:
    growing = Growing(lambda: 5)
    growing.passing = passing
    reading = [asyncio.create_task(collected(growing.read(0, None))) for _ in range(5)]
    await feed(growing)
    assert await asyncio.gather(*reading) == [WHOLE] * 5
    assert growing.received == len(WHOLE)


async def test_who_comes_when_it_is_whole_reads_it_too() -> None:
    growing = Growing(lambda: 0)
    await feed(growing)
    assert await collected(growing.read(0, None)) == WHOLE


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (999, 1001), (1000, 2000), (1500, 48_500), (49_999, 50_000), (0, 50_000)])
async def test_a_range_of_it(start: int, stop: int) -> None:
    growing = Growing(lambda: 1)
    reading = asyncio.create_task(collected(growing.read(start, stop)))
    await feed(growing)
    assert await reading == WHOLE[start:stop]


async def test_what_is_kept_waits_for_nobody() -> None:
    growing = Growing(lambda: 3)
    large = [bytes(WINDOW)] * 3
    await asyncio.wait_for(feed(growing, large), 10)
    assert len(growing.pieces) == 3


async def test_what_only_passes_waits_for_the_slowest_and_is_let_go() -> None:
    growing = Growing(lambda: 2)
    growing.passing = True
    large = [bytes([number]) * (WINDOW // 2 + 1) for number in range(6)]
    feeding = asyncio.create_task(feed(growing, large))
    fast = asyncio.create_task(collected(growing.read(0, None)))
    slow = growing.read(0, None)
    assert await anext(slow) == large[0]
    for number in range(1, 6):
        await settle()
        assert growing._held <= WINDOW + len(large[0])
        assert growing.received <= (number + 2) * len(large[0])
        assert await anext(slow) == large[number]
    with pytest.raises(StopAsyncIteration):
        await anext(slow)
    await feeding
    assert await fast == b"".join(large)


async def test_a_reader_who_leaves_holds_nothing_up() -> None:
    expected = 2
    growing = Growing(lambda: expected)
    growing.passing = True
    large = [bytes(WINDOW + 1)] * 4
    feeding = asyncio.create_task(feed(growing, large))
    stays = asyncio.create_task(collected(growing.read(0, None)))
    leaves = growing.read(0, None)
    await anext(leaves)
    await settle()
    assert growing.received < 4 * len(large[0])
    await leaves.aclose()
    expected = 1
    growing.wake()
    assert await stays == b"".join(large)
    await feeding


async def test_nobody_misses_the_beginning() -> None:
    growing = Growing(lambda: 2)
    growing.passing = True
    large = [bytes([number]) * (WINDOW + 1) for number in range(3)]
    feeding = asyncio.create_task(feed(growing, large))
    early = asyncio.create_task(collected(growing.read(0, None)))
    await settle()
    assert growing.received == len(large[0])  # the second one has not begun to read
    late = asyncio.create_task(collected(growing.read(0, None)))
    assert {await early, await late} == {b"".join(large)}
    await feeding


async def test_a_failure_reaches_every_reader_behind_the_last_byte() -> None:
    growing = Growing(lambda: 2)
    readers = [growing.read(0, None) for _ in range(2)]
    await growing.add(b"one")
    assert [await anext(reader) for reader in readers] == [b"one", b"one"]
    growing.fail(OriginFailed("it broke off"))
    for reader in readers:
        with pytest.raises(OriginFailed, match="it broke off"):
            await anext(reader)
