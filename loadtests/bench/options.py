"""What can be chosen on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.bench.peers import PEERS
from loadtests.bench.scene import Scene
from loadtests.bench.workloads import PASSING, SUITES, WORKLOADS, Workload

OUT = Path("data/bench")


@dataclass(frozen=True)
class Options:
    """A run. :param suites: or none for all. :param turns: of each workload, those that warm up aside."""

    suites: tuple[str, ...]
    only: str
    peers: tuple[str, ...]
    pinned: bool
    turns: int
    seconds: float
    studies: int
    quick: bool
    out: Path
    folder: Path | None
    check: bool
    write_baseline: bool

    @property
    def scene(self) -> Scene:
        """How much there is of everything."""
        if self.quick:
            return Scene(studies=self.studies, frames=60, turns=self.turns + 1, large=256 << 20)
        return Scene(studies=self.studies, turns=self.turns + 1)

    @property
    def workloads(self) -> list[Workload]:
        """Those of the table that are to run."""
        return [one for one in WORKLOADS if one.suite in self.suites and self.only in one.name.lower()]

    def passing(self, names: Sequence[str]) -> bool:
        """Whether any of the rows that only pass bytes through is to run."""
        return PASSING in self.suites and any(self.only in name.lower() for name in names)

    def facts(self) -> dict[str, Any]:
        """For the JSON; no paths."""
        return {
            "suites": self.suites,
            "only": self.only,
            "peers": self.peers,
            "pinned": self.pinned,
            "repeats": self.turns,
            "seconds": self.seconds,
            "studies": self.studies,
            "quick": self.quick,
        }


def parsed(arguments: Sequence[str] | None = None) -> Options:
    """Of the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.description = "The gateway beside Orthanc, nginx and a bare aiohttp server: see docs/benchmark.md."
    add = parser.add_argument
    add("--workloads", type=_among(SUITES), default=SUITES, metavar="NAMES", help=f"with commas, of {', '.join(SUITES)} [all]")
    add("--only", default="", metavar="TEXT", help="workloads whose name contains this")
    add("--peers", type=_among(PEERS), default=PEERS, metavar="NAMES", help=f"with commas, of {', '.join(PEERS)} [all that are installed]")
    pins = parser.add_mutually_exclusive_group()
    pins.add_argument("--pinned", action="store_true", default=True, help="servers on one CPU, client on another, if there are two [so]")
    pins.add_argument("--unpinned", dest="pinned", action="store_false", help="all wherever the kernel likes")
    add("--repeats", type=int, help="turns of each workload on each server [5; quick 2]")
    add("--seconds", type=float, help="length of a turn; slow servers finish what they began [1; quick 0.25]")
    add("--studies", type=int, help="studies in the index that searches go over [1000; quick 200]")
    add("--quick", action="store_true", help="small figures, to see that everything works")
    add("--out", type=Path, default=OUT, help=f"folder for JSON, table and pictures [{OUT}]")
    add("--folder", type=Path, help="where the servers keep their data while it runs, some 20 GiB of a real disk [a temporary folder]")
    judging = parser.add_mutually_exclusive_group()
    judging.add_argument(
        "--check", action="store_true", help="hold the ratios against the baseline: 1 when one is lost, 2 when one is missing"
    )
    judging.add_argument("--write-baseline", action="store_true", help="make this run the baseline")
    chosen = parser.parse_args(arguments)
    for name, (whole, quick) in _DEFAULTS.items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, quick if chosen.quick else whole)
    if chosen.repeats < 1 or chosen.studies < LEAST_STUDIES or chosen.seconds <= 0:
        parser.error(f"--repeats is at least 1, --studies {LEAST_STUDIES}, and --seconds more than 0")
    return Options(
        suites=tuple(chosen.workloads),
        only=chosen.only.lower(),
        peers=tuple(chosen.peers),
        pinned=chosen.pinned,
        turns=chosen.repeats,
        seconds=chosen.seconds,
        studies=chosen.studies,
        quick=chosen.quick,
        out=chosen.out,
        folder=chosen.folder,
        check=chosen.check,
        write_baseline=chosen.write_baseline,
    )


_DEFAULTS: dict[str, tuple[float, float]] = {"repeats": (5, 2), "seconds": (1.0, 0.25), "studies": (1000, 200)}
"""In full, and quick."""

LEAST_STUDIES = 100
"""With fewer, a page of 50 has no other place than the first."""


def _among(known: Sequence[str]) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if strangers := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(strangers))}: known are {', '.join(known)}")
        return names

    return parse
