"""What counts as a loss, and what as missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtests.bench import baseline, passing
from loadtests.bench.baseline import FINE, INCOMPLETE, LOST, compare, ratios, read, tolerance, unlike, write
from loadtests.bench.peers import ORTHANC
from loadtests.bench.workloads import WORKLOADS
from tests.loadtests.bench.made import row, sample

KNOWN: dict[str, Any] = {
    "tolerance": 0.25,
    "tolerances": {"b": {"tolerance": 0.5, "reason": "its disk is slow on Sundays"}},
    "options": {"pinned": True, "quick": False, "studies": 1000},
    "ratios": {"a": {"orthanc": {"rate": 4.0, "cpu": 2.0}}, "b": {"nginx": {"rate": 1.0}}},
}
OPTIONS = {"pinned": True, "quick": False, "studies": 1000, "seconds": 3}


def now(a: float, b: float, cpu: float = 2.0) -> dict[str, dict[str, dict[str, float]]]:
    return {"a": {"orthanc": {"rate": a, "cpu": cpu}}, "b": {"nginx": {"rate": b}}}


@pytest.mark.parametrize(("a", "b"), [(4.0, 1.0), (3.0, 1.0), (9.0, 0.5)])
def test_within_tolerance_all_is_fine(a: float, b: float) -> None:
    found = compare(KNOWN, now(a, b), "ab", "ab")
    assert (found.code, found.lost, found.missing, found.compared) == (FINE, [], [], 3)


def test_a_lower_ratio_is_named_with_both_figures() -> None:
    found = compare(KNOWN, now(2.99, 1.0), "ab", "ab")
    assert found.code == LOST
    assert found.lost == ["a, rate against orthanc: 2.99, the baseline has 4, 25% less would be within tolerance"]


def test_a_workload_may_have_a_tolerance_of_its_own() -> None:
    assert (tolerance(KNOWN, "a"), tolerance(KNOWN, "b"), tolerance({}, "c")) == (0.25, 0.5, baseline.TOLERANCE)
    assert compare(KNOWN, now(4.0, 0.49), "ab", "ab").code == LOST


def test_more_cpu_time_is_a_loss_too() -> None:
    assert compare(KNOWN, now(4.0, 1.0, cpu=1.0), "ab", "ab").code == LOST


def test_a_peer_that_did_not_take_part_is_said() -> None:
    found = compare(KNOWN, {"a": now(4.0, 1.0)["a"]}, "ab", "ab")
    assert found.code == INCOMPLETE
    assert found.missing == ["b, rate against nginx: not measured, the baseline has 1"]
    assert "2 ratios compared: 0 lost, 1 missing." in str(found)


def test_a_loss_outweighs_what_is_missing() -> None:
    assert compare(KNOWN, {"a": now(1.0, 1.0)["a"]}, "ab", "ab").code == LOST


def test_workloads_that_were_not_asked_for_are_not_missed() -> None:
    assert compare(KNOWN, {"a": now(4.0, 1.0)["a"]}, "a", "ab").code == FINE


def test_a_workload_that_was_renamed_is_said() -> None:
    found = compare(KNOWN, now(4.0, 1.0), "a", "ac")
    assert (found.code, found.missing) == (INCOMPLETE, ["b: only the baseline knows it"])


def test_other_options_cannot_be_compared() -> None:
    assert unlike(KNOWN, OPTIONS) == []
    assert unlike(KNOWN, OPTIONS | {"quick": True}) == ["quick: the baseline has False, this run True"]


def test_memory_counts_only_where_it_is_what_is_measured() -> None:
    samples = [sample(2, peak=50)], [sample(1, peak=100)]
    found = ratios([row(*samples, name="read"), row(*samples, name="held", suite="memory"), row(samples[0], name="alone")])
    assert found == {"read": {ORTHANC: {"rate": 2.0, "cpu": 2.0}}, "held": {ORTHANC: {"rate": 2.0, "cpu": 2.0, "memory": 2.0}}}


def test_a_new_baseline_keeps_tolerances_and_what_did_not_run(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write(path, {"old": {"orthanc": {"rate": 1.0}}, "a": {"orthanc": {"rate": 1.0}}}, {"cpus": 2}, OPTIONS, ["old", "a"])
    path.write_bytes(orjson.dumps(read(path) | {"tolerance": 0.3, "tolerances": KNOWN["tolerances"]}))
    write(path, {"a": {"orthanc": {"rate": 2.0}}}, {"cpus": 4}, OPTIONS, ["a", "gone"])
    found = read(path)
    assert found["ratios"] == {"old": {"orthanc": {"rate": 1.0}}, "a": {"orthanc": {"rate": 2.0}}}
    assert (found["tolerance"], found["tolerances"], found["machine"]) == (0.3, KNOWN["tolerances"], {"cpus": 4})
    assert found["options"] == {"pinned": True, "quick": False, "studies": 1000}


def test_a_baseline_of_other_options_keeps_only_tolerances(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(orjson.dumps(KNOWN))
    write(path, {"a": {"orthanc": {"rate": 2.0}}}, {}, OPTIONS | {"studies": 20_000}, ["a"])
    assert read(path)["ratios"] == {"a": {"orthanc": {"rate": 2.0}}}
    assert read(path)["tolerances"] == KNOWN["tolerances"] and read(path)["options"]["studies"] == 20_000


def test_where_nothing_was_compared_nothing_is_fine() -> None:
    assert compare({}, now(4.0, 1.0), "ab", "ab").code == INCOMPLETE


def test_the_baseline_that_is_kept_here_knows_the_workloads() -> None:
    known = read()
    names = {*(one.name for one in WORKLOADS), *passing.NAMES}
    assert set(known["ratios"]) <= names
    assert all(name in names and one["reason"] and 0 < one["tolerance"] < 1 for name, one in known["tolerances"].items())
