"""A client that leaves takes its call at the origin with it, and nothing that somebody else waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.backends.made import dicom
from tests.flows.fronts import FRAME, INSTANCE, JSON, STORED, Front, before_faults, until
from tests.origins.faults import Faults
from tests.web.gate import MULTIPART

SIZE = 4 << 20
LARGE = dicom(Rows=2048, Columns=1024, PixelData=bytes(SIZE))

QUESTIONS = {
    "search": ("/studies", JSON),
    "metadata": ("/studies/1.1/metadata", JSON),
    "frames": (f"{INSTANCE}/frames/1", FRAME),
    "instance": (INSTANCE, STORED),
}


async def _leave(*asking: asyncio.Task[object]) -> None:
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def _is_quiet(front: Front) -> bool:
    samples = await front.metrics()
    running = {key: value for key, value in samples.items() if key.startswith(("gateway_in_flight", "gateway_origin_in_flight"))}
    return sum(running.values()) == 1  # this very request


def _left(faults: Faults, count: int) -> bool:
    return faults.left == count


async def _calls(faults: Faults, count: int) -> None:
    await until(lambda: faults.requests >= count)


@pytest.mark.parametrize("cache", [True, False])
async def test_who_leaves_before_an_answer_cancels_the_call(tmp_path: Path, cache: bool) -> None:
    async with before_faults(tmp_path, cache=cache) as (front, _, faults):
        assert (await front.store(LARGE)).status == 200
        faults.latency = 60
        for number, question in enumerate(QUESTIONS.values(), 1):
            before = faults.requests
            asking = asyncio.create_task(front.get(*question))
            await _calls(faults, before + 1)
            await _leave(asking)
            await until(partial(_left, faults, number))
        await until(lambda: _is_quiet(front))


async def test_who_leaves_in_the_middle_of_a_body_cancels_the_rest(tmp_path: Path) -> None:
    async with before_faults(tmp_path) as (front, _, faults):
        assert (await front.store(LARGE)).status == 200
        faults.rate = SIZE // 20
        async with aiohttp.ClientSession() as session:
            response = await session.get(front.gateway.url + INSTANCE, headers={"Accept": STORED})
            assert len(await response.content.readexactly(1000)) == 1000
            response.close()
        await until(lambda: faults.left == 1)
        await until(lambda: _is_quiet(front))
        faults.heal()
        assert (await front.get(INSTANCE, STORED)).body == LARGE


async def test_who_leaves_takes_nobody_along(tmp_path: Path) -> None:
    async with before_faults(tmp_path) as (front, _, faults):
        assert (await front.store(LARGE)).status == 200
        for name in ("search", "metadata", "frames"):
            faults.latency = 1
            before, left = faults.requests, faults.left
            first, *others = [asyncio.create_task(front.get(*QUESTIONS[name], fresh=True)) for _ in range(5)]
            await _calls(faults, before + 1)
            await until(partial(_are_in_flight, front, name, 5))
            await _leave(first)
            answers = await asyncio.gather(*others)
            assert [answer.status for answer in answers] == [200] * 4
            assert (faults.requests, faults.left) == (before + 1, left), name
            faults.heal()
        await until(lambda: _is_quiet(front))


async def _are_in_flight(front: Front, transaction: str, count: int) -> bool:
    return await front.metric("gateway_in_flight_requests", f'transaction="{transaction}"') >= count


async def test_a_sender_who_leaves_leaves_nothing_at_the_origin(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield b"--here\r\nContent-Type: application/dicom\r\n\r\n" + LARGE[: SIZE // 2]
        begun.set()
        await asyncio.sleep(60)

    async with before_faults(tmp_path) as (front, fake, faults):
        async with aiohttp.ClientSession() as session:
            before = faults.requests
            sending = asyncio.create_task(session.post(f"{front.gateway.url}/studies", data=half(), headers={"Content-Type": MULTIPART}))
            await begun.wait()
            await _calls(faults, before + 1)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        await until(lambda: _is_quiet(front))
        assert not fake.instances
        assert (await front.get("/studies", JSON)).status == 204
        assert (await front.store(LARGE)).status == 200
