"""What was answered before may stand in while the origin is down: marked, and not for longer than was allowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.backends.made import dicom
from tests.flows.fronts import FRAME, INSTANCE, JSON, STORED, before_faults, table

QUESTIONS = {
    "search": ("/studies?PatientID=P1", JSON),
    "metadata": (f"{INSTANCE}/metadata", JSON),
    "frames": (f"{INSTANCE}/frames/1", FRAME),
}
STORE: dict[str, Any] = {"origin": {"tries": 1, "breaker_failures": 1000}, "overrides": {"frames": "route"}}
"""Frames come by the origin's own route: those that are cut out of an instance outlive it by up to a minute."""


async def test_old_answers_stand_in_and_say_so(tmp_path: Path) -> None:
    sections = table("cache", ttl=0, content_ttl=0)
    async with before_faults(tmp_path, sections=sections, **STORE) as (front, _, faults):
        assert (await front.store(dicom())).status == 200
        first = {name: await front.get(*question) for name, question in QUESTIONS.items()}
        assert {answer.headers["X-Cache"] for answer in first.values()} == {"miss"}
        faults.status = 503
        for name, question in QUESTIONS.items():
            answer = await front.get(*question)
            assert (answer.status, answer.body) == (200, first[name].body), name
            assert answer.headers["X-Cache"] == "stale"
            assert int(answer.headers["Age"]) >= 0
            assert answer.headers["Warning"].startswith("299 dicomweb-gateway: the store 'default' cannot be asked at the moment")
            # Who wants it from the origin, or nothing else, is told the truth.
            assert (await front.get(*question, Cache_Control="no-cache")).status == 503
        assert (await front.get(INSTANCE, STORED)).status == 503  # whole instances are not kept
        assert (await front.get("/studies?PatientID=P2", JSON)).status == 503  # never asked before
        faults.heal()
        for question in QUESTIONS.values():
            answer = await front.get(*question)
            assert (answer.status, answer.headers["X-Cache"]) == (200, "miss")
            assert "Warning" not in answer.headers
        assert await front.metric("gateway_cache_stale_answers_total") == len(QUESTIONS)


async def test_only_failures_are_stood_in_for(tmp_path: Path) -> None:
    async with before_faults(tmp_path, sections=table("cache", ttl=0, content_ttl=0), **STORE) as (front, fake, faults):
        assert (await front.store(dicom())).status == 200
        for question in QUESTIONS.values():
            assert (await front.get(*question)).status == 200
        fake.instances.clear()  # somebody deleted it behind our back: that is an answer
        assert [(await front.get(*question)).status for question in QUESTIONS.values()] == [204, 404, 404]
        faults.status = 400
        assert [(await front.get(*question)).status for question in QUESTIONS.values()] != [200] * 3


async def test_nothing_stands_in_for_longer_than_allowed_nor_after_a_write(tmp_path: Path) -> None:
    sections = table("cache", ttl=0, content_ttl=0, stale_if_error=1)
    async with before_faults(tmp_path, sections=sections, **STORE) as (front, _, faults):
        assert (await front.store(dicom())).status == 200
        for question in QUESTIONS.values():
            assert (await front.get(*question)).status == 200
        await asyncio.sleep(1.2)
        faults.status = 503
        assert {(await front.get(*question)).status for question in QUESTIONS.values()} == {503}
        faults.heal()
        for question in QUESTIONS.values():
            assert (await front.get(*question)).status == 200
        faults.status = 503
        assert (await front.store(dicom(sop="1.1.1.2"))).status == 503  # whether it arrived is not known
        assert {(await front.get(*question)).status for question in QUESTIONS.values()} == {503}
