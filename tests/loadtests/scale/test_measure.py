"""One small store, measured from its making to its figures by the command itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson

from loadtests.scale.measure import index_sizes

ROOT = Path(__file__).parents[3]


def test_the_command_fills_a_store_asks_it_and_leaves_figures(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    few = ("--only", "OHIF", "--requests", "20", "--stored", "20", "--settled", "40", "--cpus", f"{cpu},{cpu}")
    command = [sys.executable, "-m", "loadtests.scale", "--instances", "200", "--out", str(tmp_path), *few]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [figures] = orjson.loads((tmp_path / "figures.json").read_bytes())
    assert (figures["instances"], figures["studies"]) == (200, 10) and figures["store_rate"] > 0 and figures["index"] > 0
    assert 0 < figures["idle"] <= figures["later"] * 2
    for by_clients in figures["cases"].values():
        assert by_clients.keys() == {"1", "16"}
        assert all(0 < one["p50"] <= one["p99"] and one["requests"] == 20 for one in by_clients.values())
    assert len(figures["cases"]) == 4
    assert "OHIF's list, last page" in done.stdout and (tmp_path / "table.md").read_text() in done.stdout
    assert (tmp_path / "cost.svg").exists()
    sizes = index_sizes(tmp_path / "stores" / "200" / "default" / "index.sqlite")
    assert {"study", "series", "instance", "study_keys", "block"} <= sizes.keys()
