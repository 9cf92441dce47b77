"""JSON Patch of all instances of a study or a series (``updateMetadata``), one after the other.

Changes are not harmless twice: what adds a value adds another one. So what an instance will look like is told before it is stored, and
a process that takes the work up there looks whether it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from gateway.backends.base import Backend
from gateway.backends.operations.changing import changed
from gateway.backends.operations.work import Done, Job, Running
from gateway.backends.projects import Projects
from gateway.dicom.patching import Patched
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Conflict, GatewayError, InstanceError, NotFound
from gateway.healthcare.envelope import rpc_status
from gateway.healthcare.jsonpatch import Patch
from gateway.healthcare.names import StoreName
from gateway.healthcare.operations import Counter

KIND = "update"

PAGE = 5000
"""Instances that one search lists."""

SHOWN = 3
"""Failures that the operation's error explains."""


def update(store: StoreName, resource: Resource, patch: list[Any]) -> Job:
    """What the operation of an update is for.

    :param patch: a document that `Patch` takes.
    """
    return Job(KIND, store, {"study": resource.study, "series": resource.series, "patch": patch})


class Updating:
    """:param deleting: the studies of a store that take nothing.

    It is stopped where it tells how far it is: between two instances, so that its counters are true.
    """

    stops = False

    def __init__(self, projects: Projects, deleting: Callable[[StoreName], Awaitable[frozenset[str]]]) -> None:
        self._projects = projects
        self._deleting = deleting

    async def work(self, running: Running) -> Done:
        """Changes them.

        :raises NotFound: when there are none.
        """
        job = running.job
        resource, patch = Resource(job.about["study"], job.about["series"]), Patch(job.about["patch"])
        backend = await self._projects.backend(job.store)
        instances = await _instances(backend, resource)
        if not instances:
            raise NotFound(f"there is no such {resource.level} here")
        await self._check(job)
        reached, _, digest = running.reached.partition(" ")
        counter = running.counter if reached else Counter()
        failures: list[str] = []
        for number, one in enumerate(instances):
            key = _key(one)
            if key < reached:
                continue
            counter = Counter(counter.success, counter.failure, len(instances) - number)
            step = _Step(running, counter, key, digest if key == reached else "")
            why = await step.take(backend, one, patch)
            counter = Counter(counter.success + (not why), counter.failure + bool(why), len(instances) - number - 1)
            if why:
                failures.append(why)
        return Done(counter, _error(counter, failures) if counter.failure else None)

    async def _check(self, job: Job) -> None:
        if job.about["study"] in await self._deleting(job.store):
            raise Conflict("this study is being deleted")


class _Step:
    """One instance. :param digest: what it was about to look like when another process was killed; empty for all others."""

    def __init__(self, running: Running, counter: Counter, key: str, digest: str) -> None:
        self._running = running
        self._counter = counter
        self._key = key
        self._digest = digest

    async def take(self, backend: Backend, resource: Resource, patch: Patch) -> str:
        """Why it could not be changed; empty when it was."""
        try:
            result = await changed(backend, resource, patch, self._before)
        except InstanceError as error:
            return error.message
        except GatewayError as error:
            return error.message
        return result.failed[0].detail if result.failed else ""

    async def _before(self, made: Patched) -> bool:
        """:raises Cancelled: when it is to stop."""
        if self._digest and made.before == self._digest:
            return False
        await self._running.tell(self._counter, f"{self._key} {made.after}")
        return True


async def _instances(backend: Backend, resource: Resource) -> list[Resource]:
    """All of them in an order that stays."""
    found: list[Resource] = []
    more = True
    while more:
        matches = await backend.search(Query("instance", resource, limit=PAGE, offset=len(found)))
        found += await asyncio.to_thread(_named, resource.study, matches.results)
        more = bool(matches.results) and matches.remaining != 0
    return await asyncio.to_thread(sorted, found, key=_key)


def _named(study: str | None, results: Sequence[bytes]) -> list[Resource]:
    uids = ([one[key]["Value"][0] for key in ("0020000E", "00080018")] for one in map(orjson.loads, results))
    return [Resource(study, series, sop) for series, sop in uids]


def _key(resource: Resource) -> str:
    return f"{resource.series}/{resource.instance}"


def _error(counter: Counter, failures: list[str]) -> dict[str, Any]:
    what = f"{counter.failure} of {counter.success + counter.failure} instances could not be changed"
    shown = "; ".join(dict.fromkeys(failures[:SHOWN]))
    return rpc_status(400, f"{what}: {shown}" if shown else what)
