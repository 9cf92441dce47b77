"""What runs long on the stores of `projects`: operations, which clients poll until they are done.

1. An operation belongs to the process that began it, and to another one when that is gone: what was asked for is done, whatever is
   killed meanwhile.
2. Into a study that is being deleted nothing is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from gateway import logs
from gateway.backends.notifying.events import acting
from gateway.backends.operations import deleting
from gateway.backends.operations.work import Cancelled, Done, Job, Kind, Running
from gateway.backends.projects import Projects, Registry
from gateway.backends.registry.classes import StorageClass
from gateway.backends.registry.datasets import Page
from gateway.backends.registry.operations import Begun
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError
from gateway.healthcare.envelope import rpc_status
from gateway.healthcare.names import DatasetName, OperationName, StoreName
from gateway.healthcare.operations import Counter, Operation

KEPT_SECONDS = 30 * 86_400.0
"""For how long an operation that has ended can be asked for."""

HTTP_CANCELLED = 499
"""What stands for CANCELLED among the statuses of HTTP."""

GLANCE = 0.5
"""Seconds between two looks whether somebody wants an operation to stop."""

EVERY = 30.0
"""Seconds between two looks for operations whose process is gone."""

log = logs.get_logger()


class Operating:
    """:param projects: the stores; closed by whoever opened them, after this.
    :param kinds: the kinds of work by name, besides deletions.
    """

    def __init__(self, projects: Projects, kinds: Mapping[str, Kind] | None = None) -> None:
        self._projects = projects
        self._kinds: Mapping[str, Kind] = {deleting.KIND: deleting.Deleting(projects), **(kinds or {})}
        self._under_way: tuple[int, frozenset[tuple[StoreName, str]]] = (-1, frozenset())
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
        return await self.run(deleting.deletion(name, resource), method)

    async def run(self, job: Job, method: str) -> Operation:
        """Begins what `job` says.

        :param method: by which it was asked for.
        :raises NotFound: when there is no such store.
        """
        await self._projects.backend(job.store)
        registry = await self._projects.registry()
        target = job.text()
        begun = Begun(await asyncio.to_thread(registry.operations.begin, job.store.parent, method, target, 1), method, target)
        self._start(self._finish(registry, begun))
        return await self.operation(begun.name)

    async def begin_class(self, name: StoreName, resource: Resource, storage_class: StorageClass, method: str) -> Operation:
        """The same as an operation, which has ended.

        :raises NotFound: when there is no such store.
        """
        await self._projects.backend(name)
        before = await self._projects.class_of(name, resource)
        await self._projects.set_class(name, [resource], storage_class)
        said = {"storageClass": storage_class, "previousStorageClass": before.storage_class}
        await self._projects.tell(name, [resource], "SetBlobSettings", said)
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
            jobs = [Job.of(one.target) for one in begun if one.target]
            self._under_way = version, frozenset((one.store, deleting.study_of(one)) for one in jobs if one.kind == deleting.KIND)
        return frozenset(study for store, study in self._under_way[1] if store == name)

    async def _finish(self, registry: Registry, begun: Begun) -> None:
        """Does what an operation is for, and says how it ended."""
        running = Running(begun, Job.of(begun.target), registry.operations)
        try:
            with acting(begun.method.rpartition(".")[2]):
                done = await self._work(registry, running)
        except Cancelled:
            done = Done(running.counter, rpc_status(HTTP_CANCELLED, "it was cancelled"))
        except GatewayError as failed:
            done = _failed(running, failed.status, failed.message)
        except Exception as failed:
            if not await running.ended():  # by the deletion of its store, which closed what it worked at
                log.error("operation failed", exc_info=failed)
            done = _failed(running, 500, "an error of the gateway; its log has it")
        said = partial(registry.operations.end, response=done.response, response_type=done.response_type, error=done.error)
        await asyncio.to_thread(said, begun.name, done.counter)

    async def _work(self, registry: Registry, running: Running) -> Done:
        """:raises Cancelled: when it can be stopped and somebody asked for it."""
        kind = self._kinds[running.job.kind]
        task = asyncio.ensure_future(kind.work(running))
        seen = -1
        try:
            while not (await asyncio.wait({task}, timeout=GLANCE))[0]:
                if kind.stops and registry.file.version != seen:
                    seen = registry.file.version
                    if await running.cancelled():
                        raise Cancelled
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _sweep(self, registry: Registry) -> None:
        for begun in await asyncio.to_thread(registry.operations.orphans):
            if begun.target:
                self._start(self._finish(registry, begun))
            else:
                await asyncio.to_thread(partial(registry.operations.end, begun.name, Counter(success=1)))
        await asyncio.to_thread(registry.operations.expire, time.time() - KEPT_SECONDS)
        await self._projects.tidy()

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


def _failed(running: Running, status: int, message: str) -> Done:
    counter = running.counter
    failure = counter.failure or (0 if counter.success else 1)
    return Done(Counter(counter.success, failure, counter.pending), rpc_status(status, message))
