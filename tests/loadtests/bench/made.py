"""Samples and rows for tests."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.bench.figures import MIB, OURS, Goal, Row, Sample
from loadtests.bench.peers import ORTHANC


def sample(rate: float, *, cpu: float = 1.0, peak: int = 0, idle: int = 0, client: float | None = None, first_byte: float = 0) -> Sample:
    """A second in which `rate` requests of a MB each went through."""
    return Sample(
        seconds=1.0,
        requests=int(rate),
        units=rate,
        moved=int(rate * 1_000_000),
        cpu=cpu,
        client=client,
        idle=idle * MIB,
        peak=peak * MIB,
        p50=1e3 / rate,
        p99=2e3 / rate,
        first_byte=first_byte,
    )


def row(
    ours: Sequence[Sample],
    theirs: Sequence[Sample] = (),
    *goals: Goal,
    name: str = "a workload",
    suite: str = "wado",
    unit: str = "requests",
) -> Row:
    """The gateway beside Orthanc."""
    made = Row(name, suite, unit, goals)
    made.samples = {OURS: list(ours)} | ({ORTHANC: list(theirs)} if theirs else {})
    return made
