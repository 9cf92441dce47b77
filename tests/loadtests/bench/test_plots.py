"""Pictures of ratios."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.bench import plots
from loadtests.bench.figures import Goal, Spread
from loadtests.bench.peers import ORTHANC
from tests.loadtests.bench.made import row, sample

GOALS = (Goal(ORTHANC, "rate", 2.0), Goal(ORTHANC, "cpu", 9.0), Goal("", "over idle", 32))
ROWS = [row([sample(100), sample(90)], [sample(50), sample(30)], *GOALS), row([sample(4)], [sample(2)], name="another"), row([sample(1)])]


def test_there_is_a_bar_for_each_goal_and_one_for_a_row_without() -> None:
    found = plots.bars(ROWS, ORTHANC)
    assert [(label, None if goal is None else goal.value) for label, _, goal in found] == [
        ("a workload", 2.0),
        ("a workload: CPU time", 9.0),
        ("another", None),
    ]
    assert found[0][1] == Spread(2.5, 2.0, 3.0)


def test_colours_say_what_is_reached() -> None:
    ratio = Spread(2.5, 2.0, 3.0)
    wanted = [None, Goal(ORTHANC, "rate", 2.0), Goal(ORTHANC, "rate", 3.0)]
    assert [plots.colour(ratio, goal) for goal in wanted] == [plots.NO_GOAL, plots.MET, plots.MISSED]


@pytest.mark.parametrize(("kind", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_there_is_a_picture_for_each_peer(tmp_path: Path, kind: str, begin: bytes) -> None:
    (path,) = plots.drawn(ROWS, tmp_path, kind)
    assert path.name == f"ratios-orthanc.{kind}" and path.read_bytes().startswith(begin)


def test_without_ratios_there_is_none(tmp_path: Path) -> None:
    assert plots.drawn([row([sample(1)])], tmp_path) == []
