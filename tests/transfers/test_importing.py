"""Imports as operations: what is stored, what is refused and how that is told, and who goes on after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.backends.base import StoreResult, Upload
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.healthcare.operations import Counter
from gateway.transfers.importing import importing, told
from gateway.transfers.places import TURNS
from gateway.transfers.storing import GROUP
from tests.backends.made import content, dicom, store
from tests.backends.registered import S
from tests.transfers.given import finished, import_of, operated, pattern, places, reached, stopped, write


def uid(number: int) -> str:
    return f"1.1.1.{number}"


def fill(folder: Path, count: int) -> dict[str, bytes]:
    files = {f"{number:04}.dcm": dicom(sop=uid(number), InstanceNumber=str(number)) for number in range(1, count + 1)}
    for name, data in files.items():
        write(folder, name, data)
    return files


async def test_files_are_stored_as_they_are(tmp_path: Path) -> None:
    source = tmp_path / "in"
    files = fill(source / "a" / "b", 5)
    write(source, "a/report.txt", b"not wanted")
    async with operated(tmp_path, places(source)) as there:
        done = await there.run(import_of(f"file://{source}/**.dcm"))
        assert (done.error, done.counter, done.response_type) == (None, Counter(success=5), "google.protobuf.Empty")
        assert await content(there.backend, "1.1", "1.1.1", uid(3)) == files["0003.dcm"]


async def test_bad_files_cost_only_themselves_and_are_named(tmp_path: Path) -> None:
    source = tmp_path / "in"
    fill(source, 2 * GROUP)
    write(source, "0000.dcm", b"no DICOM at all" * 100)
    write(source, "0001x.dcm", b"")
    write(source, "zz\x1b.dcm", dicom(sop="9.9")[:-20])
    async with operated(tmp_path, places(source)) as there:
        done = await there.run(import_of(f"file://{source}/*"))
        assert done.counter == Counter(success=2 * GROUP, failure=3) and await there.instances() == 2 * GROUP
        assert done.error is not None and done.error["code"] == 3
        message = done.error["message"]
        assert message.startswith("3 files failed: ") and all(f"{name}.dcm: " in message for name in ("0000", "0001x", "zz\\x1b"))


def test_of_many_failures_the_first_are_named() -> None:
    notes = [(f"name{number}", "bad") for number in range(10)]
    status = told(1000, notes, "file")
    assert status is not None and status["message"].endswith("name9: bad; and 990 more")
    assert told(0, [], "file") is None
    assert (told(1, [("\udcff", "bad")], "file") or {})["message"] == "1 file failed: \\udcff: bad"


async def test_what_is_there_already_stays_and_counts_as_done(tmp_path: Path) -> None:
    source = tmp_path / "in"
    fill(source, 1)
    write(source, "again.dcm", dicom(sop=uid(1), InstanceNumber="1"))
    other = dicom(sop=uid(2), PatientName="Other^One")
    write(source, "other.dcm", dicom(sop=uid(2)))
    async with operated(tmp_path, places(source)) as there:
        await store(there.backend, other)
        done = await there.run(import_of(f"file://{source}/**"))
        assert (done.error, done.counter) == (None, Counter(success=3))
        assert await content(there.backend, "1.1", "1.1.1", uid(2)) == other


async def test_a_storage_class_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "in"
    fill(source, 1)
    async with operated(tmp_path, places(source)) as there:
        await there.run(importing(S, pattern(f"file://{source}/*"), "NEARLINE"))
        assert (await there.projects.class_of(S, Resource("1.1", "1.1.1", uid(1)))).storage_class == "NEARLINE"


@pytest.mark.parametrize("anew", [False, True])
async def test_a_store_that_is_deleted_ends_the_import_also_where_another_one_gets_its_name(tmp_path: Path, anew: bool) -> None:
    class Leaving(MemoryBackend):
        begun, left = asyncio.Event(), asyncio.Event()

        async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
            self.begun.set()
            await self.left.wait()
            raise RuntimeError("what it works with is closed")

        async def aclose(self) -> None:
            self.left.set()

    source = tmp_path / "in"
    fill(source, 10 * GROUP)
    made: list[MemoryBackend] = [Leaving()]
    async with operated(tmp_path, places(source), lambda _: made[-1]) as there:
        running = await there.operating.run(import_of(f"file://{source}/*"), "Transfer")
        await Leaving.begun.wait()
        made.append(MemoryBackend())
        await there.projects.delete_store(S)
        if anew:
            await there.projects.create_store(S, {})
        done = await finished(there, running)
        assert done.error == {"code": 5, "message": "the DICOM store was deleted meanwhile"} and done.counter.failure
        await there.operating.aclose()
        assert (await made[-1].search(Query("instance"))).results == ()


async def test_a_study_that_is_being_deleted_takes_nothing(tmp_path: Path) -> None:
    class Slow(MemoryBackend):
        begun, let = asyncio.Event(), asyncio.Event()

        async def delete(self, resource: Resource) -> int:
            self.begun.set()
            await self.let.wait()
            return await super().delete(resource)

    slow, source = Slow(), tmp_path / "in"
    fill(source, 2)
    write(source, "b.dcm", dicom(study="2.1"))
    async with operated(tmp_path, places(source), lambda _: slow) as there:
        await store(slow, dicom(sop="5.5"))
        await there.operating.delete(S, Resource("1.1"), "DeleteStudy")
        await slow.begun.wait()
        done = await there.run(import_of(f"file://{source}/**"))
        slow.let.set()
        assert done.counter == Counter(success=1, failure=2)
        assert done.error is not None and "the study is being deleted" in done.error["message"]


async def test_only_some_are_at_work_and_others_wait_for_their_turn(tmp_path: Path) -> None:
    source = tmp_path / "in"
    fill(source, 2)
    where = places(source)
    async with operated(tmp_path, where) as there:
        for _ in range(TURNS):
            await where.turns.acquire()
        begun = await there.operating.run(import_of(f"file://{source}/*"), "ImportDicomData")
        ignored = await there.operating.run(import_of(f"file://{source}/*"), "ImportDicomData")
        assert (await stopped(there, ignored)).counter == Counter()  # who waits can be stopped
        assert await there.instances() == 0
        where.turns.release()
        assert (await finished(there, begun)).counter == Counter(success=2)


class Waiting(MemoryBackend):
    """Stores groups up to an instance, and waits at others."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self._last = last
        self.waits = asyncio.Event()
        self.groups: list[int] = []

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        first = await anext(uploads)
        if int(first.instance.sop.rpartition(".")[2]) > self._last:
            self.waits.set()
            await asyncio.Event().wait()

        async def again() -> AsyncIterator[Upload]:
            yield first
            async for one in uploads:
                yield one

        result = await super().store(again())
        self.groups.append(len(result.stored))
        return result


async def test_it_can_be_stopped_and_says_what_is_done(tmp_path: Path) -> None:
    source, waiting = tmp_path / "in", Waiting(2 * GROUP)
    fill(source, 3 * GROUP)
    async with operated(tmp_path, places(source), lambda _: waiting) as there:
        begun = await there.operating.run(import_of(f"file://{source}/*"), "ImportDicomData")
        await waiting.waits.wait()
        while len(waiting.groups) < 2:
            await asyncio.sleep(0.01)
        done = await stopped(there, begun)
        assert done.error is not None and done.error["code"] == 1
        assert done.counter == Counter(success=2 * GROUP, pending=GROUP) and await there.instances() == 2 * GROUP


async def test_the_next_process_goes_on_behind_the_last_file_that_is_done(tmp_path: Path) -> None:
    source, first = tmp_path / "in", Waiting(2 * GROUP)
    fill(source, 4 * GROUP)
    async with operated(tmp_path, places(source), lambda _: first) as there:
        begun = await there.operating.run(import_of(f"file://{source}/*"), "ImportDicomData")
        await first.waits.wait()
        while (await reached(there))[1] != 2 * GROUP:
            await asyncio.sleep(0.01)
    second = Waiting(10 * GROUP)
    async with operated(tmp_path, places(source), lambda _: second) as there:
        done = await finished(there, begun)
        assert (done.error, done.counter) == (None, Counter(success=4 * GROUP))
        assert second.groups == [GROUP, GROUP]


async def test_a_gateway_that_ends_in_the_middle_of_a_group_leaves_none_of_it_out(tmp_path: Path) -> None:
    source, read, stored = tmp_path / "in", asyncio.Event(), list[int]()
    fill(source, GROUP)

    class Reading(MemoryBackend):
        async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
            async def slowly() -> AsyncIterator[Upload]:
                async for one in uploads:
                    yield one
                    read.set()
                    await asyncio.sleep(0.02)

            result = await super().store(slowly())
            stored.append(len(result.stored))
            return result

    async with operated(tmp_path, places(source), lambda _: Reading()) as there:
        begun = await there.operating.run(import_of(f"file://{source}/*"), "ImportDicomData")
        await read.wait()
    assert len(stored) == 1 and 0 < stored[0] < GROUP
    async with operated(tmp_path, places(source), lambda _: MemoryBackend()) as there:
        done = await finished(there, begun)
        assert (done.error, done.counter) == (None, Counter(success=GROUP)) and await there.instances() == GROUP


@pytest.mark.parametrize(
    ("uri", "code", "said"),
    [
        ("file:///nowhere/x", 7, "healthcare.folders"),
        ("gs://bucket/x", 7, "healthcare.buckets"),
        ("file://{source}/none/**", 5, "there is no folder"),
        ("file://{source}/none.dcm", 5, "there is no"),
    ],
)
async def test_what_cannot_be_reached_ends_it_with_the_reason(tmp_path: Path, uri: str, code: int, said: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    async with operated(tmp_path, places(source)) as there:
        done = await there.run(import_of(uri.format(source=source)))
        assert done.error is not None and done.error["code"] == code and said in done.error["message"]
