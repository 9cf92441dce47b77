"""A workload under a profiler that is none: what py-spy sees is py-spy's business, and what is made of it is in test_layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loadtests.profiling import recording
from loadtests.profiling.__main__ import main, row
from loadtests.profiling.recording import Profile

STAND_IN = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
trap 'exit 0' INT
echo "run (asyncio/runners.py:118);search (gateway/web/qido.py:31) 3" >"$2"
while :; do sleep 0.05; done
"""


def test_a_workload_is_looked_at_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in = tmp_path / "py-spy"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    monkeypatch.setattr("loadtests.profiling.__main__.profiler", lambda: str(stand_in))
    monkeypatch.setattr(recording, "profiler", lambda: str(stand_in))
    monkeypatch.setattr(recording, "ATTACH", 0.2)
    assert main(["--workloads", "qido", "--only", "PatientID", "--seconds", "0.4", "--studies", "100", "--functions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| search by PatientID") and lines[2].endswith("| services 100% |") and " ms | " in lines[2]
    assert lines[-1].split(maxsplit=1) == ["3", "search (gateway/web/qido.py)"]


def test_a_row_names_what_is_large() -> None:
    profile = Profile("x", 200, 0.1, 0.25, Counter({"aiohttp": 70, "services": 28, "log": 2}), [])
    assert row(profile) == "| x | 0.5 ms | 25% | aiohttp 70%, services 28% |"
    assert row(Profile("none", 0, 0.0, 0.0, Counter(), [])) == "| none | 0 ms | 0% |  |"


def test_without_a_profiler_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> str:
        raise FileNotFoundError("py-spy is not installed (pip install '.[bench]')")

    monkeypatch.setattr("loadtests.profiling.__main__.profiler", missing)
    with pytest.raises(SystemExit):
        main([])
    assert "pip install '.[bench]'" in capsys.readouterr().err
