"""A gateway over a store of a size, and what it costs to ask and to fill it: a real process of one worker, with a CPU of its own."""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.passthrough import Server, free_port, started
from loadtests.scale.asked import CASES, JSON, Case, Facts, requests
from loadtests.scale.client import BASE, FINE, Client, together
from loadtests.scale.fill import fill
from loadtests.scale.hospital import Hospital, Study
from loadtests.scale.written import series_files

BOUNDARY = "scale"
WARM = 20
"""Requests of a case that are not counted: the first ones prepare statements and read pages of the index."""
SLOW = 1.0
"""Seconds that the warm-up of a case may take before fewer requests are counted."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one case and one number of clients, in milliseconds; `cpu` is the server's, a request."""

    p50: float
    p99: float
    cpu: float
    rate: float
    requests: int
    found: int


@dataclass(slots=True)
class Measured:
    """Of one size. Sizes in bytes, times in seconds, rates a second.

    :param cases: by name of the case and number of clients.
    :param index: bytes of the index, of all and an instance.
    """

    instances: int
    studies: int
    filled_rate: float = 0.0
    index: int = 0
    ready: float = 0.0
    idle: int = 0
    after: int = 0
    later: int = 0
    store_rate: float = 0.0
    store_cpu: float = 0.0
    cases: dict[str, dict[int, Figures]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


@dataclass(frozen=True)
class Effort:
    """How much is asked: requests of a case and client count, instances that are stored, and requests behind which memory is looked at
    once more: enough that all that is kept within bounds has reached them."""

    requests: int = 300
    stored: int = 1000
    settled: int = 10_000
    clients: tuple[int, ...] = (1, 16)
    cpus: tuple[int, int] = (0, 1)


Tell = Callable[[str], None]


def store_of(folder: Path, instances: int, tell: Tell) -> float:
    """Makes the store of a size, if it is not there yet; instances a second."""
    root = folder / str(instances) / "default"
    if (root / "store.json").exists():
        return 0.0
    return instances / fill(root, instances, lambda done: tell(f"{instances:,}: {done:,} are there"))


def measured(folder: Path, instances: int, effort: Effort, tell: Tell, only: str = "") -> Measured:
    """All figures of one size; its store is made when it is not there.

    :param only: a part of the names of cases that are measured.
    """
    hospital = Hospital(instances)
    studies = list(hospital.studies())
    result = Measured(instances, len(studies))
    result.filled_rate = store_of(folder, instances, tell)
    result.index = (folder / str(instances) / "default" / "index.sqlite").stat().st_size
    os.sched_setaffinity(0, {effort.cpus[1]})
    with _gateway(folder / str(instances), effort.cpus[0]) as (server, ready):
        result.ready = ready
        result.idle = resident(server.pid)
        cases = [case for case in CASES if only in case.name]
        for case in cases:
            tell(f"{instances:,}: {case.name}")
            result.cases[case.name] = _asked(server, case, studies, Facts(len(studies), instances), effort)
        result.after = resident(server.pid)
        tell(f"{instances:,}: once more")
        _round(server, cases, studies, Facts(len(studies), instances), effort.settled)
        result.later = resident(server.pid)
        if effort.stored:
            tell(f"{instances:,}: storing")
            result.store_rate, result.store_cpu = _stored(server, _more(hospital, studies, effort.stored))
    return result


@contextmanager
def _gateway(data: Path, cpu: int) -> Iterator[tuple[Server, float]]:
    """A gateway, and the seconds that it took to be ready."""
    port = free_port()
    flags = ("serve", "--data", str(data), "--port", str(port), "--workers", "1")
    begun = time.monotonic()
    with started(port, cpu, sys.executable, "-m", "gateway", *flags, log=data / "gateway.log") as server:
        while True:
            with closing(Client(port)) as client:
                if client.get("/readyz", "*/*").status == FINE[0]:
                    break
            time.sleep(0.01)
        yield server, time.monotonic() - begun


def _asked(server: Server, case: Case, studies: Sequence[Study], facts: Facts, effort: Effort) -> dict[int, Figures]:
    figures = {}
    for clients in effort.clients:
        begun = time.perf_counter()
        together(server.port, requests(case, studies, facts, WARM, seed=100 + clients), JSON, 1)
        slow = (time.perf_counter() - begun) / SLOW
        count = max(WARM, int(effort.requests / max(1.0, slow)))
        paths = requests(case, studies, facts, count, seed=clients)
        cpu, begun = server.cpu(), time.perf_counter()
        seconds, found = together(server.port, paths, JSON, clients)
        took, cpu = time.perf_counter() - begun, server.cpu() - cpu
        if case.found and not found:
            raise RuntimeError(f"{case.name}: nothing was found, so nothing was measured")
        milliseconds = sorted(1e3 * one for one in seconds)
        p99 = milliseconds[min(count - 1, int(count * 0.99))]
        figures[clients] = Figures(statistics.median(milliseconds), p99, 1e3 * cpu / count, count / took, count, found)
    return figures


def _round(server: Server, cases: Sequence[Case], studies: Sequence[Study], facts: Facts, count: int) -> None:
    """All cases once more with other requests: what still grows behind them would grow for ever."""
    for case in cases:
        together(server.port, requests(case, studies, facts, count // len(cases), seed=7), JSON, 4)


def resident(pid: int) -> int:
    """Bytes of memory that the processes of a server have to themselves or share."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (str(pid), *children))
    return pages * os.sysconf("SC_PAGE_SIZE")


def _more(hospital: Hospital, studies: Sequence[Study], count: int) -> list[tuple[str, list[bytes]]]:
    """Further studies of the hospital: their UIDs, and their instances in pieces of a request."""
    found: list[tuple[str, list[bytes]]] = []
    number = hospital.count
    while count > 0:
        like = studies[number % len(studies)]
        study = Study(number, like.patient, like.day, like.description, like.part, like.referring, like.series)
        files = [data for index in range(len(study.series)) for _, data in series_files(study, index)]
        found.append((study.uid, files))
        count -= len(files)
        number += 1
    return found


def _stored(server: Server, new: Sequence[tuple[str, list[bytes]]]) -> tuple[float, float]:
    """Stores studies, a request each; instances and the server's CPU milliseconds of one. They are deleted again."""
    media = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    with closing(Client(server.port)) as client:
        cpu, begun = server.cpu(), time.perf_counter()
        for _, files in new:
            head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            body = b"".join(head + data + b"\r\n" for data in files) + f"--{BOUNDARY}--\r\n".encode()
            if client.post(BASE + "studies", media, body).status != FINE[0]:
                raise RuntimeError("a study could not be stored")
        took, cpu = time.perf_counter() - begun, server.cpu() - cpu
        for uid, _ in new:
            client.delete(f"{BASE}studies/{uid}")
    count = sum(len(files) for _, files in new)
    return count / took, 1e3 * cpu / count


def index_sizes(index: Path) -> dict[str, int]:
    """Bytes of each table and index of a database."""
    with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as db:
        return dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").fetchall())
