"""Medians, ratios, goals."""

from __future__ import annotations

import pytest

from loadtests.bench.figures import OURS, Goal, Row, Sample, Spread, quantile
from loadtests.bench.peers import NGINX, ORTHANC
from tests.loadtests.bench.made import row, sample


def test_a_spread_has_the_median_and_both_ends() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert Spread.of([]) is None


def test_ratios_are_made_turn_by_turn() -> None:
    """A machine that halves its pace for a turn changes both, and no ratio."""
    made = row([sample(100), sample(50), sample(120)], [sample(50), sample(25), sample(60)])
    assert made.ratio(ORTHANC, "rate") == Spread(2.0, 2.0, 2.0)


def test_of_turns_that_differ_the_ratio_is_the_median() -> None:
    made = row([sample(100), sample(90), sample(400)], [sample(50), sample(90), sample(50)])
    assert made.ratio(ORTHANC, "rate") == Spread(2.0, 1.0, 8.0)


def test_more_than_one_is_better_whatever_is_compared() -> None:
    made = row([sample(100, cpu=1, peak=50)], [sample(50, cpu=2, peak=1000)])
    assert made.ratios() == {ORTHANC: {"rate": 2.0, "cpu": 4.0, "memory": 20.0}}


def test_what_was_not_looked_at_has_no_ratio() -> None:
    made = row([sample(100)], [sample(50)])
    assert made.ratio(ORTHANC, "memory") is None
    assert made.ratio(NGINX, "rate") is None
    assert "memory" not in made.ratios()[ORTHANC]


def test_rates_count_units_or_megabytes() -> None:
    stored = Sample(seconds=2.0, requests=4, units=40, moved=20_000_000, cpu=1.0)
    by_unit = [Row("", "", unit, (), {OURS: [stored]}).rates(OURS) for unit in ("instances", "MB")]
    assert by_unit == [Spread(20.0, 20.0, 20.0), Spread(10.0, 10.0, 10.0)]


def test_cpu_time_is_of_a_request_and_of_a_gb() -> None:
    made = row([sample(1000, cpu=0.5)])
    assert made.cpu_ms(OURS) == Spread(0.5, 0.5, 0.5)
    assert made.cpu_per_gb(OURS) == Spread(0.5, 0.5, 0.5)


def test_next_to_nothing_moved_has_no_cpu_time_a_gb() -> None:
    assert row([Sample(seconds=1, requests=1, units=1, moved=1000, cpu=1)]).cpu_per_gb(OURS) is None


@pytest.mark.parametrize(("share", "limit"), [(0.5, False), (0.95, True), (None, False)])
def test_a_busy_client_is_the_limit(share: float | None, limit: bool) -> None:
    assert row([sample(1, client=share)]).client_was_the_limit(OURS) is limit


@pytest.mark.parametrize(("value", "met"), [(2.0, True), (2.1, False)])
def test_a_ratio_reaches_its_goal(value: float, met: bool) -> None:
    goal = Goal(ORTHANC, "rate", value)
    found = row([sample(100)], [sample(50)], goal).figure(goal)
    assert found is not None and goal.met(found.median) is met


@pytest.mark.parametrize(
    ("goal", "figure"),
    [(Goal("", "first byte", 20), 15.0), (Goal("", "over idle", 32), 30.0), (Goal(ORTHANC, "extra", 1), 10.0)],
)
def test_a_bound_is_kept_from_below(goal: Goal, figure: float) -> None:
    made = row([sample(50, first_byte=15, peak=130, idle=100)], [sample(100)])
    found = made.figure(goal)
    assert found is not None and found.median == pytest.approx(figure)
    assert goal.is_bound and goal.met(goal.value) and not goal.met(goal.value + 0.1)


def test_servers_without_samples_are_no_peers() -> None:
    made = row([sample(1)])
    made.samples[NGINX] = []
    assert made.peers == []


@pytest.mark.parametrize(("share", "value"), [(0.5, 3), (0.99, 5), (0.0, 1)])
def test_quantiles(share: float, value: float) -> None:
    assert quantile([5, 1, 3, 2, 4], share) == value
    assert quantile([], share) == 0
