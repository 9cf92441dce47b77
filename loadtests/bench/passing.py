"""What passing through costs, as rows: `loadtests.passthrough` measures, with a gateway and an origin of its own.

These rows are pinned in every run, for client and origin share a CPU: without that nothing could be told of the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from loadtests import passthrough
from loadtests.bench.figures import OURS, Goal, Row, Sample
from loadtests.bench.peers import BARE, NGINX, installed
from loadtests.bench.rounds import placed
from loadtests.bench.workloads import PASSING

DIRECT = "direct"
_NAMES = {passthrough.GATEWAY: OURS, passthrough.NGINX: NGINX, passthrough.BARE: BARE, passthrough.DIRECT: DIRECT}

GOALS = {
    "down": (Goal(NGINX, "rate", 0.6, stretch=0.85), Goal(BARE, "rate", 0.9, stretch=1.3)),
    "up": (Goal(NGINX, "rate", 0.45, stretch=0.7), Goal(BARE, "rate", 0.9, stretch=1.3)),
    "small search": (Goal(DIRECT, "extra", 1.0), Goal(NGINX, "rate", 0.25, stretch=0.5), Goal(BARE, "rate", 0.9)),
}
"""By its names of the cases."""

NAMES = [f"passed through: {case}" for case in GOALS]


def rows(folder: Path, size: int, turns: int, chosen: Iterable[str], only: str = "") -> list[Row]:
    """A row a case. :param size: bytes of the large instance. :param chosen: the peers that are to take part.

    :param only: text that their names contain.
    """
    there = sorted(os.sched_getaffinity(0))
    front, back = there[0], there[1 % len(there)]
    with ExitStack() as held, placed([back]):
        found = passthrough.servers(held, folder, size, (front, back))
        wanted = {name: server for name, server in found.items() if _NAMES[name] in (OURS, DIRECT, *chosen)}
        results = passthrough.measured(wanted, size, turns)
    return [row(case, by_server) for case, by_server in results.items() if only in f"passed through: {case}".lower()]


def row(case: str, by_server: dict[str, passthrough.Figures]) -> Row:
    """One case."""
    made = Row(f"passed through: {case}", PASSING, "requests" if case == "small search" else "MB", GOALS[case])
    made.samples = {_NAMES[name]: _samples(figures) for name, figures in by_server.items()}
    why = installed()
    made.absent = {name: why.get(name, "was not asked for") for name in (NGINX, BARE) if name not in made.samples}
    return made


def _samples(figures: passthrough.Figures) -> list[Sample]:
    """They are of one request, on the average of a round."""
    pairs = zip(figures.seconds, figures.cpu, strict=True)
    return [Sample(seconds=seconds, requests=1, units=1, moved=figures.bytes, cpu=cpu, p50=seconds * 1e3) for seconds, cpu in pairs]
