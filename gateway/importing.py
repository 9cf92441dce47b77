"""Files from disk into a store, on the way that a request takes: the same checks, the same durability.

Files are stored in groups, so that many share one commit, and several groups at once, so that one reads while another
waits for the disk. A server may run on the same store meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gateway.backends.base import Backend
from gateway.backends.notifying.events import acting
from gateway.streams import Budget, IntakeLimits, file_chunks
from gateway.transfers.importing import groups, sources
from gateway.transfers.places import Hands
from gateway.transfers.storing import GROUP, Source, Storing
from gateway.transfers.uris import Pattern

AT_ONCE = 4
"""Groups that are under way together."""

ACTION = "ImportDicomData"
"""What those are told who hear of imports."""


@dataclass(slots=True)
class Imported:
    """What became of the files.

    :param refused: name of the file and reason, in the order in which they were met.
    """

    stored: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files that are named, and those below the folders that are named, in a stable order.

    In folders, hidden files and DICOMDIR (the index of a CD, no instance) are passed over; so are links to folders.

    :raises FileNotFoundError: when a path does not exist.
    """
    return [file for path in paths for file in _below(path)]


def _below(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise FileNotFoundError(path)
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if not hidden and file.name != "DICOMDIR" and file.is_file():
            yield file


async def import_files(
    backend: Backend, files: Sequence[Path], limits: IntakeLimits, budget: Budget, done: Callable[[int], None]
) -> Imported:
    """Stores `files`; one that is refused does not hold up the others.

    :param done: is told how many more files are through.
    :raises OutOfStorage: when there is no room; what was stored until then stays.
    """
    return await _import(backend, _in_groups(files), Storing(limits, budget), done)


async def import_found(
    backend: Backend, hands: Hands, pattern: Pattern, limits: IntakeLimits, budget: Budget, done: Callable[[int], None]
) -> Imported:
    """Stores the files of a folder or bucket, likewise."""

    async def found() -> AsyncGenerator[Sequence[Source], None]:
        async with aclosing(groups(hands, pattern, "")) as all_groups:
            async for _, group in all_groups:
                yield sources(hands, group)

    return await _import(backend, found(), Storing(limits, budget), done)


async def _in_groups(files: Sequence[Path]) -> AsyncGenerator[Sequence[Source], None]:
    for start in range(0, len(files), GROUP):
        yield [Source(str(path), partial(file_chunks, path)) for path in files[start : start + GROUP]]


async def _import(
    backend: Backend, line: AsyncGenerator[Sequence[Source], None], storing: Storing, done: Callable[[int], None]
) -> Imported:
    imported = Imported()
    taking = asyncio.Lock()

    async def work() -> None:
        while True:
            async with taking:
                group = await anext(line, None)
            if group is None:
                return
            outcome = await storing.store(backend, group)
            imported.stored += len(outcome.stored)
            imported.refused += [(group[one.number].name, one.detail) for one in outcome.refused]
            done(len(group))

    async with aclosing(line):
        with acting(ACTION):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(work())
    return imported
