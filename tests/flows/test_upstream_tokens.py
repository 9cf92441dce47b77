"""Callers whose own tokens go on to the origin: each sees what the origin lets that token see, never a byte of another's.

Two senders with different rights, and some without any, ask the same URLs at the same time, over the same cache, while studies
of both are written. Everything that belongs to one of them has its name in it, pixels included.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backends.made import dicom
from tests.flows.fronts import FRAME, JSON, STORED, XML, Answer, Front, before_google
from tests.origins.google import Rights

TASKS = 16
PASS_THROUGH = {"kind": "pass_through"}


@dataclass
class Owner:
    """The bearer of a token. :param mark: in every text and every pixel of what only it may see."""

    mark: str
    number: int
    etags: list[str] = field(default_factory=list)

    @property
    def study(self) -> str:
        return f"1.{self.number}"

    @property
    def token(self) -> str:
        return f"token-of-{self.mark}"

    def file(self, instance: int) -> bytes:
        text = {"PatientName": self.mark, "PatientID": self.mark, "StudyDescription": self.mark, "AccessionNumber": self.mark}
        pixels = (self.mark.encode() * 8)[:32]
        return dicom(self.study, f"{self.study}.1", f"{self.study}.1.{instance}", PixelData=pixels, **text)


ALPHA, BRAVO = OWNERS = Owner("ALPHA", 7001), Owner("BRAVO", 7002)
SHARED = Owner("SHARED", 7003)
INSTANCES = 3


def _other(owner: Owner) -> Owner:
    return BRAVO if owner is ALPHA else ALPHA


class Traffic:
    """Questions of all kinds, in an order that only the seed knows."""

    def __init__(self, front: Front, count: int) -> None:
        self._front = front
        self._chance = random.Random(11)
        self._numbers = iter(range(count))
        self._written = itertools.count(INSTANCES + 1)
        self.asked: Counter[str] = Counter()
        self.caches: Counter[str] = Counter()

    async def run(self) -> None:
        for _ in self._numbers:
            owner = self._chance.choice(OWNERS)
            kind = self._chance.choices(list(KINDS), weights=[weight for weight, _ in KINDS.values()])[0]
            self.asked[kind] += 1
            await KINDS[kind][1](self, owner)

    async def _get(self, owner: Owner, path: str, accept: str, **headers: str) -> Answer:
        if self._chance.random() < 0.02:
            headers["Cache_Control"] = "no-cache"
        answer = await self._front.get(path, accept, fresh=self._chance.random() < 0.1, Authorization=f"Bearer {owner.token}", **headers)
        everything = answer.body + str(answer.headers).encode()
        assert _other(owner).mark.encode() not in everything, (path, answer)
        assert _other(owner).study.encode() + b"." not in everything.replace(path.encode(), b""), (path, answer)
        self.caches[answer.headers.get("X-Cache", "none")] += 1
        return answer

    # -- what only its owner gets

    async def search(self, owner: Owner) -> None:
        answer = await self._get(owner, "/studies?includefield=StudyDescription", JSON)
        assert answer.status == 200
        assert sorted(answer.values("0020000D")) == sorted([owner.study, SHARED.study])

    async def metadata(self, owner: Owner) -> None:
        answer = await self._get(owner, f"/studies/{owner.study}/metadata", self._chance.choice([JSON, XML]))
        assert answer.status == 200 and answer.body.count(owner.mark.encode()) >= INSTANCES * 3

    async def frames(self, owner: Owner) -> None:
        answer = await self._get(owner, f"{_instance(owner.study, self._number())}/frames/1", FRAME)
        assert (answer.status, answer.body) == (200, owner.file(1)[-32:])
        owner.etags.append(answer.headers["ETag"])

    async def instance(self, owner: Owner) -> None:
        number = self._number()
        answer = await self._get(owner, _instance(owner.study, number), STORED)
        assert (answer.status, answer.body) == (200, owner.file(number))

    # -- what it does not get

    async def of_the_other(self, owner: Owner) -> None:
        theirs = _instance(_other(owner).study, self._number())
        way, accept = self._chance.choice([("/metadata", JSON), ("/frames/1", FRAME), ("", STORED), ("/bulkdata/7FE00010", "*/*")])
        answer = await self._get(owner, theirs + way, accept)
        assert answer.status in (403, 404), (theirs + way, answer)

    async def search_of_the_other(self, owner: Owner) -> None:
        theirs = _other(owner)
        path = self._chance.choice(
            [f"/studies?PatientID={theirs.mark}", f"/studies/{theirs.study}/instances", f"/series?StudyInstanceUID={theirs.study}"]
        )
        answer = await self._front.get(path, JSON, Authorization=f"Bearer {owner.token}")
        assert (answer.status, answer.body) == (204, b"") or answer.status == 404, (path, answer)

    async def with_the_others_validator(self, owner: Owner) -> None:
        """An entity tag that somebody else got tells nothing of what this one may see."""
        if etags := _other(owner).etags:
            answer = await self._get(owner, f"{_instance(_other(owner).study, 1)}/frames/1", FRAME, If_None_Match=etags[-1])
            assert answer.status in (403, 404)

    async def stranger(self, owner: Owner) -> None:
        """Whom the origin does not know gets nothing, whatever is kept for others."""
        headers = self._chance.choice([{}, {"Authorization": "Bearer stranger"}, {"Authorization": f"Basic {owner.token}="}])
        path = self._chance.choice(
            ["/studies?includefield=StudyDescription", f"/studies/{owner.study}/metadata", f"{_instance(owner.study, 1)}/frames/1"]
        )
        answer = await self._front.get(path, "*/*", **headers)
        assert answer.status == 401, (path, answer)
        assert not any(one.mark.encode() in answer.body for one in (*OWNERS, SHARED))

    # -- meanwhile

    async def store(self, owner: Owner) -> None:
        """Into the study that both see: what is kept of it is worth nothing any more."""
        number = next(self._written)
        answer = await self._front.store(SHARED.file(number), Authorization=f"Bearer {owner.token}")
        assert answer.status == 200, answer.body
        found = await self._get(owner, f"/studies/{SHARED.study}/instances?SOPInstanceUID={SHARED.study}.1.{number}", JSON)
        assert len(found.json) == 1

    def _number(self) -> int:
        return self._chance.randint(1, INSTANCES)


KINDS: dict[str, tuple[int, Callable[[Traffic, Owner], Awaitable[None]]]] = {
    "search": (30, Traffic.search),
    "metadata": (20, Traffic.metadata),
    "frames": (20, Traffic.frames),
    "instance": (4, Traffic.instance),
    "of the other": (8, Traffic.of_the_other),
    "search of the other": (8, Traffic.search_of_the_other),
    "with the other's validator": (4, Traffic.with_the_others_validator),
    "stranger": (5, Traffic.stranger),
    "store": (1, Traffic.store),
}


def _instance(study: str, number: int) -> str:
    return f"/studies/{study}/series/{study}.1/instances/{study}.1.{number}"


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_no_caller_sees_a_byte_of_anothers(tmp_path: Path, count: int) -> None:
    tokens = {owner.token: Rights([owner.study, SHARED.study]) for owner in OWNERS}
    async with before_google(tmp_path, workers=2, tokens=tokens, credentials=PASS_THROUGH) as (front, fake):
        for owner in OWNERS:
            for one in (owner, SHARED):
                files = [one.file(number) for number in range(1, INSTANCES + 1)]
                assert (await front.store(*files, Authorization=f"Bearer {owner.token}")).status == 200
        traffic = Traffic(front, count)
        await asyncio.gather(*(traffic.run() for _ in range(TASKS)))
        assert set(traffic.asked) == set(KINDS)
        assert traffic.caches["hit"] > count / 10  # what is kept was in play
        assert len(fake.calls) < 2 * count
        log = front.gateway.log.read_text() + (await front.get("/metrics", root=True)).body.decode()
    assert not [owner.mark for owner in (*OWNERS, SHARED) if owner.mark in log]
    assert "token-of" not in log
