"""One workload against the gateway while a profiler looks at it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench.client import asked
from loadtests.bench.figures import OURS
from loadtests.bench.processes import Server
from loadtests.bench.rounds import FOREVER, Run, placed
from loadtests.bench.workloads import Way, Workload
from loadtests.profiling import layers

RATE = 300
"""Samples a second: each costs the gateway a fraction of a millisecond."""

ATTACH = 1.0
"""Seconds until the profiler looks."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Profile:
    """Where the time of a workload goes.

    :param requests: how many were answered. :param cpu: seconds of CPU time, of all processes of the gateway.
    :param kernel: the share of it that was spent in the kernel.
    :param samples: of Python code at work, by layer. :param functions: the innermost ones, with their samples.
    """

    name: str
    requests: int
    cpu: float
    kernel: float
    samples: Counter[str]
    functions: Sequence[tuple[str, int]]

    def shares(self) -> list[tuple[str, float]]:
        """Layers, the largest first, as shares of all samples."""
        total = max(1, sum(self.samples.values()))
        return [(name, count / total) for name, count in self.samples.most_common()]


def profiler() -> str:
    """The command. :raises FileNotFoundError: where it is not installed."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise FileNotFoundError("py-spy is not installed (pip install '.[bench]')")
    return found


async def profiled(run: Run, workload: Workload, seconds: float, folder: Path) -> Profile:
    """Sends a workload to the gateway for so many seconds, after a turn that warms up.

    :param run: whose servers hold what the workload needs (`Run.fill`).
    """
    server = run.stage.servers(workload.cast)[OURS]
    raw = folder / "samples.txt"
    with placed(run.cpus.client):
        await _turn(run, workload, server, 0, seconds / 4)
        before, requests, turn = _times(server), 0, 0
        process = await asyncio.create_subprocess_exec(
            *(profiler(), "record", "--gil", "--rate", str(RATE), "--format", "raw", "--duration", "3600"),
            *("--output", str(raw), "--pid", str(server.pids[0])),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await asyncio.sleep(ATTACH)
            end = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < end and turn + 1 < run.scene.turns:
                turn += 1
                requests += await _turn(run, workload, server, turn, end - asyncio.get_running_loop().time())
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()
    user, kernel = (now - then for now, then in zip(_times(server), before, strict=True))
    lines = raw.read_text().splitlines() if raw.exists() else []
    cpu = user + kernel
    return Profile(workload.name, requests, cpu, kernel / max(cpu, 1e-9), layers.summed(lines), layers.innermost(lines, 8))


async def _turn(run: Run, workload: Workload, server: Server, turn: int, seconds: float) -> int:
    asks = run.asks(workload, Way.SAME, turn, 0)
    tally = await asked(server.port, asks, clients=workload.clients, seconds=FOREVER if workload.once else seconds, keep=0)
    return len(tally.taken)


def _times(server: Server) -> tuple[float, float]:
    """Seconds of CPU time of all its processes, in programs and in the kernel."""
    user = kernel = 0
    for pid in server.tree():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended in between
            continue
        user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user / _TICKS, kernel / _TICKS
