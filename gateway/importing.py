"""Files from disk into a store, on the way that a request takes: the same checks, the same durability.

Files are stored in groups, so that many share one commit, and several groups at once, so that one reads while another
waits for the disk. A server may run on the same store meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.backends.base import Backend, Failed, Upload
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError
from gateway.streams import Budget, IntakeLimits, file_intake

GROUP = 64
"""Files in one group: enough to make a commit cheap, few enough to see progress."""

AT_ONCE = 4
"""Groups that are under way together."""


@dataclass(slots=True)
class Imported:
    """What became of the files.

    :param refused: file and reason, in the order in which they were met.
    """

    stored: int = 0
    refused: list[tuple[Path, str]] = field(default_factory=list)


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
    imported = Imported()
    groups = deque(files[start : start + GROUP] for start in range(0, len(files), GROUP))

    async def work() -> None:
        while groups:
            group = groups.popleft()
            await _store(backend, group, limits, budget, imported)
            done(len(group))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())
    return imported


async def _store(backend: Backend, group: Sequence[Path], limits: IntakeLimits, budget: Budget, imported: Imported) -> None:
    failed: list[Failed] = []
    result = await backend.store(_uploads(group, limits, budget, failed))
    imported.stored += len(result.stored)
    failed += result.failed
    imported.refused += [(group[one.part - 1], one.detail) for one in sorted(failed, key=lambda one: one.part)]


async def _uploads(group: Sequence[Path], limits: IntakeLimits, budget: Budget, failed: list[Failed]) -> AsyncIterator[Upload]:
    """An upload for each file; `part` is its place in the group, from 1."""
    for number, path in enumerate(group, 1):
        intake = file_intake(path, limits, budget)
        try:
            async for upload in intake.uploads():
                yield replace(upload, part=number, body=_readable(upload.body))
        except OSError as error:
            failed.append(Failed(number, Reason.OUT_OF_RESOURCES, f"cannot be read: {error.strerror}"))
        failed += [replace(one, part=number) for one in intake.failed]


async def _readable(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A file that cannot be read to its end is that instance's failure and nobody else's."""
    try:
        async for piece in body:
            yield piece
    except OSError as error:
        raise InstanceError(Reason.OUT_OF_RESOURCES, f"cannot be read: {error.strerror}") from error
