from __future__ import annotations

import pytest

from gateway.backends.upstream.failures import Setback
from gateway.backends.upstream.retrying import LONGEST, Budget, pause, repeatable
from gateway.errors import Busy, OriginFailed

REFUSED = Setback(OriginFailed("refused"), again=True, untouched=True)
LOST = Setback(OriginFailed("lost"), again=True)
CROWDED = Setback(Busy("busy"), again=True, crowded=True)
FINAL = Setback(OriginFailed("500"))


@pytest.mark.parametrize(
    ("setback", "method", "whole", "expected"),
    [
        (REFUSED, "GET", True, True),
        (REFUSED, "POST", True, True),
        (REFUSED, "POST", False, False),
        (REFUSED, "DELETE", True, True),
        (CROWDED, "POST", True, True),
        (CROWDED, "DELETE", True, True),
        (CROWDED, "POST", False, False),
        (LOST, "GET", True, True),
        (LOST, "HEAD", True, True),
        (LOST, "POST", True, False),
        (LOST, "DELETE", True, False),
        (FINAL, "GET", True, False),
    ],
)
def test_only_what_does_no_harm_is_sent_again(setback: Setback, method: str, whole: bool, expected: bool) -> None:
    assert repeatable(setback, method, whole=whole) is expected


def longest(_: float, high: float) -> float:
    return high


def shortest(low: float, _: float) -> float:
    return low


def test_an_origin_that_asks_for_time_gets_more_each_time_within_bounds() -> None:
    assert [pause(CROWDED, tried, longest) for tried in range(1, 8)] == [2, 4, 8, 16, 32, 32, 32]
    assert [pause(CROWDED, tried, shortest) for tried in range(1, 8)] == [1] * 7


def test_what_the_origin_says_is_honoured_and_spread() -> None:
    told = Setback(Busy("busy"), again=True, crowded=True, after=7)
    assert pause(told, 1, shortest) == 7
    assert pause(told, 1, longest) == 8


def test_nobody_waits_for_an_origin_that_asks_for_too_much() -> None:
    assert pause(Setback(Busy("busy"), again=True, crowded=True, after=int(LONGEST) + 1), 1) is None


def test_a_broken_connection_is_tried_soon() -> None:
    assert [pause(REFUSED, tried, longest) for tried in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert pause(REFUSED, 1, shortest) == 0


def test_retries_stay_a_share_of_all_calls() -> None:
    budget, taken = Budget(0.1), 0
    for _ in range(1000):
        budget.called()
        taken += budget.take()
    assert taken in range(100, 106)


def test_a_quiet_time_saves_up_a_few_retries_only() -> None:
    budget = Budget(0.1)
    for _ in range(10_000):
        budget.called()
    assert sum(budget.take() for _ in range(100)) == 5


def test_without_a_budget_nothing_is_tried_again() -> None:
    budget = Budget(0)
    budget.called()
    assert not budget.take()
