"""What was stored or deleted through the gateway is in the next answer, whichever worker gives it and whatever it remembered."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.backends.made import dicom
from tests.flows.fronts import JSON, Answer, Front, before_google

STUDIES = 50
ROUNDS = 20
"""Stores of each study, one after the other: a thousand in all."""

SENDERS = 4


def _searches(study: str) -> list[str]:
    return [f"/studies/{study}/instances", f"/studies?StudyInstanceUID={study}"]


def _found(answer: Answer) -> int:
    """Instances that an answer speaks of: each is a result, or a study has counted them."""
    assert answer.status in (200, 204, 404), answer.body
    if answer.status == 404:
        return 0
    results = answer.json
    if results and "00201208" in results[0]:
        return int(results[0]["00201208"]["Value"][0])
    return len(results)


class Sender:
    """Stores instances of one study after the other, and looks at once."""

    def __init__(self, front: Front, number: int) -> None:
        self._front = front
        self._studies = range(number, STUDIES, SENDERS)
        self.stores = 0
        self.hits = 0

    async def run(self) -> None:
        for number in self._studies:
            study = f"1.{number + 1}"
            reading = asyncio.create_task(self._read_on(study))  # so that fetches are under way while a store passes
            for count in range(1, ROUNDS + 1):
                await self._round(study, count)
            await self._gone(study)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _round(self, study: str, count: int) -> None:
        answer = await self._front.store(dicom(study, f"{study}.1", f"{study}.1.{count}"), fresh=True)
        assert answer.status == 200, answer.body
        self.stores += 1
        path = _searches(study)[count % 2]
        asked = await asyncio.gather(*(self._front.get(path, fresh=True) for _ in range(2)))
        assert [_found(one) for one in asked] == [count, count], (study, [dict(one.headers) for one in asked])
        self.hits += sum(one.headers["X-Cache"] == "hit" for one in asked)
        if count % 10 == 0:
            metadata = await self._front.get(f"/studies/{study}/metadata", JSON, fresh=True)
            assert len(metadata.json) == count

    async def _gone(self, study: str) -> None:
        instance = f"/studies/{study}/series/{study}.1/instances/{study}.1.1"
        for path, left in ((instance, ROUNDS - 1), (f"/studies/{study}", 0)):
            assert (await self._front.ask("DELETE", path, fresh=True)).status in (200, 204)
            asked = await asyncio.gather(*(self._front.get(search, fresh=True) for search in _searches(study) * 2))
            assert [_found(one) for one in asked] == [left] * 4
            assert (await self._front.get(f"{path}/metadata", JSON, fresh=True)).status in (404, 410)

    async def _read_on(self, study: str) -> None:
        while True:
            await asyncio.gather(*(self._front.get(path, fresh=True) for path in _searches(study)))
            await asyncio.sleep(0.1)


async def test_a_thousand_stores_are_each_seen_by_the_next_search(tmp_path: Path) -> None:
    async with before_google(tmp_path, workers=2) as (front, fake):
        senders = [Sender(front, number) for number in range(SENDERS)]
        await asyncio.gather(*(sender.run() for sender in senders))
        assert sum(sender.stores for sender in senders) == STUDIES * ROUNDS == fake.counts["POST"]
        assert sum(sender.hits for sender in senders) > 0
        assert not fake.instances
