"""locust as a process of its own, ended as soon as it has done what a test waits for."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
SECONDS = 90
"""How long a run may last that never does what is waited for."""

NAME = 28
"""Characters of the first column in the table at the end."""


@dataclass(frozen=True)
class Kind:
    requests: int
    failures: int
    waits: int


@dataclass(frozen=True)
class Run:
    """How a run ended. :param kinds: the rows of the table at the end, "all" among them."""

    code: int
    kinds: dict[str, Kind]
    log: str

    def clean(self, *kinds: str) -> bool:
        """Nothing failed, and each of these kinds of requests was answered."""
        return self.code == 0 and self.kinds["all"].failures == 0 and all(self.kinds[kind].requests for kind in kinds)


def load(folder: Path, host: str, *flags: str, until: Collection[str] = (), environment: dict[str, str] | None = None) -> Run:
    """Runs locust until each of `until` was counted once, or until it ends by itself.

    :param until: names of requests. Without any it has to end by itself.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "LOCUST_SKIP_MONKEY_PATCH"}
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "--only-summary", "--stop-timeout", "5"]
    command += ["--host", host, "--csv", str(folder / "run"), "--spawn-rate", "100", *flags]
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=log, env=inherited | (environment or {}), preexec_fn=hear_ctrl_c)
        try:
            wait(process, folder / "run_stats.csv", set(until))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # as Ctrl-C: while a day passes, locust knows no other way to end well
            process.wait(30)
    return Run(process.returncode, table((folder / "out").read_text()), (folder / "log").read_text())


def hear_ctrl_c() -> None:
    """In the new process: who runs the tests in the background of a shell has SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait(process: subprocess.Popen[bytes], counted: Path, until: set[str]) -> None:
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end and not (until and until <= names(counted)):
        time.sleep(0.1)


def names(counted: Path) -> set[str]:
    if not counted.exists():
        return set()
    return {row[1] for row in csv.reader(counted.read_text().splitlines()) if len(row) > 2}


def table(text: str) -> dict[str, Kind]:
    lines = [line for line in text.splitlines() if len(line.split()) > 5 and not line.startswith("kind")]
    found = {}
    for line in lines:
        requests, _, failures, waits, *_ = line[NAME:].split()
        found[line[:NAME].rstrip()] = Kind(int(requests), int(failures), int(waits))
    return found
