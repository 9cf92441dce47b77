"""Projects of a test's own, their stores in memory or on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.backends.base import Backend
from gateway.backends.catalog import Catalog
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.operations.operating import Operating
from gateway.backends.projects import Projects
from gateway.healthcare.names import DatasetName, dataset_name, location_name, operation_name, store_name
from gateway.healthcare.operations import Operation
from tests.backends.made import dicom, store

D = dataset_name(location_name("p", "l"), "d")
S = store_name(D, "s")


async def on_disk(folder: Path) -> Backend:
    return await asyncio.to_thread(LocalStore, folder)


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    creating: bool = True,
    configured: Backend | None = None,
    make: Callable[[Path], Backend] | None = None,
    notified: Callable[[Backend, str, Mapping[str, Any]], Backend] = lambda backend, name, fields: backend,
) -> AsyncIterator[Projects]:
    async def made(folder: Path) -> Backend:
        return make(folder) if make is not None else await on_disk(folder)

    catalog = Catalog({"default": configured or MemoryBackend()})
    projects = Projects(catalog, folder / "registry", made, creating=creating, notified=notified)
    try:
        yield projects
    finally:
        await projects.aclose()


async def ended(operating: Operating, operation: Operation, dataset: DatasetName = D) -> Operation:
    name = operation_name(dataset, operation.name.rpartition("/")[2])
    async with asyncio.timeout(20):
        while (found := await operating.operation(name)).ended is None:
            await asyncio.sleep(0.01)
    return found


async def filled(projects: Projects) -> Backend:
    await projects.create_dataset(D, {"timeZone": "UTC"}, "CreateDataset")
    await projects.create_store(S, {})
    backend = await projects.backend(S)
    await store(backend, dicom())
    return backend


@asynccontextmanager
async def operated(folder: Path, make: Callable[[Path], Backend] | None = None) -> AsyncIterator[tuple[Projects, Operating]]:
    async with opened(folder, make=make) as projects:
        operating = Operating(projects)
        await operating.begin()
        try:
            yield projects, operating
        finally:
            await operating.aclose()
