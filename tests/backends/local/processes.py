"""Stores in processes of their own: to be shared, and to be killed at a chosen moment.

Run as ``python -m tests.backends.local.processes``; see `start`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.backends.local import transactions
from gateway.backends.local.files import Files
from gateway.backends.local.store import LocalStore
from gateway.backends.local.writer import Writer
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound
from tests.backends.made import content, dicom, sops, store, study

ROOT = Path(__file__).parents[3]
KILLED = 77
"""The exit code of a child that ended in the middle."""

SECOND = ("1.2", "1.2.1", "1.2.1.1")
"""What a process that dies was storing; before, there is what `study` makes."""


def start(what: str, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """``crash`` dies at every moment of `CRASHES`, each in a store of its own below `folder`; ``work`` works in the store `folder`."""
    return subprocess.Popen([sys.executable, "-m", "tests.backends.local.processes", what, str(folder), *more], cwd=ROOT)


def die(*_: Any) -> None:
    os._exit(KILLED)


def then_die(call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any) -> None:
        call(*args)
        die()

    return called


CRASHES: dict[str, tuple[type | Any, str, Callable[..., Any]]] = {
    "received": (Writer, "commit", die),
    "renamed": (Files, "publish", then_die(Files.publish)),
    "committed": (Files, "keep", die),
    "replaced": (Files, "publish", then_die(Files.publish)),
    "buried": (transactions, "delete", die),
    "deleted": (Files, "keep", die),
}
"""Where a process ends: the owner of a function, its name, and what is called in its place."""


async def crash(root: Path, where: str) -> None:
    """Stores a study for good; then dies while it stores, replaces or deletes."""
    backend = LocalStore(root, on_duplicate=OnDuplicate.REPLACE)
    await store(backend, *study("1.1"))
    setattr(*CRASHES[where])
    if where in ("buried", "deleted"):
        await backend.delete(Resource("1.1", "1.1.1"))
    elif where == "replaced":
        await store(backend, dicom("1.1", "1.1.1", "1.1.1.1", PatientID="other"))
    else:
        await store(backend, dicom(*SECOND), dicom("1.2", "1.2.1", "1.2.1.2"))


async def work(root: Path, name: str, rounds: int) -> None:
    """One of several processes that store, search, read and delete in one folder at once."""
    backend = LocalStore(root)
    for number in range(rounds):
        own = f"{name}.{number}"
        data = dicom(own, f"{own}.1", f"{own}.1.1")
        shared = dicom("7", "7.1", f"7.1.{number}")
        result = await store(backend, data, shared)
        assert len(result.stored) == 2, result.failed
        assert await sops(backend, StudyInstanceUID=own) == [f"{own}.1.1"]
        assert await content(backend, own, f"{own}.1", f"{own}.1.1") == data
        assert await content(backend, "7", "7.1", f"7.1.{number}") == shared
        if number % 3 == 0:
            assert await backend.delete(Resource(own)) == 1
        try:
            await backend.delete(Resource("8"))
        except (Gone, NotFound):
            await store(backend, dicom("8", "8.1", "8.1.1"))
    await backend.aclose()


def crash_everywhere(folder: Path) -> bool:
    """Forks for each moment, which is cheaper than to start anew; whether all died as they should."""
    children = []
    for where in CRASHES:
        child = os.fork()
        if child == 0:
            asyncio.run(crash(folder / where, where))
            os._exit(0)
        children.append(child)
    return all(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED for child in children)


def main(what: str, folder: Path, *more: str) -> int:
    if what == "crash":
        return not crash_everywhere(folder)
    asyncio.run(work(folder, more[0], int(more[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
