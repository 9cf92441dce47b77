"""What is printed and written."""

from __future__ import annotations

from io import StringIO

import orjson
import pytest
from rich.console import Console

from loadtests.bench import report
from loadtests.bench.figures import OURS, Goal, Row, Spread
from loadtests.bench.peers import NGINX, ORTHANC
from tests.loadtests.bench.made import row, sample

GOALS = (Goal(ORTHANC, "rate", 3.0), Goal(ORTHANC, "cpu", 2.0, stretch=3.5), Goal(NGINX, "rate", 0.5))


def measured() -> Row:
    made = row([sample(100, client=0.95), sample(80)], [sample(50, cpu=2.0), sample(40, cpu=2.0)], *GOALS)
    made.absent = {NGINX: "not installed"}
    return made


def printed(*rows: Row) -> str:
    out = StringIO()
    report.shown(rows, Console(file=out, width=report.WIDTH))
    return out.getvalue()


@pytest.mark.parametrize(("value", "text"), [(0.01234, "0.0123"), (1.5, "1.5"), (99.96, "100"), (12345.6, "12,346")])
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert report.number(value) == text


def test_a_spread_of_one_value_is_that_value() -> None:
    assert report.spread(Spread(2.0, 2.0, 2.0), "x") == "2x"
    assert report.spread(Spread(2.0, 1.0, 3.0), "x") == "2x (1..3)"
    assert report.spread(None) == "-"


def test_verdicts_say_what_was_wanted_and_what_is() -> None:
    assert [report.verdict(measured(), goal) for goal in GOALS] == [
        "rate >= 3x: NOT MET (2)",
        "cpu >= 2x: met, and the stretch (4)",
        "rate >= 0.5x: not measured",
    ]
    assert report.verdict(row([sample(1, first_byte=7)]), Goal("", "first byte", 20)) == "first byte <= 20 ms: met (7)"


def test_the_table_has_a_line_a_server_with_ratios_and_marks() -> None:
    lines = printed(measured()).splitlines()
    ours, theirs = (next(line for line in lines[2:] if f" {name} " in line) for name in (OURS, ORTHANC))
    assert "a workload: requests/s" in ours and "90 (80..100)*" in ours
    assert "2x; CPU 4x" in theirs and "rate >= 3x: NOT MET (2)" in theirs and "45 (40..50) " in theirs
    assert any(NGINX in line and "not installed" in line for line in lines)


def test_wrong_answers_are_in_the_table() -> None:
    made = row([sample(1)])
    made.wrong = {ORTHANC: "3 x status 500"}
    assert "wrong: 3 x status" in printed(made)


def test_markdown_has_a_line_a_workload() -> None:
    header, rule, line = report.markdown([measured()], [ORTHANC, NGINX]).splitlines()
    assert header == "| workload | gateway | orthanc | nginx | goals |" and rule.count("---") == 5
    assert line.startswith("| a workload | 90 (80..100) requests/s | 2x; CPU 4x |  | orthanc rate >= 3x: NOT MET (2); ")


def test_the_json_has_every_sample_and_what_follows() -> None:
    made = orjson.loads(report.document([measured()], {"cpus": 2}, {"quick": True}))
    assert (made["machine"], made["options"]) == ({"cpus": 2}, {"quick": True})
    (found,) = made["rows"]
    assert {"name", "suite", "unit", "servers", "ratios", "goals", "wrong", "absent"} == set(found)
    assert found["servers"][ORTHANC]["rate"] == {"median": 45.0, "low": 40.0, "high": 50.0}
    assert [one["requests"] for one in found["servers"][OURS]["samples"]] == [100, 80]
    assert found["servers"][OURS]["client_was_the_limit"] is True
    assert found["ratios"] == {ORTHANC: {"rate": 2.0, "cpu": 4.0}}
    assert [goal["met"] for goal in found["goals"]] == [False, True, None]
