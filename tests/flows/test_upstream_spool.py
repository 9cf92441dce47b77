"""Store and forward in a real gateway: while the origin is down and while the gateway dies, every acknowledged instance arrives."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.backends.made import dicom
from tests.flows.fronts import JSON, STORED, Front, fronted, until, upstream
from tests.origins.faults import Faults, faulty
from tests.origins.google import Google, google

SENDERS = 4
GONE = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.TimeoutError)
HURRIED = {"tries": 1, "connect_timeout": 1, "first_byte_timeout": 2, "breaker_failures": 100_000}


@asynccontextmanager
async def spool(folder: Path, *, workers: int) -> AsyncIterator[tuple[Front, Google, Faults]]:
    async with google() as fake:
        root, path = fake.url.partition("/v1/")[::2]
        async with faulty(int(root.rpartition(":")[2]), f"/v1/{path}") as proxy:
            settings = upstream(proxy.base, profile="google", delivery="spool", origin=HURRIED)
            async with fronted(folder, settings, workers=workers) as front:
                yield front, fake, proxy.faults


class Modality:
    """Stores instances one after the other until it is told to stop, and remembers what was acknowledged."""

    def __init__(self, front: Front, number: int) -> None:
        self._front = front
        self._number = number
        self.acknowledged: dict[str, bytes] = {}
        self.stopping = False

    async def run(self) -> None:
        for count in itertools.count(1):
            if self.stopping:
                return
            study = f"1.{self._number + 1}.{count // 5 + 1}"
            sop = f"{study}.1.{count}"
            file = dicom(study, f"{study}.1", sop, PatientID=f"P{self._number}")
            try:
                answer = await self._front.store(file)
            except GONE:
                await asyncio.sleep(0.1)
                continue
            assert answer.status == 200, answer.body  # whatever the origin does
            self.acknowledged[sop] = file
            await asyncio.sleep(0.1)


async def _arrived(fake: Google, acknowledged: dict[str, bytes]) -> bool:
    return all(sop in fake.instances and fake.instances[sop].data == file for sop, file in acknowledged.items())


async def _empty(front: Front) -> bool:
    return await front.metric("gateway_spool_waiting_instances") == 0


async def _down(folder: Path, *, seconds: float, kills: int, workers: int) -> None:
    chance = random.Random(5)
    async with spool(folder, workers=workers) as (front, fake, faults):
        crew = [Modality(front, number) for number in range(SENDERS)]
        working = [asyncio.create_task(modality.run()) for modality in crew]
        try:
            await until(lambda: len(fake.instances) >= SENDERS)
            faults.reset_after = 0
            for _ in range(kills + 1):
                await asyncio.sleep(seconds / (kills + 1) * chance.uniform(0.8, 1))
                if kills:
                    await asyncio.to_thread(front.gateway.kill)
                    await asyncio.to_thread(front.gateway.start)
            before = len(fake.instances)
            acknowledged = {sop: file for modality in crew for sop, file in modality.acknowledged.items()}
            assert len(acknowledged) > before  # it was down, and the gateway took them all the same
            await _are_served(front, {sop: file for sop, file in acknowledged.items() if sop not in fake.instances})
            faults.heal()
            if kills:
                await asyncio.sleep(chance.uniform(0.3, 1))
                await asyncio.to_thread(front.gateway.kill)  # in the middle of delivering
                await asyncio.to_thread(front.gateway.start)
        finally:
            for modality in crew:
                modality.stopping = True
            await asyncio.gather(*working)
        acknowledged = {sop: file for modality in crew for sop, file in modality.acknowledged.items()}
        await until(lambda: _arrived(fake, acknowledged), seconds=120)
        await until(lambda: _empty(front), seconds=60)
        assert await front.metric("gateway_spool_dead_instances") == 0
        await _are_served(front, acknowledged)
        assert not [
            path for path in (folder / "data" / "default" / "spool" / "incoming").rglob("*") if path.is_file() and path.name != "alive"
        ]


async def _are_served(front: Front, acknowledged: dict[str, bytes]) -> None:
    """Each is found once and read as it was sent, wherever it is."""
    found = await front.get("/instances?limit=50000", JSON)
    listed = found.values("00080018")
    assert len(listed) == len(set(listed))
    assert set(acknowledged) <= set(listed)
    for sop, file in list(acknowledged.items())[::7]:
        series = sop.rpartition(".")[0]
        read = await front.get(f"/studies/{series.rpartition('.')[0]}/series/{series}/instances/{sop}", STORED)
        assert (read.status, read.body) == (200, file)


async def test_an_origin_that_is_down_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    await _down(tmp_path, seconds=2, kills=0, workers=1)


async def test_kill_9_while_it_is_down_costs_nothing(tmp_path: Path) -> None:
    await _down(tmp_path, seconds=2, kills=1, workers=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("workers", "kills"), [(1, 0), (1, 4), (2, 4)])
async def test_an_origin_that_is_down_for_half_a_minute(tmp_path: Path, workers: int, kills: int) -> None:
    await _down(tmp_path, seconds=30, kills=kills, workers=workers)
