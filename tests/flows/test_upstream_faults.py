"""A fault proxy before the origin of a real gateway under load: few calls more, clear errors, nothing kept of what failed, and
nothing left behind: no descriptor, no request in flight, no file."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.backends.made import dicom
from tests.flows.fronts import FRAME, INSTANCE, JSON, STORED, Answer, Front, before_faults, descriptors, until
from tests.origins.faults import Faults
from tests.origins.google import Google

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIZE = 1 << 20
LARGE = dicom(Rows=1024, Columns=512, PixelData=bytes(range(256)) * (SIZE // 256), PatientName="Canary^Zelda")
IMPATIENT = {"tries": 2, "connect_timeout": 1, "first_byte_timeout": 1, "idle_timeout": 1, "breaker_failures": 100_000}
CLIENTS = 16

QUESTIONS = {
    "search": ("/studies", JSON),
    "series": ("/studies/1.1/series", JSON),
    "metadata": ("/studies/1.1/metadata", JSON),
    "frames": (f"{INSTANCE}/frames/1", FRAME),
    "instance": (INSTANCE, STORED),
    "study": ("/studies/1.1", 'multipart/related; type="application/dicom"; transfer-syntax=*'),
}


@pytest.mark.parametrize("status", [429, 503])
async def test_a_storm_of_refusals_is_not_fed(tmp_path: Path, status: int) -> None:
    """Clients press on for some seconds while the origin refuses everything: it gets at most a fifth more than they ask."""
    patient = {"breaker_failures": 100_000}  # the breaker would make it too easy
    async with before_faults(tmp_path, workers=2, cache=False, origin=patient) as (front, _, faults):
        assert (await front.store(dicom())).status == 200
        faults.status = status
        before, asked = faults.requests, Counter[int]()
        deadline = asyncio.get_running_loop().time() + 6

        async def press(number: int) -> None:
            while asyncio.get_running_loop().time() < deadline:
                answer = await front.get(f"/studies?PatientID={number}", JSON, fresh=True)
                asked[answer.status] += 1
                assert int(answer.headers["Retry-After"]) >= 1
                await asyncio.sleep(0.02)

        await asyncio.gather(*(press(number) for number in range(CLIENTS)))
        assert set(asked) == {503} and asked[503] > 100
        assert faults.requests - before <= 1.2 * asked[503]
        faults.heal()
        assert (await front.get("/studies", JSON)).status == 200


async def _ask(front: Front, question: str, **more: Any) -> Answer | None:
    """None when the answer broke off."""
    try:
        return await front.get(*QUESTIONS[question], **more)
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
        return None


async def _quiet(front: Front) -> bool:
    samples = await front.metrics()
    return sum(value for key, value in samples.items() if key.startswith(("gateway_in_flight", "gateway_origin_in_flight"))) == 1


FAULTS: dict[str, dict[str, Any]] = {
    "hangs": {"black_hole": True},
    "hangs in the middle": {"hang_after": 600},
    "resets at once": {"reset_after": 0},
    "resets in the middle": {"reset_after": 600},
    "ends in the middle": {"end_after": 600},
    "claims more": {"length": 10 * SIZE},
    "claims less": {"length": 100},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_fails_is_an_error_and_nothing_of_it_stays(tmp_path: Path, fault: str) -> None:
    async with before_faults(tmp_path, origin=IMPATIENT, overrides={"frames": "route"}) as (front, fake, faults):
        good = await _filled(front)
        await until(lambda: _quiet(front))
        base = descriptors(front.gateway)
        files = _files(tmp_path)
        for _ in range(3):
            faults.__dict__.update(FAULTS[fault])
            answers = await asyncio.gather(*(_ask(front, name, Cache_Control="no-cache", fresh=True) for name in [*QUESTIONS] * 4))
            for answer in answers:
                if answer is not None:
                    assert answer.status in (502, 504), answer
                    assert "default" in answer.json["detail"] or "origin" in answer.json["detail"]
                    assert b"Zelda" not in answer.body
            stored = await front.store(dicom("1.9", "1.9.1", "1.9.1.1"))
            assert stored.status in (200, 202, 409, 502, 504), stored
            await _healed(front, fake, faults, good)
        await until(lambda: _quiet(front))
        await until(lambda: _no_more(descriptors(front.gateway), base))
        assert _files(tmp_path) <= files
        assert "Zelda" not in front.gateway.log.read_text()


async def _filled(front: Front) -> dict[str, Answer]:
    assert (await front.store(LARGE)).status == 200
    return {name: await front.get(*question) for name, question in QUESTIONS.items()}


async def _healed(front: Front, fake: Google, faults: Faults, good: dict[str, Answer]) -> None:
    """Everything is as before: what failed was kept for nobody."""
    faults.heal()
    fake.instances.pop("1.9.1.1", None)
    for name, question in QUESTIONS.items():
        if name in ("search", "series"):
            answer = await front.get(*question, Cache_Control="no-cache")
            assert answer.json == good[name].json
        else:
            answer = await front.get(*question)
            assert answer.status == 200 and len(answer.body) >= len(good[name].body) - 100, name
            if name != "study":  # whose boundary may be another one
                assert answer.body == good[name].body, name


def _no_more(now: Counter[str], base: Counter[str]) -> bool:
    """Connections to the origin may rest in the pool; everything else is as it was."""
    return now["socket"] <= base["socket"] + 8 and not {kind: n for kind, n in (now - base).items() if kind not in ("socket", "anon_inode")}


def _files(folder: Path) -> set[str]:
    """What lies below the data folder, apart from what the cache keeps on purpose and SQLite's own."""
    return {str(path) for path in (folder / "data").rglob("*") if path.is_file() and "/cache/" not in str(path)}


async def test_an_origin_that_is_slow_is_waited_for_while_bytes_come(tmp_path: Path) -> None:
    async with before_faults(tmp_path, origin=IMPATIENT, cache=False) as (front, _, faults):
        assert (await front.store(LARGE)).status == 200
        faults.rate = SIZE // 4
        read = await front.get(INSTANCE, STORED)
        assert (read.status, read.body) == (200, LARGE)


async def test_a_broken_body_is_kept_by_nobody_and_seen_by_all_who_wait(tmp_path: Path) -> None:
    """Many wait for the same frame and its metadata while the origin breaks off: each hears of it, the next one gets it whole."""
    async with before_faults(tmp_path, workers=2, origin=IMPATIENT, overrides={"frames": "route"}) as (front, _, faults):
        assert (await front.store(LARGE)).status == 200
        for name in ("frames", "metadata"):
            faults.reset_after, faults.latency = 700, 0.5
            answers = await asyncio.gather(*(_ask(front, name, fresh=True) for _ in range(40)))
            assert {answer.status for answer in answers if answer is not None} <= {502}
            faults.heal()
            whole = await front.get(*QUESTIONS[name])
            assert whole.status == 200
            assert name != "frames" or whole.body == bytes(range(256)) * (SIZE // 256)
            assert whole.headers["X-Cache"] == "miss"
