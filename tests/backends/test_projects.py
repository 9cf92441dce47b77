"""Datasets and stores that callers make: the same for all workers, and what runs long on them ends truthfully."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.backends.base import Backend
from gateway.backends.catalog import Catalog
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.projects import CONFIGURED, Projects
from gateway.backends.registry.datasets import Page
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Conflict, Forbidden, NotFound
from gateway.healthcare.names import DatasetName, StoreName, dataset_name, location_name, operation_name, store_name
from gateway.healthcare.operations import Operation
from tests.backends.made import dicom, store

D = dataset_name(location_name("p", "l"), "d")
S = store_name(D, "s")


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


async def on_disk(folder: Path) -> Backend:
    return await asyncio.to_thread(LocalStore, folder)


@asynccontextmanager
async def opened(
    folder: Path, *, creating: bool = True, configured: Backend | None = None, make: Callable[[Path], Backend] | None = None
) -> AsyncIterator[Projects]:
    async def made(folder: Path) -> Backend:
        return make(folder) if make is not None else await on_disk(folder)

    projects = Projects(Catalog({"default": configured or MemoryBackend()}), folder / "registry", made, creating=creating)
    await projects.begin()
    try:
        yield projects
    finally:
        await projects.aclose()


async def ended(projects: Projects, operation: Operation, dataset: DatasetName = D) -> Operation:
    name = operation_name(dataset, operation.name.rpartition("/")[2])
    async with asyncio.timeout(20):
        while (found := await projects.operation(name)).ended is None:
            await asyncio.sleep(0.01)
    return found


async def filled(projects: Projects) -> Backend:
    await projects.create_dataset(D, {"timeZone": "UTC"}, "CreateDataset")
    await projects.create_store(S, {})
    backend = await projects.backend(S)
    await store(backend, dicom())
    return backend


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
            projects.change_store(default, {}),
            projects.create_store(StoreName(CONFIGURED, "x"), {}),
            projects.delete_dataset(CONFIGURED),
            projects.change_dataset(CONFIGURED, {}),
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


async def test_a_study_is_deleted_by_an_operation(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        backend = await filled(projects)
        done = await ended(projects, await projects.delete(S, Resource("1.1"), "DeleteStudy"))
        assert (done.error, done.counter.success, done.method) == (None, 1, "DeleteStudy")
        assert (await backend.search(Query("study"))).results == ()
        failed = await ended(projects, await projects.delete(S, Resource("9.9"), "DeleteStudy"))
        assert failed.error is not None and failed.error["code"] == 5 and failed.counter.failure == 1
        assert len(await projects.operations(D, Page())) == 3


async def test_while_it_runs_its_study_takes_nothing(tmp_path: Path) -> None:
    slow = Slow()
    async with opened(tmp_path, make=lambda _: slow) as projects:
        await filled(projects)
        running = await projects.delete(S, Resource("1.1"), "DeleteStudy")
        await slow.begun.wait()
        assert await projects.deleting(S) == {"1.1"} and running.ended is None
        assert await projects.deleting(StoreName(CONFIGURED, "default")) == frozenset()
        slow.let.set()
        await ended(projects, running)
        assert await projects.deleting(S) == frozenset()


async def test_what_a_gateway_that_went_had_begun_is_done_by_the_next(tmp_path: Path) -> None:
    slow = Slow()
    async with opened(tmp_path, make=lambda _: slow) as projects:
        await filled(projects)
        running = await projects.delete(S, Resource("1.1"), "DeleteStudy")
        await slow.begun.wait()
    again = MemoryBackend()
    await store(again, dicom())
    async with opened(tmp_path, make=lambda _: again) as projects:
        done = await ended(projects, running)
        assert done.error is None and (await again.search(Query("study"))).results == ()


async def test_deleting_from_a_store_that_is_not_there_begins_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await projects.create_dataset(D, {}, "")
        with pytest.raises(NotFound):
            await projects.delete(S, Resource("1.1"), "DeleteStudy")
        assert len(await projects.operations(D, Page())) == 1
