"""Projects, datasets and DICOM stores by name: those of the settings and those that callers made, and what runs long on them.

1. The stores of the settings are the DICOM stores of one dataset, `CONFIGURED`, which nobody can change by API.
2. A store that was made by API is opened when it is first asked for, in each worker. What was looked up is believed as long as the
   registry stands still, so a store that another worker deleted is gone here with the next request.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gateway.backends.base import Backend
from gateway.backends.catalog import Catalog, close_all
from gateway.backends.notifying.notified import Notified
from gateway.backends.registry.classes import Classes, Kept, StorageClass
from gateway.backends.registry.datasets import Change, Datasets, Page, Registered
from gateway.backends.registry.file import File
from gateway.backends.registry.operations import Operations
from gateway.backends.registry.owners import Owners
from gateway.dicomweb.resources import Resource
from gateway.errors import Forbidden, NotFound
from gateway.healthcare.names import DatasetName, LocationName, StoreName
from gateway.healthcare.operations import Counter, Operation

T = TypeVar("T")

CONFIGURED = DatasetName(LocationName("local", "local"), "default")
"""The dataset of the stores that the settings name."""

DATASET = "google.cloud.healthcare.v1.dataset.Dataset"


class Projects:
    """:param configured: the stores of the settings; closed by whoever opened them.
    :param folder: of the registry, and of the stores that are made.
    :param opened: opens the store of a folder.
    :param creating: whether callers may make and change datasets and stores.
    :param notified: a store that was made by API, with those around it who are told of it, by its name and its fields.
    """

    def __init__(
        self,
        configured: Catalog,
        folder: Path,
        opened: Callable[[Path], Awaitable[Backend]],
        *,
        creating: bool = True,
        notified: Callable[[Backend, str, Mapping[str, Any]], Backend] = lambda backend, name, fields: backend,
    ) -> None:
        self._configured = configured
        self.folder = folder
        self._opened = opened
        self._creating = creating
        self._notified = notified
        self._registry: Registry | None = None
        self._opening = asyncio.Lock()
        self._seen = -1
        self._known: dict[StoreName, Registered] = {}
        self._stores: dict[str, asyncio.Task[Backend]] = {}

    async def aclose(self) -> None:
        """Closes the stores that were opened, and the registry."""
        opened = [task.result() for task in self._stores.values() if task.done() and not task.cancelled() and task.exception() is None]
        await close_all(opened)
        if self._registry is not None:
            await asyncio.to_thread(self._registry.close)

    # -- stores

    async def backend(self, name: StoreName) -> Backend:
        """:raises NotFound: when there is no such store."""
        if name.parent == CONFIGURED and (found := self._in_settings(name.store)) is not None:
            return found
        registered = await self._registered(name)
        folder = registered.folder
        if folder not in self._stores or self._failed(folder):
            self._stores[folder] = asyncio.create_task(self._open(folder))
        return self._notified(await asyncio.shield(self._stores[folder]), registered.name, registered.fields)

    async def tell(self, name: StoreName, resources: Sequence[Resource], action: str, extra: Mapping[str, str] | None = None) -> None:
        """Those who are told of a store hear of a change that was made beside it.

        :param action: as Google calls what made it. :param extra: attributes besides.
        :raises NotFound: when there is no such store.
        """
        backend = await self.backend(name)
        if isinstance(backend, Notified):
            await backend.tell(resources, action, extra)

    def _in_settings(self, store: str) -> Backend | None:
        try:
            return self._configured.get(store)
        except NotFound:
            return None

    async def _registered(self, name: StoreName) -> Registered:
        registry = await self.registry()
        version = registry.file.version
        if version != self._seen:
            self._known.clear()
            self._seen = version
        if name not in self._known:
            found = await asyncio.to_thread(registry.datasets.store, name)
            if registry.file.version != version:  # it may have been deleted while we looked
                return found
            self._known[name] = found
        return self._known[name]

    def _failed(self, folder: str) -> bool:
        task = self._stores[folder]
        return task.done() and (task.cancelled() or task.exception() is not None)

    async def _open(self, folder: str) -> Backend:
        return await self._opened((await self.registry()).stores / folder)

    async def registry(self) -> Registry:
        """What is registered, opened when it is first asked for."""
        if self._registry is None:
            async with self._opening:
                if self._registry is None:
                    self._registry = await asyncio.to_thread(Registry, self.folder)
        return self._registry

    async def _writable(self, dataset: DatasetName) -> Registry:
        """:raises Forbidden: for what the settings hold, or where callers may make nothing."""
        if not self._creating:
            raise Forbidden("this gateway lets nobody create or change datasets and stores (healthcare.create)")
        if dataset == CONFIGURED:
            raise Forbidden("the stores of this dataset stand in the settings of the gateway, and are changed there")
        return await self.registry()

    async def create_store(self, name: StoreName, fields: Mapping[str, Any]) -> Registered:
        """:raises Conflict: when it exists. :raises NotFound: when its dataset does not."""
        return await asyncio.to_thread((await self._writable(name.parent)).datasets.create_store, name, fields)

    async def store(self, name: StoreName) -> Registered:
        """:raises NotFound: when there is none."""
        if name.parent == CONFIGURED and self._in_settings(name.store) is not None:
            return Registered(str(name), {})
        return await asyncio.to_thread((await self.registry()).datasets.store, name)

    async def stores(self, parent: DatasetName, page: Page) -> Sequence[Registered]:
        """Those of a dataset, by name.

        :raises NotFound: when there is no such dataset.
        """
        if parent == CONFIGURED:
            names = sorted(str(StoreName(parent, store)) for store, _ in self._configured)
            return [Registered(name, {}) for name in names if name > page.after][: page.size]
        return await asyncio.to_thread((await self.registry()).datasets.stores, parent, page)

    async def change_store(self, name: StoreName, change: Change) -> Registered:
        """See `Datasets.change_store`."""
        return await asyncio.to_thread((await self._writable(name.parent)).datasets.change_store, name, change)

    async def delete_store(self, name: StoreName) -> None:
        """Deletes it with all that it holds.

        :raises NotFound: when there is none.
        """
        registry = await self._writable(name.parent)
        folder = await asyncio.to_thread(registry.datasets.delete_store, name)
        await self._forget(registry, [folder])

    # -- datasets

    async def create_dataset(self, name: DatasetName, fields: Mapping[str, Any], method: str) -> Operation:
        """:raises Conflict: when it exists. :return: an operation that has ended."""
        registry = await self._writable(name)
        await asyncio.to_thread(registry.datasets.create_dataset, name, fields)
        operation = await asyncio.to_thread(registry.operations.begin, name, method, "")
        made = {"name": str(name), **fields}
        await asyncio.to_thread(partial(registry.operations.end, operation, Counter(success=1), response=made, response_type=DATASET))
        return await asyncio.to_thread(registry.operations.operation, operation)

    async def dataset(self, name: DatasetName) -> Registered:
        """:raises NotFound: when there is none."""
        if name == CONFIGURED:
            return Registered(str(name), {"timeZone": "UTC"})
        return await asyncio.to_thread((await self.registry()).datasets.dataset, name)

    async def datasets(self, parent: LocationName, page: Page) -> Sequence[Registered]:
        """Those of a location, by name."""
        found = await asyncio.to_thread((await self.registry()).datasets.datasets, parent, page)
        if parent == CONFIGURED.parent and str(CONFIGURED) > page.after:
            found = sorted([*found, await self.dataset(CONFIGURED)], key=lambda one: one.name)
        return found[: page.size]

    async def locations(self, project: str) -> list[str]:
        """Where a project has datasets; those of the settings are in the location ``local``."""
        found = await asyncio.to_thread((await self.registry()).datasets.locations, project)
        return sorted({*found, CONFIGURED.parent.location})

    async def change_dataset(self, name: DatasetName, change: Change) -> Registered:
        """See `Datasets.change_dataset`."""
        return await asyncio.to_thread((await self._writable(name)).datasets.change_dataset, name, change)

    async def delete_dataset(self, name: DatasetName) -> None:
        """Deletes it with its stores and all that they hold.

        :raises NotFound: when there is none.
        """
        registry = await self._writable(name)
        await self._forget(registry, await asyncio.to_thread(registry.datasets.delete_dataset, name))

    async def tidy(self) -> None:
        """Closes what other workers deleted, and removes what one that was killed left lying.

        What is open or lies there had a row before it was, so what has none now was deleted.
        """
        registry = await self.registry()
        there = set(self._stores) | set(await asyncio.to_thread(os.listdir, registry.stores))
        await self._forget(registry, sorted(there - await asyncio.to_thread(registry.datasets.folders)))

    async def _forget(self, registry: Registry, folders: Sequence[str]) -> None:
        for folder in folders:
            task = self._stores.pop(folder, None)
            if task is not None and not self._broken(task):
                await (await asyncio.shield(task)).aclose()
            await asyncio.to_thread(shutil.rmtree, registry.stores / folder, ignore_errors=True)

    @staticmethod
    def _broken(task: asyncio.Task[Backend]) -> bool:
        return task.done() and (task.cancelled() or task.exception() is not None)

    # -- storage classes

    async def set_class(self, name: StoreName, resources: Sequence[Resource], storage_class: StorageClass) -> None:
        """Says it of instances, series or studies; of a whole store with an empty resource."""
        await asyncio.to_thread((await self.registry()).classes.put, await self.place(name), resources, storage_class)

    async def class_of(self, name: StoreName, resource: Resource) -> Kept:
        """That of an instance."""
        return await asyncio.to_thread((await self.registry()).classes.get, await self.place(name), resource)

    async def place(self, name: StoreName) -> str:
        """What stands for a store in the registry: one that is made anew under an old name is another one."""
        return str(name) if name.parent == CONFIGURED else (await self._registered(name)).folder


class Registry:
    """What is open of a registry. Blocks."""

    def __init__(self, folder: Path) -> None:
        self.file = File(folder)
        self.owners = Owners(folder / "owners")
        self.datasets = Datasets(self.file)
        self.operations = Operations(self.file, self.owners)
        self.classes = Classes(self.file)
        self.stores = folder / "stores"
        self.stores.mkdir(exist_ok=True, mode=0o750)

    def close(self) -> None:
        """Closes its file; what this process had begun is for others to end."""
        self.owners.close()
        self.file.close()
