"""Files of a folder or bucket into a store, as an operation (``dicomStores.import`` of the Cloud Healthcare API).

1. Every file goes the way of a request. What is stored already is left as it is, also where the file is another version of it, and
   counts as a success: so says Google of its own, and so a process that takes the import up again does no harm.
2. A file that is refused costs only itself. The names of the first ones and what was wrong with them stand in the error of the
   operation, for whoever may read the store; none stands in a log, for names of files may be those of patients.
3. Files come in the order of their names. What is kept is the name before which everything is done.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from gateway.backends.base import Backend
from gateway.backends.operations.work import Done, Job, Running
from gateway.backends.projects import Projects
from gateway.backends.registry.classes import StorageClass, parsed
from gateway.dicom import dictionary
from gateway.dicom.header import Instance
from gateway.dicomweb.query import parse_query
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.healthcare.envelope import rpc_status
from gateway.healthcare.names import StoreName
from gateway.streams import Budget, IntakeLimits
from gateway.transfers.conveyor import Conveyor, Ended, Note
from gateway.transfers.places import Found, Hands, Places
from gateway.transfers.storing import GROUP, Outcome, Source, Storing
from gateway.transfers.uris import Pattern, parse_pattern

KIND = "import"

Group = list[Found]
Deleting = Callable[[StoreName], Awaitable[frozenset[str]]]


def importing(store: StoreName, pattern: Pattern, storage_class: StorageClass | None = None) -> Job:
    """What the operation of an import is for."""
    return Job(KIND, store, {"uri": str(pattern.uri), "class": storage_class})


class Importing:
    """:param budget: bytes of headers that requests and imports hold together. :param deleting: studies of a store that take nothing."""

    stops = True

    def __init__(self, projects: Projects, places: Places, limits: IntakeLimits, budget: Budget, deleting: Deleting) -> None:
        self._projects = projects
        self._places = places
        self._limits = limits
        self._budget = budget
        self._deleting = deleting

    async def work(self, running: Running) -> Done:
        """Stores the files.

        :raises GatewayError: when the place or the store cannot be used at all.
        """
        async with self._places.turns:
            return await self._work(running)

    async def _work(self, running: Running) -> Done:
        pattern = parse_pattern(running.job.about["uri"], "gcsSource.uri")
        place = await self._projects.place(running.job.store)
        hands = await self._places.at(pattern.uri)
        try:
            conveyor = Conveyor(running)
            store = partial(self._store, running, conveyor, hands, place)
            counter = await conveyor.run(groups(hands, pattern, conveyor.after), store, partial(count, hands, pattern))
        finally:
            hands.close()
        if not counter.success and not counter.failure and pattern.exact:
            raise NotFound(f"there is no {pattern.uri}")
        return Done(counter, error=told(counter.failure, conveyor.notes, "file"))

    async def _store(self, running: Running, conveyor: Conveyor, hands: Hands, place: str, group: Group) -> Ended:
        name = running.job.store
        if await self._projects.place(name) != place:  # deleted, and another one has its name
            raise NotFound("the DICOM store was deleted meanwhile")
        backend = await self._projects.backend(name)
        storing = Storing(self._limits, self._budget, await self._deleting(name), lambda: conveyor.stopping)
        outcome = await storing.store(backend, sources(hands, group))
        resources = [_resource(one.instance) for one in outcome.stored]
        if resources and (wanted := running.job.about["class"]):
            await self._projects.set_class(name, resources, parsed(wanted, "blobStorageClass"))
        return await ended(backend, group, outcome)


async def groups(hands: Hands, pattern: Pattern, after: str) -> AsyncGenerator[tuple[str, Group], None]:
    """The files in groups, each with the name of its last one."""
    async with aclosing(hands.listing(pattern, after)) as listing:
        async for found in listing:
            for start in range(0, len(found), GROUP):
                group = found[start : start + GROUP]
                yield group[-1].name, group


async def count(hands: Hands, pattern: Pattern) -> int:
    """How many files there are."""
    return sum([len(found) async for found in hands.listing(pattern)])


def sources(hands: Hands, group: Sequence[Found]) -> list[Source]:
    """The files of a group."""
    return [Source(one.name, partial(hands.reading, one.name)) for one in group]


async def ended(backend: Backend, group: Sequence[Found], outcome: Outcome) -> Ended:
    """What counts as what."""
    notes: list[Note] = []
    ignored = 0
    for one in outcome.refused:
        found = group[one.number]
        if one.instance is not None and one.reason is Reason.PROCESSING_FAILURE and await is_stored(backend, one.instance):
            ignored += 1
        elif found.size or not one.detail.startswith("cannot be read"):  # else a mark that some tools make of a folder
            notes.append((found.name, one.detail))
    return Ended(len(outcome.stored) + ignored, notes)


async def is_stored(backend: Backend, instance: Instance) -> bool:
    """Whether some version of it is there."""
    pairs = [("SOPInstanceUID", instance.sop)]
    query = parse_query("instance", Resource(instance.study, instance.series), pairs, dictionary, max_limit=1, default_limit=1)
    return bool((await backend.search(query)).results)


def told(failures: int, notes: Sequence[Note], what: str) -> Mapping[str, Any] | None:
    """google.rpc.Status of what failed in part; None where nothing did."""
    if not failures:
        return None
    listed = "; ".join(f"{_printable(name)}: {reason}" for name, reason in notes)
    more = f"; and {failures - len(notes)} more" if failures > len(notes) else ""
    return rpc_status(400, f"{failures} {what}{'' if failures == 1 else 's'} failed: {listed}{more}")


def _printable(name: str) -> str:
    text = name.encode(errors="backslashreplace").decode()
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _resource(instance: Instance) -> Resource:
    return Resource(instance.study, instance.series, instance.sop)
