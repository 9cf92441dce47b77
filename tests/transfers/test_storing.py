"""Groups of files into a store: what is refused, who waits for memory, and what stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from gateway.backends.base import StoreResult, Upload
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.reasons import Reason
from gateway.errors import Busy, NotFound
from gateway.streams import Budget, IntakeLimits
from gateway.transfers.storing import Source, Storing
from tests.backends.made import content, dicom, store


def source(name: str, data: bytes, *, fails: Exception | None = None, piece: int = 200) -> Source:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(data), piece):
            yield data[start : start + piece]
        if fails is not None:
            raise fails

    return Source(name, chunks)


def given(**options: object) -> Storing:
    return Storing(IntakeLimits(), Budget(1 << 20), **options)  # type: ignore[arg-type]  # of each test


GOOD = [dicom(sop=f"1.1.1.{number}") for number in range(4)]


async def test_each_file_is_judged_by_itself_and_counted_by_its_place() -> None:
    backend = MemoryBackend()
    await store(backend, dicom(sop="1.1.1.3", PatientName="Other"))
    group = [
        source("good", GOOD[0]),
        source("none", b"no instance" * 50),
        source("gone", b"", fails=NotFound("there is no such file")),
        source("half", GOOD[1][:-40], fails=OSError(5, "Input/output error")),
        source("good too", GOOD[2]),
        source("other version", GOOD[3]),
    ]
    outcome = await given().store(backend, group)
    assert [one.instance.sop for one in outcome.stored] == ["1.1.1.0", "1.1.1.2"]
    assert [one.number for one in outcome.refused] == [1, 2, 3, 5]
    details = {one.number: one.detail for one in outcome.refused}
    assert details[2] == "cannot be read: there is no such file" and details[3] == "cannot be read: Input/output error"
    assert outcome.refused[-1].reason is Reason.PROCESSING_FAILURE and outcome.refused[-1].instance is not None
    assert await content(backend, "1.1", "1.1.1", "1.1.1.0") == GOOD[0]


async def test_a_study_that_takes_nothing_is_told_as_no_version_of_what_is_there() -> None:
    backend = MemoryBackend()
    outcome = await given(closed=frozenset({"1.1"})).store(backend, [source("x", GOOD[0]), source("y", dicom("2.1"))])
    assert len(outcome.stored) == 1
    assert [(one.number, one.instance) for one in outcome.refused] == [(0, None)] and "being deleted" in outcome.refused[0].detail


async def test_a_group_waits_for_memory_that_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    budget = Budget(1000)
    budget.take(1000)

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            budget.give(1000)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    outcome = await Storing(IntakeLimits(), budget).store(MemoryBackend(), [source("x", GOOD[0])])
    assert len(outcome.stored) == 1 and waited.count(1) == 3
    budget.take(1000)
    with pytest.raises(Busy):
        await Storing(IntakeLimits(), budget).store(MemoryBackend(), [source("x", GOOD[0])])


async def test_who_stops_keeps_what_is_whole_and_reads_no_further() -> None:
    stop = asyncio.Event()
    read: list[str] = []

    def logged(name: str, data: bytes) -> Source:
        async def chunks() -> AsyncGenerator[bytes, None]:
            for start in range(0, len(data), 1000):
                read.append(name)
                if name == "large" and len(read) > 40:
                    stop.set()
                yield data[start : start + 1000]

        return Source(name, chunks)

    backend = MemoryBackend()
    large = dicom(sop="9.9", PixelData=bytes(200_000))
    group = [logged("first", GOOD[0]), logged("large", large), logged("last", GOOD[1])]
    outcome = await given(stopping=stop.is_set).store(backend, group)
    assert [one.instance.sop for one in outcome.stored] == ["1.1.1.0"] and outcome.refused == []
    assert "last" not in read and len(read) < 45


async def test_the_error_of_a_store_is_passed_on() -> None:
    class Full(MemoryBackend):
        async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
            async for _ in uploads:
                raise NotFound("the store is gone")
            return StoreResult()

    with pytest.raises(NotFound):
        await given().store(Full(), [source("x", GOOD[0])])
