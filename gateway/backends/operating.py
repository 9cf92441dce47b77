"""What runs long on the stores of `projects`: operations, which clients poll until they are done.

1. An operation belongs to the process that began it, and to another one when that is gone: what was asked for is done, whatever is
   killed meanwhile.
2. Into a study that is being deleted nothing is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from gateway import logs
from gateway.backends.projects import Projects, Registry
from gateway.backends.registry.classes import StorageClass
from gateway.backends.registry.datasets import Page
from gateway.backends.registry.operations import Begun
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, Gone
from gateway.healthcare.envelope import rpc_status
from gateway.healthcare.names import DatasetName, LocationName, OperationName, StoreName
from gateway.healthcare.operations import Counter, Operation

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


class Operating:
    """:param projects: the stores; closed by whoever opened them, after this."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects
        self._under_way: tuple[int, frozenset[tuple[str, str]]] = (-1, frozenset())
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Takes up what a process that is gone has left."""
        if await asyncio.to_thread(self._projects.folder.exists):
            await self._sweep(await self._projects.registry())
        self._start(self._keep_looking())

    async def aclose(self) -> None:
        """Ends what is under way; who starts next takes it up again."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def operation(self, name: OperationName) -> Operation:
        """:raises NotFound: when there is none."""
        return await asyncio.to_thread((await self._projects.registry()).operations.operation, name)

    async def operations(self, parent: DatasetName, page: Page) -> Sequence[Operation]:
        """Those of a dataset."""
        await self._projects.dataset(parent)
        return await asyncio.to_thread((await self._projects.registry()).operations.operations, parent, page)

    async def cancel(self, name: OperationName) -> None:
        """Asks it to stop.

        :raises NotFound: when none of that name runs.
        """
        await asyncio.to_thread((await self._projects.registry()).operations.cancel, name)

    async def delete(self, name: StoreName, resource: Resource, method: str) -> Operation:
        """Begins to delete a study or series.

        :raises NotFound: when there is no such store.
        """
        await self._projects.backend(name)
        registry = await self._projects.registry()
        target = _Deleting(str(name), resource).text()
        begun = Begun(await asyncio.to_thread(registry.operations.begin, name.parent, method, target, 1), method, target)
        self._start(self._finish(registry, begun))
        return await self.operation(begun.name)

    async def begin_class(self, name: StoreName, resource: Resource, storage_class: StorageClass, method: str) -> Operation:
        """The same as an operation, which has ended.

        :raises NotFound: when there is no such store.
        """
        await self._projects.backend(name)
        await self._projects.set_class(name, [resource], storage_class)
        registry = await self._projects.registry()
        operation = await asyncio.to_thread(registry.operations.begin, name.parent, method, "")
        await asyncio.to_thread(registry.operations.end, operation, Counter(success=1))
        return await self.operation(operation)

    async def deleting(self, name: StoreName) -> frozenset[str]:
        """The studies of a store that are being deleted, or of which a series is."""
        registry = await self._projects.registry()
        version = registry.file.version
        if self._under_way[0] != version:
            begun = await asyncio.to_thread(registry.operations.under_way)
            about = [_Deleting.of(one.target) for one in begun if one.target]
            self._under_way = version, frozenset((one.store, one.resource.study or "") for one in about)
        return frozenset(study for store, study in self._under_way[1] if store == str(name))

    async def _finish(self, registry: Registry, begun: Begun) -> None:
        """Does what an operation is for, and says how it ended."""
        counter, error = Counter(success=1), None
        try:
            about = _Deleting.of(begun.target)
            backend = await self._projects.backend(_parsed(about.store))
            counter = Counter(success=await backend.delete(about.resource))
            await asyncio.to_thread(registry.classes.forget, await self._projects.place(_parsed(about.store)), about.resource)
        except Gone:  # the process that began it had done it
            pass
        except GatewayError as failed:
            counter, error = Counter(failure=1), rpc_status(failed.status, failed.message)
        except Exception as failed:
            log.error("operation failed", exc_info=failed)
            counter, error = Counter(failure=1), rpc_status(500, "an error of the gateway; its log has it")
        await asyncio.to_thread(partial(registry.operations.end, begun.name, counter, error=error))

    async def _sweep(self, registry: Registry) -> None:
        for begun in await asyncio.to_thread(registry.operations.orphans):
            if begun.target:
                self._start(self._finish(registry, begun))
            else:
                await asyncio.to_thread(partial(registry.operations.end, begun.name, Counter(success=1)))
        await asyncio.to_thread(registry.operations.expire, time.time() - KEPT_SECONDS)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                if await asyncio.to_thread(self._projects.folder.exists):
                    await self._sweep(await self._projects.registry())
            except Exception as failed:
                log.error("operations were not looked at", exc_info=failed)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _parsed(name: str) -> StoreName:
    _, project, _, location, _, dataset, _, store = name.split("/")
    return StoreName(DatasetName(LocationName(project, location), dataset), store)
