"""The entry of one serving process: what must be settled before the rest of the gateway is imported.

Metrics choose at import how they count. So this module imports nothing that counts until it has named the process.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from gateway import logs
from gateway.config import Settings

METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which the metrics of several processes are added up."""

OWN_FOLDER = "gateway-metrics-"
"""How the name of a metrics folder begins that the supervisor made, and that goes with it."""


def run(settings: Settings, *, slot: int = 0, parent: int | None = None, announce: Callable[[str], None] | None = None) -> int:
    """Serves in this process until a signal; returns the exit code.

    :param slot: the worker's number from 0.
    :param parent: a descriptor that reads end-of-file when the supervisor is gone; None without a supervisor.
    :param announce: is told the URL once the port is open.
    """
    name_metrics(slot)
    from gateway import metrics
    from gateway.app import build
    from gateway.serving import serve

    logs.configure(settings.log.level, settings.log.format, on_drop=metrics.LOG_DROPPED.inc)
    try:
        return serve(settings, build, slot=slot, parent=parent, announce=announce)
    finally:
        logs.close()


def name_metrics(slot: int) -> None:
    """Names this process's metric files by its slot, so that a restarted worker goes on with the files of its forerunner."""
    if METRICS in os.environ:
        from prometheus_client import values

        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # the library annotates other parts only


def main() -> int:
    """A supervised worker: ``python -m gateway.worker SLOT``, with pickled settings on standard input, which stays open."""
    supervisor = os.getppid()
    settings: Settings = pickle.load(sys.stdin.buffer)  # noqa: S301 - comes from the supervisor, our own parent process
    code = run(settings, slot=int(sys.argv[1]), parent=sys.stdin.fileno())
    if os.getppid() != supervisor:
        _remove_orphaned_metrics(Path(os.environ[METRICS]))
    return code


def _remove_orphaned_metrics(folder: Path) -> None:
    """A supervisor that was killed could not clean up."""
    if folder.name.startswith(OWN_FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
