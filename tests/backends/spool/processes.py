"""Spools in processes of their own, to be killed. Run as ``python -m tests.backends.spool.processes``; see `start`.

The origin is a local store beside the spool: it survives as well, or does not.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from gateway.backends.local.store import LocalStore
from gateway.backends.spool.spooled import Spooled
from gateway.dicomweb.resources import Resource
from tests.backends.made import dicom, store
from tests.backends.spool.spools import DOWN, Destination, settled, spooled, until

ROOT = Path(__file__).parents[3]


def start(what: str, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """``lead`` holds the lead of the spool below `folder` without delivering; ``work ROUND`` stores until it is killed, and says
    what was acknowledged; ``drain`` delivers what is there, and ends."""
    command = [sys.executable, "-m", "tests.backends.spool.processes", what, str(folder), *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def instance(name: str) -> bytes:
    """What is stored under a name."""
    study, number = name.split("-")
    return dicom(f"1.{study}", f"1.{study}.1", f"1.{study}.1.{number}", PatientID=name)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def opened(folder: Path) -> tuple[LocalStore, Spooled]:
    origin = LocalStore(folder / "origin", durable=False)
    return origin, spooled(folder / "spool", origin, batch=5)


async def lead(folder: Path) -> None:
    origin = Destination()
    origin.error = DOWN
    spool = spooled(folder / "spool", origin)
    await store(spool, dicom("9", "9.1", "9.1.1"))
    await until(lambda: not spool._leader._destinations[0].answered)
    await spool._local.delete(Resource("9"))
    say("leads")
    await asyncio.sleep(60)


async def work(folder: Path, round_: str) -> None:
    _, spool = opened(folder)

    async def send(sender: int) -> None:
        for number in range(sender, 1_000_000, 3):
            name = f"{round_}-{number + 1}"
            assert (await store(spool, instance(name))).stored
            say(name)

    await asyncio.gather(*map(send, range(3)))


async def drain(folder: Path) -> None:
    origin, spool = opened(folder)
    await settled(spool)
    await spool.aclose()
    await origin.aclose()


if __name__ == "__main__":
    WORK: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"lead": lead, "work": work, "drain": drain}
    asyncio.run(WORK[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
