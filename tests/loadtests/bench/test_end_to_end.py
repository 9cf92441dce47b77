"""The command, once."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from loadtests.bench import baseline
from loadtests.bench.__main__ import main
from loadtests.bench.figures import OURS
from loadtests.bench.peers import BARE

WORDS = ["--only", "2.8 kB x 100", "--peers", "bare", "--repeats", "1", "--seconds", "0.1", "--studies", "100"]
NAME = "STOW 2.8 kB x 100, 1 client"


def test_a_run_prints_and_writes_and_is_held_against_its_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baseline.json"
    monkeypatch.setattr(baseline, "FILE", path)
    monkeypatch.setattr(baseline, "read", lambda _=path: orjson.loads(path.read_bytes()))
    out = tmp_path / "out"
    folder = tmp_path / "not" / "there" / "yet"
    assert main([*WORDS, "--write-baseline", "--out", str(out), "--folder", str(folder)]) == 0
    assert not list(folder.iterdir())  # it is left as it was found
    printed = capsys.readouterr().out
    assert NAME.split(",")[0] in printed and "instances/s" in printed

    made = orjson.loads((out / "bench.json").read_bytes())
    (row,) = made["rows"]
    assert (row["name"], set(row["servers"]), row["wrong"]) == (NAME, {OURS, BARE}, {})
    assert made["options"]["peers"] == [BARE] and made["machine"]["cpus"] >= 1 and made["machine"]["seconds"] >= 0
    assert str(tmp_path) not in (out / "bench.json").read_text()
    assert (out / "ratios-bare.svg").stat().st_size > 1000
    assert (out / "bench.md").read_text().count("\n") == 3

    known = orjson.loads(path.read_bytes())
    assert known["ratios"][NAME][BARE].keys() == {"rate", "cpu"}
    known["ratios"][NAME]["nginx"] = {"rate": 1.0}
    path.write_bytes(orjson.dumps(known | {"tolerance": 0.999}))
    assert main([*WORDS, "--check", "--out", str(out)]) == baseline.INCOMPLETE
    assert f"{NAME}, rate against nginx: not measured" in capsys.readouterr().out


def test_a_run_with_other_options_ends_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(baseline, "read", lambda: {"options": {"quick": False, "studies": 1000}})
    assert main([*WORDS, "--quick", "--check", "--out", str(tmp_path / "out")]) == baseline.INCOMPLETE
    assert "studies: the baseline has 1000, this run 100" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
