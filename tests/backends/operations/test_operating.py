"""Operations end truthfully, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.backends.memory import MemoryBackend
from gateway.backends.notifying import rows
from gateway.backends.notifying.notifications import Notifications
from gateway.backends.operations.operating import Operating
from gateway.backends.operations.work import Done, Job, Running
from gateway.backends.projects import CONFIGURED
from gateway.backends.registry.datasets import Page
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.healthcare.names import StoreName
from gateway.healthcare.operations import Counter
from tests.backends.made import dicom, store
from tests.backends.registered import D, S, ended, filled, opened, operated


class Slow(MemoryBackend):
    """Deletes when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.begun = asyncio.Event()

    async def delete(self, resource: Resource) -> int:
        self.begun.set()
        await self.let.wait()
        return await super().delete(resource)


async def test_a_study_is_deleted_by_an_operation(tmp_path: Path) -> None:
    async with operated(tmp_path) as (projects, operating):
        backend = await filled(projects)
        done = await ended(operating, await operating.delete(S, Resource("1.1"), "DeleteStudy"))
        assert (done.error, done.counter.success, done.method) == (None, 1, "DeleteStudy")
        assert (await backend.search(Query("study"))).results == ()
        failed = await ended(operating, await operating.delete(S, Resource("9.9"), "DeleteStudy"))
        assert failed.error is not None and failed.error["code"] == 5 and failed.counter.failure == 1
        assert len(await operating.operations(D, Page())) == 3


async def test_while_it_runs_its_study_takes_nothing(tmp_path: Path) -> None:
    slow = Slow()
    async with operated(tmp_path, lambda _: slow) as (projects, operating):
        await filled(projects)
        running = await operating.delete(S, Resource("1.1"), "DeleteStudy")
        await slow.begun.wait()
        assert await operating.deleting(S) == {"1.1"} and running.ended is None
        assert await operating.deleting(StoreName(CONFIGURED, "default")) == frozenset()
        slow.let.set()
        await ended(operating, running)
        assert await operating.deleting(S) == frozenset()


async def test_what_a_gateway_that_went_had_begun_is_done_by_the_next(tmp_path: Path) -> None:
    slow = Slow()
    async with operated(tmp_path, lambda _: slow) as (projects, operating):
        await filled(projects)
        running = await operating.delete(S, Resource("1.1"), "DeleteStudy")
        await slow.begun.wait()
    again = MemoryBackend()
    await store(again, dicom())
    async with operated(tmp_path, lambda _: again) as (_, operating):
        done = await ended(operating, running)
        assert done.error is None and (await again.search(Query("study"))).results == ()


async def test_what_a_gateway_that_was_killed_left_of_a_deleted_store_is_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await filled(projects)
        registry = await projects.registry()
        left = registry.stores / registry.datasets.delete_store(S)
    assert left.exists()
    async with operated(tmp_path):
        assert not left.exists()


async def test_deleting_from_a_store_that_is_not_there_begins_nothing(tmp_path: Path) -> None:
    async with operated(tmp_path) as (projects, operating):
        await projects.create_dataset(D, {}, "")
        with pytest.raises(NotFound):
            await operating.delete(S, Resource("1.1"), "DeleteStudy")
        assert len(await operating.operations(D, Page())) == 1


async def test_a_deleted_study_leaves_no_storage_class_behind(tmp_path: Path) -> None:
    async with operated(tmp_path) as (projects, operating):
        backend = await filled(projects)
        done = await operating.begin_class(S, Resource("1.1"), "COLDLINE", "SetBlobStorageSettings")
        assert done.ended is not None and done.error is None
        resource = Resource("1.1", "1.1.1", "1.1.1.1")
        assert (await projects.class_of(S, resource)).storage_class == "COLDLINE"
        await ended(operating, await operating.delete(S, Resource("1.1"), "DeleteStudy"))
        await store(backend, dicom())
        assert (await projects.class_of(S, resource)).storage_class == "STANDARD"


async def test_others_hear_of_what_an_operation_does_under_its_name(tmp_path: Path) -> None:
    """An import stores like everybody else, and tells only those who want to hear of imports."""

    class Importing:
        stops = False

        async def work(self, running: Running) -> Done:
            await store(await projects.backend(S), dicom(sop="1.1.1.2"))
            return Done(Counter(success=1))

    config = {
        "notificationConfigs": [
            {"pubsubTopic": "projects/p/topics/few"},
            {"pubsubTopic": "projects/p/topics/all", "sendForBulkImport": True},
        ]
    }
    made = Notifications(tmp_path / "outbox")
    async with opened(tmp_path, notified=made.made) as projects:
        operating = Operating(projects, {"import": Importing()})
        await filled(projects)
        await projects.change_store(S, lambda _: config)
        await ended(operating, await operating.run(Job("import", S), "google.cloud.healthcare.v1.dicom.DicomService.ImportDicomData"))
        await operating.begin_class(S, Resource("1.1"), "ARCHIVE", "SetBlobStorageSettings")
        await ended(operating, await operating.delete(S, Resource("1.1"), "google.cloud.healthcare.v1.dicomweb.DicomService.DeleteStudy"))
        told = [one.message for one in await made.journal.outbox.read(rows.letters)]
        await operating.aclose()
    assert [(one.target.rpartition("/")[2], one.action) for one in told] == [
        ("all", "ImportDicomData"),
        *((topic, action) for action in ("SetBlobSettings", "DeleteStudy") for topic in ("few", "all")),
    ]
    assert told[1].extra == {"storageClass": "ARCHIVE", "previousStorageClass": "STANDARD"}
    await made.aclose()
