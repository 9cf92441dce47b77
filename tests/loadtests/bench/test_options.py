"""The command line."""

from __future__ import annotations

import pytest

from loadtests.bench import passing
from loadtests.bench.options import parsed
from loadtests.bench.peers import PEERS
from loadtests.bench.workloads import SUITES, WORKLOADS


def test_without_anything_all_runs_on_a_cpu_each() -> None:
    options = parsed([])
    assert (options.suites, options.peers, options.pinned, options.check) == (SUITES, PEERS, True, False)
    assert (options.turns, options.seconds, options.studies) == (5, 1.0, 1000)
    assert options.workloads == WORKLOADS and options.passing(passing.NAMES)
    assert (options.scene.turns, options.scene.frames, options.scene.large) == (6, 400, 1 << 30)


def test_quick_is_smaller_and_what_is_said_wins() -> None:
    options = parsed(["--quick", "--seconds", "3"])
    assert (options.turns, options.seconds, options.studies) == (2, 3.0, 200)
    assert options.scene.large < 1 << 30 and options.scene.turns == 3


def test_suites_and_text_pick_workloads() -> None:
    options = parsed(["--workloads", "stow,wado", "--only", "X 10"])
    assert [one.name for one in options.workloads] == ["STOW 0.5 MB x 10, 8 clients", "STOW 2.8 kB x 100, 1 client"]
    assert not options.passing(passing.NAMES)
    assert parsed(["--only", "small search"]).passing(passing.NAMES) and parsed(["--only", "small search"]).workloads == []


def test_facts_name_no_folder() -> None:
    facts = parsed(["--out", "/some/where", "--unpinned", "--peers", "nginx"]).facts()
    assert (facts["pinned"], facts["peers"], facts["repeats"]) == (False, ("nginx",), 5)
    assert "/some/where" not in str(facts)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workloads", "stow,wadu"], "wadu: known are wado"),
        (["--peers", "apache"], "apache: known are orthanc, nginx, bare"),
        (["--pinned", "--unpinned"], "not allowed with"),
        (["--check", "--write-baseline"], "not allowed with"),
        (["--repeats", "0"], "at least 1"),
        (["--studies", "99"], "--studies 100"),
        (["--seconds", "0"], "more than 0"),
    ],
)
def test_mistakes_are_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(words)
    assert ended.value.code == 2 and said in capsys.readouterr().err
