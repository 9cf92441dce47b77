"""Pieces between two tasks."""

from __future__ import annotations

import asyncio

import pytest

from gateway.backends.upstream import handing
from gateway.backends.upstream.handing import Handover, Unwanted


async def test_pieces_come_in_order_and_end() -> None:
    handover = Handover([b"a", b"b"])

    async def put() -> None:
        for piece in (b"c", b"d"):
            await handover.put(piece)
            await asyncio.sleep(0)
        handover.end()

    putting = asyncio.create_task(put())
    assert [piece async for piece in handover] == [b"a", b"b", b"c", b"d"]
    await putting


async def test_who_puts_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "AHEAD", 10)
    handover = Handover()
    await handover.put(b"x" * 10)
    waiting = asyncio.create_task(handover.put(b"y"))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await anext(handover) == b"x" * 10
    await waiting
    assert await anext(handover) == b"y"


async def test_who_takes_waits_for_a_piece() -> None:
    handover = Handover()
    taking = asyncio.create_task(anext(handover))
    await asyncio.sleep(0)
    assert not taking.done()
    await handover.put(b"x")
    assert await taking == b"x"


async def test_nothing_is_put_for_a_call_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "AHEAD", 1)
    handover = Handover([b"x"])
    waiting = asyncio.create_task(handover.put(b"y"))
    await asyncio.sleep(0)
    handover.over()
    with pytest.raises(Unwanted):
        await waiting
    with pytest.raises(Unwanted):
        await handover.put(b"z")


async def test_a_cancelled_taker_loses_no_piece() -> None:
    handover = Handover()
    taking = asyncio.create_task(anext(handover))
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    await handover.put(b"x")
    assert await anext(handover) == b"x"
