"""Where the gateway's CPU time goes, a line for each workload of the benchmark.

python -m loadtests.profiling [--workloads qido,stow] [--only TEXT] [--seconds 5] [--studies 1000] [--functions]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvloop

from loadtests.bench.rounds import Run
from loadtests.bench.scene import Scene
from loadtests.bench.stage import Cpus, Stage
from loadtests.bench.workloads import SUITES, WORKLOADS, Cast, Workload
from loadtests.profiling.recording import Profile, profiled, profiler

LEAST = 0.03
"""Layers with a smaller share are not named."""

TURNS = 8
"""Of workloads that send each request once."""


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.profiling", description=__doc__)
    parser.add_argument("--workloads", default=",".join(SUITES), metavar="NAMES", help=f"with commas, of {', '.join(SUITES)} [all]")
    parser.add_argument("--only", default="", metavar="TEXT", help="workloads whose name contains this")
    parser.add_argument("--seconds", type=float, default=5.0, help="for which each is looked at")
    parser.add_argument("--studies", type=int, default=1000, help="in the index that searches go over")
    parser.add_argument("--functions", action="store_true", help="also the functions that were seen innermost the most often")
    chosen = parser.parse_args(arguments)
    try:
        profiler()
    except FileNotFoundError as error:
        parser.error(str(error))
    wanted = [one for one in WORKLOADS if one.suite in chosen.workloads.split(",") and chosen.only.lower() in one.name.lower()]
    wanted = [one for one in wanted if one.cast is not Cast.WORKERS and one.suite != "memory"]
    with ExitStack() as held, tempfile.TemporaryDirectory(prefix="profile-") as name:
        stage = Stage(held, Path(name), (), Cpus.chosen(True))
        run = Run(stage, Scene(studies=chosen.studies, turns=TURNS), Cpus.chosen(True), chosen.seconds, TURNS, lambda what: None)
        _printed(run, wanted, chosen.seconds, Path(name), functions=chosen.functions)
    return 0


def _printed(run: Run, wanted: list[Workload], seconds: float, folder: Path, *, functions: bool) -> None:
    """Rows of a Markdown table as they come, and below it the functions."""
    found: list[Profile] = []

    async def all_of_them() -> None:
        await run.fill(wanted)
        say("| workload | CPU a request | in the kernel | Python at work |\n| --- | --- | --- | --- |")
        for workload in wanted:
            profile = await profiled(run, workload, seconds, folder)
            found.append(profile)
            say(row(profile))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_of_them())
    for profile in found if functions else ():
        say(f"\n{profile.name}\n" + "\n".join(f"    {count:6} {function}" for function, count in profile.functions))


def row(profile: Profile) -> str:
    """A line of the table."""
    layers = ", ".join(f"{name} {share:.0%}" for name, share in profile.shares() if share >= LEAST)
    cpu = profile.cpu / max(1, profile.requests) * 1e3
    return f"| {profile.name} | {cpu:.3g} ms | {profile.kernel:.0%} | {layers} |"


def say(text: str) -> None:
    """A line at once: the whole takes minutes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
