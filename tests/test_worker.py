"""The entry of a worker: its name in the metrics, and what it cleans up. tests/test_cli.py runs it as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway import worker
from tests import tiny

COUNTING = """
import os, sys
from gateway import worker
worker.name_metrics(int(sys.argv[1]))
from prometheus_client import Counter
Counter("things", "Things.").inc()
"""


def count(slot: int, folder: Path) -> None:
    """Counts one thing in a process of its own."""
    subprocess.run([sys.executable, "-c", COUNTING, str(slot)], env={worker.METRICS: str(folder)}, cwd=tiny.ROOT, check=True)


def test_a_restarted_worker_goes_on_with_the_files_of_its_slot(tmp_path: Path) -> None:
    for slot in (0, 1, 1, 1):
        count(slot, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_0.db", "counter_1.db"]


def test_a_process_alone_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from prometheus_client import values

    monkeypatch.delenv(worker.METRICS, raising=False)
    before = values.ValueClass
    worker.name_metrics(7)
    assert values.ValueClass is before


def test_only_a_folder_of_our_own_making_is_removed(tmp_path: Path) -> None:
    ours, chosen = tmp_path / f"{worker.OWN_FOLDER}abc", tmp_path / "chosen"
    for folder in (ours, chosen):
        folder.mkdir()
        (folder / "counter_0.db").touch()
        worker._remove_orphaned_metrics(folder)
    assert not ours.exists()
    assert (chosen / "counter_0.db").exists()
