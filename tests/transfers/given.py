"""Places, operations and stores that tests of transfers share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.backends.base import Backend
from gateway.backends.operations.operating import Operating
from gateway.backends.operations.work import Job, Kind
from gateway.backends.projects import Projects
from gateway.dicomweb.query import Query
from gateway.healthcare.names import operation_name
from gateway.healthcare.operations import Counter, Operation
from gateway.streams import Budget, IntakeLimits
from gateway.transfers import exporting, importing
from gateway.transfers.buckets import Endpoints
from gateway.transfers.folders import Folder
from gateway.transfers.places import Allowed, Hands, Places
from gateway.transfers.uris import Pattern, parse_pattern
from tests.backends.registered import D, S, ended, opened

BUDGET = 1 << 26


class Told:
    """Keeps what it is told, as an operation does."""

    def __init__(self, reached: str = "", stop: Exception | None = None) -> None:
        self.counter = Counter()
        self.reached = reached
        self.told: list[tuple[Counter, str]] = []
        self.stop = stop

    async def tell(self, counter: Counter, reached: str = "") -> None:
        self.counter, self.reached = counter, reached
        self.told.append((counter, reached))
        if self.stop is not None:
            raise self.stop


class Operated:
    """A gateway's operations with a store, as far as transfers need them."""

    def __init__(self, projects: Projects, operating: Operating, backend: Backend) -> None:
        self.projects, self.operating, self.backend = projects, operating, backend

    async def run(self, job: Job) -> Operation:
        return await ended(self.operating, await self.operating.run(job, "Transfer"))

    async def instances(self) -> int:
        return len((await self.backend.search(Query("instance", limit=10_000))).results)


def places(*folders: Path, buckets: tuple[str, ...] = (), endpoints: Endpoints | None = None) -> Places:
    return Places((endpoints or Endpoints()).bucket, Folder, Allowed(folders, buckets))


@asynccontextmanager
async def operated(
    folder: Path, where: Places, make: Callable[[Path], Backend] | None = None, kinds: Mapping[str, Kind] | None = None
) -> AsyncIterator[Operated]:
    """Operations that import and export; the store is that of the folder, also the second time."""
    async with opened(folder, make=make) as projects:
        operating: Operating
        taking = importing.Importing(projects, where, IntakeLimits(), Budget(BUDGET), lambda name: operating.deleting(name))
        chosen: dict[str, Kind] = {importing.KIND: taking, exporting.KIND: exporting.Exporting(projects, where), **(kinds or {})}
        operating = Operating(projects, chosen)
        if not (folder / "registry").exists():
            await projects.create_dataset(D, {"timeZone": "UTC"}, "CreateDataset")
            await projects.create_store(S, {})
        await operating.begin()
        try:
            yield Operated(projects, operating, await projects.backend(S))
        finally:
            await operating.aclose()


def import_of(uri: str) -> Job:
    return importing.importing(S, pattern(uri))


def pattern(uri: str) -> Pattern:
    return parse_pattern(uri, "uri")


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def files(folder: Path) -> dict[str, bytes]:
    """What lies below a folder, hidden files as well."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def names(hands: Hands, uri: str, after: str = "") -> list[str]:
    return [one.name async for some in hands.listing(pattern(uri), after) for one in some]


async def stopped(there: Operated, begun: Operation) -> Operation:
    """What an operation ends as when somebody asks it to stop."""
    await there.operating.cancel(operation_name(D, begun.name.rpartition("/")[2]))
    return await finished(there, begun)


async def finished(there: Operated, begun: Operation) -> Operation:
    return await ended(there.operating, begun)


async def reached(there: Operated) -> list[Any]:
    """How far the operation that runs is: its mark, successes and failures until there, and notes."""
    row = (await there.projects.registry()).file.one("SELECT reached FROM operation WHERE ended IS NULL")
    return list(json.loads(row[0])) if row is not None and row[0] else ["", 0, 0, []]
