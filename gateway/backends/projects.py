"""Projects, datasets and DICOM stores by name: those of the settings and those that callers made, and what runs long on them.

1. The stores of the settings are the DICOM stores of one dataset, `CONFIGURED`, which nobody can change by API.
2. A store that was made by API is opened when it is first asked for, in each worker. What was looked up is believed as long as the
   registry stands still, so a store that another worker deleted is gone here with the next request.
3. Deleting a study or series is an operation. It belongs to the process that began it, and to another one when that is gone:
   what was asked for is done, whatever is killed meanwhile.
4. Into a study that is being deleted nothing is stored.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import orjson

from gateway import logs
from gateway.backends.base import Backend
from gateway.backends.catalog import Catalog, close_all
from gateway.backends.registry.datasets import Datasets, Page, Registered
from gateway.backends.registry.file import File
from gateway.backends.registry.operations import Begun, Operations
from gateway.backends.registry.owners import Owners
from gateway.dicomweb.resources import Resource
from gateway.errors import Forbidden, GatewayError, Gone, NotFound
from gateway.healthcare.envelope import rpc_status
from gateway.healthcare.names import DatasetName, LocationName, OperationName, StoreName
from gateway.healthcare.operations import Counter, Operation

T = TypeVar("T")

CONFIGURED = DatasetName(LocationName("local", "local"), "default")
"""The dataset of the stores that the settings name."""

DATASET = "google.cloud.healthcare.v1.dataset.Dataset"

KEPT_SECONDS = 30 * 86_400.0
"""For how long an operation that has ended can be asked for."""

EVERY = 30.0
"""Seconds between two looks for operations whose process is gone."""

log = logs.get_logger()


@dataclass(frozen=True, slots=True)
class _Deleting:
    """What the operation of a deletion is about."""

    store: str
    resource: Resource

    def text(self) -> str:
        resource = self.resource
        return orjson.dumps([self.store, resource.study, resource.series, resource.instance]).decode()

    @classmethod
    def of(cls, text: str) -> _Deleting:
        store, study, series, instance = orjson.loads(text)
        return cls(store, Resource(study, series, instance))


class Projects:
    """:param configured: the stores of the settings; closed by whoever opened them.
    :param folder: of the registry, and of the stores that are made.
    :param opened: opens the store of a folder.
    :param creating: whether callers may make and change datasets and stores.
    """

    def __init__(self, configured: Catalog, folder: Path, opened: Callable[[Path], Awaitable[Backend]], *, creating: bool = True) -> None:
        self._configured = configured
        self._folder = folder
        self._opened = opened
        self._creating = creating
        self._registry: _Registry | None = None
        self._opening = asyncio.Lock()
        self._seen = -1
        self._folders: dict[StoreName, str] = {}
        self._stores: dict[str, asyncio.Task[Backend]] = {}
        self._under_way: tuple[int, frozenset[tuple[str, str]]] = (-1, frozenset())
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Opens the registry where there is one, and takes up what a process that is gone has left."""
        if await asyncio.to_thread(self._folder.exists):
            await self._asked()

    async def aclose(self) -> None:
        """Ends what is under way; who starts next takes it up again."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        opened = [task.result() for task in self._stores.values() if task.done() and not task.cancelled() and task.exception() is None]
        await close_all(opened)
        if self._registry is not None:
            await asyncio.to_thread(self._registry.close)

    # -- stores

    async def backend(self, name: StoreName) -> Backend:
        """:raises NotFound: when there is no such store."""
        if name.parent == CONFIGURED and (found := self._in_settings(name.store)) is not None:
            return found
        folder = await self._folder_of(name)
        if folder not in self._stores or self._failed(folder):
            self._stores[folder] = asyncio.create_task(self._open(folder))
        return await asyncio.shield(self._stores[folder])

    def _in_settings(self, store: str) -> Backend | None:
        try:
            return self._configured.get(store)
        except NotFound:
            return None

    async def _folder_of(self, name: StoreName) -> str:
        registry = await self._asked()
        version = registry.file.version
        if version != self._seen:
            self._folders.clear()
            self._seen = version
        if name not in self._folders:
            found = await asyncio.to_thread(registry.datasets.store, name)
            if registry.file.version != version:  # it may have been deleted while we looked
                return found.folder
            self._folders[name] = found.folder
        return self._folders[name]

    def _failed(self, folder: str) -> bool:
        task = self._stores[folder]
        return task.done() and (task.cancelled() or task.exception() is not None)

    async def _open(self, folder: str) -> Backend:
        return await self._opened((await self._asked()).stores / folder)

    async def _asked(self) -> _Registry:
        if self._registry is None:
            async with self._opening:
                if self._registry is None:
                    self._registry = await asyncio.to_thread(_Registry, self._folder)
                    await self._sweep(self._registry)
                    self._start(self._keep_looking(self._registry))
        return self._registry

    async def _writable(self, dataset: DatasetName) -> _Registry:
        """:raises Forbidden: for what the settings hold, or where callers may make nothing."""
        if not self._creating:
            raise Forbidden("this gateway lets nobody create or change datasets and stores (healthcare.create)")
        if dataset == CONFIGURED:
            raise Forbidden("the stores of this dataset stand in the settings of the gateway, and are changed there")
        return await self._asked()

    async def create_store(self, name: StoreName, fields: Mapping[str, Any]) -> Registered:
        """:raises Conflict: when it exists. :raises NotFound: when its dataset does not."""
        return await asyncio.to_thread((await self._writable(name.parent)).datasets.create_store, name, fields)

    async def store(self, name: StoreName) -> Registered:
        """:raises NotFound: when there is none."""
        if name.parent == CONFIGURED and self._in_settings(name.store) is not None:
            return Registered(str(name), {})
        return await asyncio.to_thread((await self._asked()).datasets.store, name)

    async def stores(self, parent: DatasetName, page: Page) -> Sequence[Registered]:
        """Those of a dataset, by name.

        :raises NotFound: when there is no such dataset.
        """
        if parent == CONFIGURED:
            names = sorted(str(StoreName(parent, store)) for store, _ in self._configured)
            return [Registered(name, {}) for name in names if name > page.after][: page.size]
        return await asyncio.to_thread((await self._asked()).datasets.stores, parent, page)

    async def change_store(self, name: StoreName, fields: Mapping[str, Any]) -> None:
        """:raises NotFound: when there is none."""
        await asyncio.to_thread((await self._writable(name.parent)).datasets.change_store, name, fields)

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
        return await asyncio.to_thread((await self._asked()).datasets.dataset, name)

    async def datasets(self, parent: LocationName, page: Page) -> Sequence[Registered]:
        """Those of a location, by name."""
        found = await asyncio.to_thread((await self._asked()).datasets.datasets, parent, page)
        if parent == CONFIGURED.parent and str(CONFIGURED) > page.after:
            found = sorted([*found, await self.dataset(CONFIGURED)], key=lambda one: one.name)
        return found[: page.size]

    async def locations(self, project: str) -> list[str]:
        """Where a project has datasets; those of the settings are in the location ``local``."""
        found = await asyncio.to_thread((await self._asked()).datasets.locations, project)
        return sorted({*found, CONFIGURED.parent.location})

    async def change_dataset(self, name: DatasetName, fields: Mapping[str, Any]) -> None:
        """:raises NotFound: when there is none."""
        await asyncio.to_thread((await self._writable(name)).datasets.change_dataset, name, fields)

    async def delete_dataset(self, name: DatasetName) -> None:
        """Deletes it with its stores and all that they hold.

        :raises NotFound: when there is none.
        """
        registry = await self._writable(name)
        await self._forget(registry, await asyncio.to_thread(registry.datasets.delete_dataset, name))

    async def _forget(self, registry: _Registry, folders: Sequence[str]) -> None:
        for folder in folders:
            task = self._stores.pop(folder, None)
            if task is not None and not self._broken(task):
                await (await asyncio.shield(task)).aclose()
            await asyncio.to_thread(shutil.rmtree, registry.stores / folder, ignore_errors=True)

    @staticmethod
    def _broken(task: asyncio.Task[Backend]) -> bool:
        return task.done() and (task.cancelled() or task.exception() is not None)

    # -- operations

    async def operation(self, name: OperationName) -> Operation:
        """:raises NotFound: when there is none."""
        return await asyncio.to_thread((await self._asked()).operations.operation, name)

    async def operations(self, parent: DatasetName, page: Page) -> Sequence[Operation]:
        """Those of a dataset."""
        await self.dataset(parent)
        return await asyncio.to_thread((await self._asked()).operations.operations, parent, page)

    async def cancel(self, name: OperationName) -> None:
        """Asks it to stop.

        :raises NotFound: when none of that name runs.
        """
        await asyncio.to_thread((await self._asked()).operations.cancel, name)

    async def delete(self, name: StoreName, resource: Resource, method: str) -> Operation:
        """Begins to delete a study or series.

        :raises NotFound: when there is no such store.
        """
        await self.backend(name)
        registry = await self._asked()
        begun = Begun(
            await asyncio.to_thread(registry.operations.begin, name.parent, method, _Deleting(str(name), resource).text(), 1),
            method,
            _Deleting(str(name), resource).text(),
        )
        self._start(self._finish(registry, begun))
        return await self.operation(begun.name)

    async def deleting(self, name: StoreName) -> frozenset[str]:
        """The studies of a store that are being deleted, or of which a series is."""
        registry = await self._asked()
        version = registry.file.version
        if self._under_way[0] != version:
            begun = await asyncio.to_thread(registry.operations.under_way)
            about = [_Deleting.of(one.target) for one in begun if one.target]
            self._under_way = version, frozenset((one.store, one.resource.study or "") for one in about)
        return frozenset(study for store, study in self._under_way[1] if store == str(name))

    async def _finish(self, registry: _Registry, begun: Begun) -> None:
        """Does what an operation is for, and says how it ended."""
        counter, error = Counter(success=1), None
        try:
            about = _Deleting.of(begun.target)
            backend = await self.backend(_parsed(about.store))
            counter = Counter(success=await backend.delete(about.resource))
        except Gone:  # the process that began it had done it
            pass
        except GatewayError as failed:
            counter, error = Counter(failure=1), rpc_status(failed.status, failed.message)
        except Exception as failed:
            log.error("operation failed", exc_info=failed)
            counter, error = Counter(failure=1), rpc_status(500, "an error of the gateway; its log has it")
        await asyncio.to_thread(partial(registry.operations.end, begun.name, counter, error=error))

    async def _sweep(self, registry: _Registry) -> None:
        for begun in await asyncio.to_thread(registry.operations.orphans):
            if begun.target:
                self._start(self._finish(registry, begun))
            else:
                await asyncio.to_thread(partial(registry.operations.end, begun.name, Counter(success=1)))
        await asyncio.to_thread(registry.operations.expire, time.time() - KEPT_SECONDS)

    async def _keep_looking(self, registry: _Registry) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._sweep(registry)
            except Exception as failed:
                log.error("operations were not looked at", exc_info=failed)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Registry:
    """What is open of a registry. Blocks."""

    def __init__(self, folder: Path) -> None:
        self.file = File(folder)
        self.owners = Owners(folder / "owners")
        self.datasets = Datasets(self.file)
        self.operations = Operations(self.file, self.owners)
        self.stores = folder / "stores"
        self.stores.mkdir(exist_ok=True, mode=0o750)

    def close(self) -> None:
        self.owners.close()
        self.file.close()


def _parsed(name: str) -> StoreName:
    _, project, _, location, _, dataset, _, store = name.split("/")
    return StoreName(DatasetName(LocationName(project, location), dataset), store)
