"""Datasets and stores that callers make: the same for all workers, and gone when they are deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backends.memory import MemoryBackend
from gateway.backends.notifying import rows
from gateway.backends.notifying.notifications import Notifications
from gateway.backends.notifying.notified import Notified
from gateway.backends.projects import CONFIGURED
from gateway.backends.registry.classes import DEFAULT
from gateway.backends.registry.datasets import Page
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Conflict, Forbidden, NotFound
from gateway.healthcare.names import StoreName
from tests.backends.made import dicom, store
from tests.backends.registered import D, S, filled, opened


async def test_a_store_is_made_used_and_found_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        done = await projects.create_dataset(D, {"timeZone": "UTC"}, "CreateDataset")
        assert done.ended is not None and done.response == {"name": str(D), "timeZone": "UTC"}
        with pytest.raises(Conflict):
            await projects.create_dataset(D, {}, "CreateDataset")
        await projects.create_store(S, {"labels": {"a": "b"}})
        await store(await projects.backend(S), dicom())
    async with opened(tmp_path) as projects:
        assert (await projects.store(S)).fields == {"labels": {"a": "b"}}
        assert len((await (await projects.backend(S)).search(Query("study"))).results) == 1


async def test_other_workers_see_what_is_made_and_deleted_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        with pytest.raises(NotFound):
            await other.backend(S)
        await filled(one)
        assert len((await (await other.backend(S)).search(Query("study"))).results) == 1
        await one.delete_store(S)
        with pytest.raises(NotFound):
            await other.backend(S)
        await one.create_store(S, {})
        assert (await (await other.backend(S)).search(Query("study"))).results == ()


async def test_a_dataset_takes_its_stores_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await filled(projects)
        await projects.delete_dataset(D)
        for call in (projects.backend(S), projects.store(S), projects.dataset(D), projects.stores(D, Page())):
            with pytest.raises(NotFound):
                await call
        assert list((tmp_path / "registry" / "stores").iterdir()) == []


async def test_the_stores_of_the_settings_are_a_dataset_that_nobody_changes(tmp_path: Path) -> None:
    configured = MemoryBackend()
    async with opened(tmp_path, configured=configured) as projects:
        default = StoreName(CONFIGURED, "default")
        assert await projects.backend(default) is configured
        assert [one.name for one in await projects.stores(CONFIGURED, Page())] == [str(default)]
        assert [one.name for one in await projects.datasets(CONFIGURED.parent, Page())] == [str(CONFIGURED)]
        assert (await projects.dataset(CONFIGURED)).name == str(CONFIGURED)
        for call in (
            projects.delete_store(default),
            projects.change_store(default, lambda _: {}),
            projects.create_store(StoreName(CONFIGURED, "x"), {}),
            projects.delete_dataset(CONFIGURED),
            projects.change_dataset(CONFIGURED, lambda _: {}),
            projects.create_dataset(CONFIGURED, {}, ""),
        ):
            with pytest.raises(Forbidden):
                await call
        with pytest.raises(NotFound):
            await projects.backend(StoreName(CONFIGURED, "other"))


async def test_a_gateway_may_let_nobody_make_anything(tmp_path: Path) -> None:
    async with opened(tmp_path, creating=False) as projects:
        with pytest.raises(Forbidden, match=r"healthcare\.create"):
            await projects.create_dataset(D, {}, "")


async def test_what_nobody_asked_for_makes_no_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await projects.backend(StoreName(CONFIGURED, "default"))
        assert list(tmp_path.iterdir()) == []


async def test_a_store_that_is_made_anew_has_none_of_the_old_one_s_classes(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await filled(projects)
        await projects.set_class(S, [Resource("1.1")], "ARCHIVE")
        resource = Resource("1.1", "1.1.1", "1.1.1.1")
        assert (await projects.class_of(S, resource)).storage_class == "ARCHIVE"
        await projects.delete_store(S)
        await projects.create_store(S, {})
        assert await projects.class_of(S, resource) == DEFAULT
        assert (await projects.registry()).file.all("SELECT * FROM storage_class") == []


async def test_what_another_worker_deleted_is_closed_here_too(tmp_path: Path) -> None:
    class Closing(MemoryBackend):
        closed = 0

        async def aclose(self) -> None:
            Closing.closed += 1

    async with opened(tmp_path) as one, opened(tmp_path, make=lambda _: Closing()) as other:
        await filled(one)
        await other.create_store(StoreName(D, "kept"), {})
        await other.backend(S)
        await other.backend(StoreName(D, "kept"))
        await one.delete_store(S)
        await other.tidy()
        assert Closing.closed == 1
        await other.backend(StoreName(D, "kept"))


async def test_what_lies_there_of_a_store_that_is_gone_is_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await filled(projects)
        registry = await projects.registry()
        left = registry.stores / registry.datasets.delete_store(S)  # and the process was killed before it removed the folder
        await projects.create_store(S, {})
        await projects.backend(S)
    async with opened(tmp_path) as projects:
        assert left.exists()
        await projects.tidy()
        assert [one.name for one in left.parent.iterdir()] == [await projects.place(S)]


async def test_those_who_are_told_of_a_store_stand_in_its_fields(tmp_path: Path) -> None:
    """As they are now, in each worker."""
    topic = {"notificationConfig": {"pubsubTopic": "projects/p/topics/dicom"}}
    made = Notifications(tmp_path / "outbox")
    async with opened(tmp_path, notified=made.made) as projects, opened(tmp_path, notified=made.made) as other:
        await filled(projects)
        assert not isinstance(await projects.backend(S), Notified)
        await projects.tell(S, [Resource("1.1")], "SetBlobSettings")  # nobody hears of it
        await other.change_store(S, lambda _: topic)
        backend = await projects.backend(S)
        assert isinstance(backend, Notified)
        await store(backend, dicom(sop="1.1.1.2"))
        await projects.tell(S, [Resource("1.1")], "SetBlobSettings", {"storageClass": "ARCHIVE"})
        await other.change_store(S, lambda _: {})
        await store(await projects.backend(S), dicom(sop="1.1.1.3"))
        told = [one.message for one in await made.journal.outbox.read(rows.letters)]
    assert [(one.store, one.action, one.resource.path.rpartition("/")[2]) for one in told] == [
        (str(S), "StoreInstances", "1.1.1.2"),
        (str(S), "SetBlobSettings", "1.1"),
    ]
    await made.aclose()
