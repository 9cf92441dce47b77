"""Runs the benchmark, prints it, and writes it down.

    python -m loadtests.bench [--workloads stow,wado] [--only TEXT] [--quick] [--check | --write-baseline] [--help]

Exit codes: 0, 1 when a server gave wrong answers or a ratio is lost (`--check`), 2 when a ratio could not be compared.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loadtests.bench import baseline, machine, passing, plots, report
from loadtests.bench.figures import OURS, Row
from loadtests.bench.options import Options, parsed
from loadtests.bench.rounds import Run
from loadtests.bench.stage import Cpus, Stage
from loadtests.bench.workloads import PASSING, WORKLOADS, Cast

BUSY = 0.5
"""Load from which on a machine is not quiet."""


def run(options: Options, folder: Path, progress: Progress) -> list[Row]:
    """All rows. :param folder: for data of the servers."""
    cpus = Cpus.chosen(options.pinned)
    task = progress.add_task("starting", total=None)

    def told(what: str) -> None:
        progress.update(task, advance=1, description=what)

    with ExitStack() as held:
        stage = Stage(held, folder, options.peers, cpus)
        progress.update(task, total=_rounds(options, stage))
        rows = _measured(options, Run(stage, options.scene, cpus, options.seconds, options.turns, told))
    if options.passing(passing.NAMES):
        told("passing through")
        through = folder / PASSING
        through.mkdir()
        rows += passing.rows(through, options.scene.large // 4, options.turns, options.peers, options.only)
    return rows


def _measured(options: Options, turns: Run) -> list[Row]:
    async def all_of_them() -> list[Row]:
        await turns.fill(options.workloads)
        return [await turns.row(workload) for workload in options.workloads]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(all_of_them()) if options.workloads else []


def _rounds(options: Options, stage: Stage) -> int:
    """How often `told` is called, about."""
    found = sum(value is not None for value in stage.needs(options.workloads).values() if value)
    for one in options.workloads:
        there = len(one.peers) if one.cast is Cast.WORKERS else len(set(one.peers) - set(stage.missing(one)))
        found += (1 + there) * (options.turns + one.warm)
    return found + options.passing(passing.NAMES)


def written(options: Options, rows: list[Row], facts: dict[str, Any]) -> None:
    """JSON, Markdown and pictures into a folder."""
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_bytes(report.document(rows, facts, options.facts()))
    peers = list(dict.fromkeys(peer for row in rows for peer in row.peers))
    (options.out / "bench.md").write_text(report.markdown(rows, peers))
    try:
        plots.drawn(rows, options.out)
    except ImportError:
        sys.stderr.write("No pictures: they need matplotlib (pip install '.[bench]').\n")


def judged(options: Options, rows: list[Row], facts: dict[str, Any]) -> int:
    """The exit code, after what is to be said of wrong answers and of the baseline."""
    sys.stderr.writelines(f"{row.name}: {name} was wrong: {why}\n" for row in rows for name, why in row.wrong.items())
    ran = [row.name for row in rows]
    if options.write_baseline:
        baseline.write(baseline.FILE, baseline.ratios(rows), facts, options.facts(), ran)
    code = int(any(OURS in row.wrong for row in rows))
    if options.check:
        found = baseline.compare(baseline.read(), baseline.ratios(rows), ran, [*(one.name for one in WORKLOADS), *passing.NAMES])
        sys.stdout.write(f"{found}\n")
        code = code or found.code
    return code


def main(arguments: list[str] | None = None) -> int:
    """The whole of it; the exit code."""
    options = parsed(arguments)
    if options.check and (unlike := baseline.unlike(baseline.read(), options.facts())):
        sys.stderr.write("This run cannot be held against the baseline.\n" + "\n".join(unlike) + "\n")
        return baseline.INCOMPLETE
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    begin = time.monotonic()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as name:
        folder = Path(name)
        facts = machine.facts(folder)
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            rows = run(options, folder, progress)
    facts |= {"load_after": round(os.getloadavg()[0], 2), "seconds": round(time.monotonic() - begin)}
    if facts["load_before"] > BUSY:
        sys.stderr.write(f"The load was {facts['load_before']} before this began: others worked here, and figures say little.\n")
    report.shown(rows, Console(width=None if sys.stdout.isatty() else report.WIDTH))
    written(options, rows, facts)
    return judged(options, rows, facts)


if __name__ == "__main__":
    sys.exit(main())
