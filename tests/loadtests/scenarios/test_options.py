from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.scenarios import options


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_to(parser)
    return parser.parse_args(words)


def test_a_page_names_every_option_and_user() -> None:
    page = subprocess.run(
        [sys.executable, "-m", "loadtests.locustfile"], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    ).stdout
    assert all(f"--{name.replace('_', '-')}" in page for name in vars(parsed()))
    assert all(f"`{name}`" in page for name in ("Modality", "Viewer", "Archive", "HospitalDay"))


def test_what_is_assumed() -> None:
    assert vars(parsed()) == {
        "slices": 20,
        "size": "ct",
        "seed": -1,
        "stored": 0,
        "per_request": 10,
        "pause": 1.0,
        "day": False,
        "token_file": "",
        "to": "",
        "to_token_file": "",
        "to_share": 0.5,
    }


def test_what_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    found = parsed("--size", "16x16x3", "--day", "--to", "https://archive.example:8042/dicom-web/", "--token-file", str(tmp_path / "token"))
    assert (found.size, found.day, found.to) == ("16x16x3", True, "https://archive.example:8042/dicom-web")
    assert found.token_file == str(tmp_path / "token")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--slices", "0"], "1 to 99999"),
        (["--slices", "many"], "invalid whole number value: 'many'"),
        (["--size", "huge"], "a size is one of small, ct"),
        (["--pause", "-1"], "0 to 86400"),
        (["--pause", "nan"], "0 to 86400"),
        (["--to-share", "1.1"], "0 to 1"),
        (["--token-file", "nowhere"], "nowhere: No such file"),
        (["--token-file", "."], "Is a directory"),
        (["--token-file", "/dev/null"], "has to hold one token, and holds 0"),
        (["--to", "localhost:8042"], "a base URL is like"),
        (["--to", "http:///dicom-web"], "a base URL is like"),
        (["--to", "http://a/dicom-web?x=1"], "a base URL is like"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert message in capsys.readouterr().err
