from __future__ import annotations

import asyncio

import pytest

from gateway.backends.upstream.tokens import PAUSE, Token, Tokens
from gateway.errors import OriginFailed


class Source:
    """Gives tokens 1, 2, 3 ..., and the time."""

    def __init__(self, seconds: float = 1000) -> None:
        self.seconds = seconds
        self.now = 500.0
        self.asked = 0
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.tokens = Tokens(self.fetch, "pacs", lambda: self.now)

    async def fetch(self) -> Token:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if self.fails:
            raise OriginFailed("the endpoint is down")
        return Token(str(number), self.seconds)

    async def settled(self) -> None:
        """Whatever runs in the background has ended."""
        for _ in range(5):
            await asyncio.sleep(0)


async def test_callers_at_once_share_one_fetch() -> None:
    source = Source()
    source.gate.clear()
    waiting = [asyncio.create_task(source.tokens.get()) for _ in range(50)]
    await asyncio.sleep(0)
    source.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"1"}
    assert source.asked == 1


async def test_a_token_is_used_as_long_as_it_is_young() -> None:
    source = Source()
    await source.tokens.get()
    source.now += 799
    assert await source.tokens.get() == "1"
    await source.settled()
    assert source.asked == 1


async def test_an_old_token_is_renewed_while_it_is_still_used() -> None:
    source = Source()
    await source.tokens.get()
    source.gate.clear()
    source.now += 801
    assert [await source.tokens.get() for _ in range(3)] == ["1", "1", "1"]
    source.gate.set()
    await source.settled()
    assert await source.tokens.get() == "2"
    assert source.asked == 2


async def test_a_token_that_has_ended_is_waited_for() -> None:
    source = Source()
    await source.tokens.get()
    source.now += 995
    assert await source.tokens.get() == "2"


async def test_an_endpoint_that_is_down_costs_nothing_while_the_token_lasts() -> None:
    source = Source()
    await source.tokens.get()
    source.fails = True
    source.now += 801
    for _ in range(10):
        assert await source.tokens.get() == "1"
        await source.settled()
    assert source.asked == 2
    source.now += PAUSE
    assert await source.tokens.get() == "1"
    await source.settled()
    assert source.asked == 3
    source.fails = False
    source.now += PAUSE
    await source.tokens.get()
    await source.settled()
    assert await source.tokens.get() == "4"


async def test_without_a_token_callers_hear_why_and_the_endpoint_is_left_in_peace() -> None:
    source = Source()
    source.fails = True
    for _ in range(10):
        with pytest.raises(OriginFailed, match="endpoint is down"):
            await source.tokens.get()
        await source.settled()
    assert source.asked == 1
    source.fails = False
    source.now += PAUSE
    assert await source.tokens.get() == "2"


async def test_a_caller_who_leaves_takes_nobodys_token_away() -> None:
    source = Source()
    source.gate.clear()
    first, second = asyncio.create_task(source.tokens.get()), asyncio.create_task(source.tokens.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await second == "1"
    assert first.cancelled()


async def test_a_refused_token_is_replaced_but_not_for_every_call() -> None:
    source = Source()
    await source.tokens.get()
    assert await source.tokens.refused()
    assert await source.tokens.get() == "2"
    assert not await source.tokens.refused()
    source.now += PAUSE
    assert await source.tokens.refused()
    assert source.asked == 3


async def test_many_refusals_at_once_make_one_fetch() -> None:
    source = Source()
    await source.tokens.get()
    source.gate.clear()
    waiting = [asyncio.create_task(source.tokens.refused()) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()
    assert all(await asyncio.gather(*waiting))
    assert source.asked == 2


async def test_a_token_that_hardly_lasts_is_used_all_the_same() -> None:
    source = Source(seconds=5)
    await source.tokens.get()
    source.now += 3
    assert await source.tokens.get() == "1"


async def test_closing_ends_a_fetch() -> None:
    source = Source()
    source.gate.clear()
    waiting = asyncio.create_task(source.tokens.get())
    await asyncio.sleep(0)
    await source.tokens.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_token_is_in_no_representation() -> None:
    assert "secret" not in repr(Token("secret", 1))
