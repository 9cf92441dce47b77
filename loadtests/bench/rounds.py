"""A run: what has to be there is stored, then every workload goes over all servers in turn, again and again.

1. Servers take turns within a turn, in the other order every second time, so that a machine that changes its pace changes it for all.
2. A sample of the answers of every turn is looked at when its clock has stopped. A server that was wrong once is out of that row.
3. What a server puts off counts: a storing turn ends when its processes rest.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

from loadtests.bench import checking
from loadtests.bench.client import Ask, Tally, asked, get
from loadtests.bench.figures import OURS, Row, Sample, quantile
from loadtests.bench.peers import ORTHANC
from loadtests.bench.processes import Server
from loadtests.bench.scene import Scene, filling, held
from loadtests.bench.stage import FRESH, ONE, Cpus, Stage
from loadtests.bench.workloads import Cast, Way, Workload
from loadtests.checks import Mismatch
from loadtests.synthetic import Study

WINDOW = 0.02
"""Seconds between two looks at whether a server rests."""

RESTS = 0.25
"""Share of a CPU below which it does: threads that only wake up to look around use far less."""

PATIENCE = 30.0
"""Seconds after which a server that never rests is taken as it is."""

FOREVER = 3600.0
"""Seconds for work that has no clock: filling, and single large objects."""

Told = Callable[[str], None]
"""Is called when a round begins, with what it is."""


@dataclass
class Run:
    """What all rounds share.

    :param seconds: of a round. :param turns: of each workload, those that warm up aside.
    :param told: is called before each round, for a progress bar.
    """

    stage: Stage
    scene: Scene
    cpus: Cpus
    seconds: float
    turns: int
    told: Told

    async def fill(self, workloads: Sequence[Workload]) -> None:
        """Stores what they need on every server that holds anything.

        :raises RuntimeError: when a server does not take it.
        """
        self.held = {name: held(self.scene, needs) for name, needs in self.stage.needs(workloads).items()}
        for name, needs in self.stage.needs(workloads).items():
            if needs:
                self.told(f"{name}: filling")
                for server in self._holders(name):
                    await _fill(server, filling(self.scene, needs))

    def _holders(self, name: str) -> list[Server]:
        if name == ONE:
            return list(self.stage.servers(Cast.WORKERS).values())
        if name == FRESH:
            return [self.stage.fresh]
        return [self.stage.store if name == OURS else self.stage.servers(Cast.STORE)[ORTHANC]]

    async def row(self, workload: Workload) -> Row:
        """All turns of a workload."""
        row = Row(workload.name, workload.suite, workload.unit, workload.goals_at(self.scene.studies))
        row.absent = self.stage.missing(workload)
        if workload.cast is Cast.WORKERS and len(self.cpus.servers | self.cpus.client) < 2:
            row.absent = dict.fromkeys(workload.peers, "needs two CPUs")
            return row
        servers = self.stage.takes_part(workload)
        row.samples = {name: [] for name in servers}
        with placed(self.cpus.servers | self.cpus.client if workload.cast is Cast.WORKERS else self.cpus.client):
            documents = await self._documents(workload)
            for turn in range(self.turns + workload.warm):
                order = list(servers)[:: -1 if turn % 2 else 1]
                for name in order:
                    if name not in row.wrong:
                        self.told(f"{workload.name}: {name}")
                        await self._turn(workload, row, name, servers[name], turn, documents)
        for name in row.wrong:
            row.samples[name] = []
        return row

    async def _turn(self, workload: Workload, row: Row, name: str, server: Server, turn: int, documents: Sequence[bytes]) -> None:
        way = workload.peers.get(name, Way.SAME)
        asks = self.asks(workload, way, turn, len(documents))
        try:
            sample, tally = await self._measured(workload, server, asks, turn)
            if not tally.taken:
                raise Mismatch("not a single answer")
            if tally.wrong:
                raise Mismatch(", ".join(f"{count} x {what}" for what, count in tally.wrong.items()))
            if tally.received < len(tally.taken) * workload.least(self.scene):
                raise Mismatch(f"{tally.received} bytes in {len(tally.taken)} answers")
            self._check(workload, way, name, tally, documents)
        except (Mismatch, OSError) as error:
            row.wrong[name] = str(error)
            return
        if turn >= workload.warm:
            row.samples[name].append(sample)

    def _check(self, workload: Workload, way: Way, name: str, tally: Tally, documents: Sequence[bytes]) -> None:
        check = workload.check
        if way in (Way.FILE, Way.DOCUMENT):
            check = checking.same_as(documents)
        elif way is Way.SINK:
            check = checking.sunk
        studies: Sequence[Study] = self.held.get(self.stage.holder(name if way is not Way.CACHE else OURS, workload.cast), ())
        for answer in tally.kept:
            check(self.scene, studies, answer)

    async def _measured(self, workload: Workload, server: Server, asks: Iterator[Ask], turn: int) -> tuple[Sample, Tally]:
        server.reset_peak()
        idle, cpu = self.stage.idle.get(server.port) or server.resident(), server.cpu()
        seconds = self.seconds if workload.warm else FOREVER
        keep = workload.keep if workload.defers or turn == 0 else int(workload.unit != "MB")
        tally = await asked(server.port, asks, clients=workload.clients, seconds=seconds, keep=keep)
        wall = tally.wall + (await late(server) if workload.defers else 0.0)
        requests = max(1, len(tally.taken))
        sample = Sample(
            seconds=wall,
            requests=requests,
            units=requests * workload.units,
            moved=tally.sent + tally.received,
            cpu=server.cpu() - cpu,
            client=tally.cpu / tally.wall,
            idle=idle,
            peak=server.peak(),
            p50=quantile(tally.taken, 0.5) * 1e3,
            p99=quantile(tally.taken, 0.99) * 1e3,
            first_byte=quantile(tally.first_bytes, 0.5) * 1e3,
        )
        return sample, tally

    def asks(self, workload: Workload, way: Way, turn: int, documents: int) -> Iterator[Ask]:
        """What one server gets to do in a turn."""
        if way in (Way.FILE, Way.DOCUMENT):
            folder = "/document/" if way is Way.DOCUMENT else "/file/"
            return cycle([get(f"{folder}{workload.slug}-{index}") for index in range(documents)])
        asks = workload.asks(self.scene, turn)
        return iter(asks) if workload.once else cycle(asks)

    async def _documents(self, workload: Workload) -> list[bytes]:
        """What the gateway answers, as files for peers that only give files."""
        if not {Way.FILE, Way.DOCUMENT} & set(workload.peers.values()):
            return []
        asks = workload.asks(self.scene, 0)[: workload.documents]
        server = self.stage.servers(workload.cast)[OURS]
        tally = await asked(server.port, iter(asks), clients=1, seconds=FOREVER, keep=len(asks))
        for index, answer in enumerate(tally.kept):
            (self.stage.documents / f"{workload.slug}-{index}").write_bytes(answer.body)
        return [answer.body for answer in tally.kept]


async def _fill(server: Server, asks: Iterable[Ask]) -> None:
    tally = await asked(server.port, iter(asks), clients=2, seconds=FOREVER)
    if tally.wrong:
        raise RuntimeError(f"a server did not take what it is to hold: {dict(tally.wrong)}")
    await late(server)


async def late(server: Server) -> float:
    """Seconds for which a server goes on working. Returns when it rests."""
    start = last = time.perf_counter()
    used = server.cpu()
    while last - start < PATIENCE:
        await asyncio.sleep(WINDOW)
        now = server.cpu()
        if now - used < RESTS * WINDOW:
            break
        last, used = time.perf_counter(), now
    return last - start


@contextmanager
def placed(cpus: Iterable[int]) -> Iterator[None]:
    """This thread on those CPUs, and back."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cpus))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
