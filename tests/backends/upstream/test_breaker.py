from __future__ import annotations

import pytest

from gateway.backends.upstream.breaker import LONGEST, Breaker, State, Tripping
from gateway.errors import Busy


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched(Breaker):
    """A breaker with its clock and the states that it told."""

    def __init__(self, failures: int = 3, rest: float = 10.0, slow: float = 5.0) -> None:
        self.clock = Clock()
        self.told: list[State] = []
        super().__init__("pacs", Tripping(failures, rest, slow), self.told.append, self.clock)

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.bad(self.enter())


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Watched()
    breaker.fail(2)
    breaker.good(breaker.enter())
    breaker.fail(2)
    assert breaker.told == []
    breaker.fail()
    assert breaker.told == [State.OPEN]


def test_while_it_is_open_no_call_passes_and_callers_hear_when_to_come_back() -> None:
    breaker = Watched()
    breaker.fail(3)
    breaker.clock.now += 3.5
    with pytest.raises(Busy, match="'pacs'") as caught:
        breaker.enter()
    assert caught.value.retry_after == 7


def test_a_slow_success_is_a_failure() -> None:
    breaker = Watched()
    for _ in range(3):
        breaker.good(breaker.enter(), seconds=5.0)
    assert breaker.state is State.OPEN


def test_slowness_can_be_ignored() -> None:
    breaker = Watched(slow=0)
    for _ in range(9):
        breaker.good(breaker.enter(), seconds=1000)
    assert breaker.state is State.CLOSED


def test_after_its_rest_one_call_tries_and_closes_it() -> None:
    breaker = Watched()
    breaker.fail(3)
    breaker.clock.now += 10
    trial = breaker.enter()
    with pytest.raises(Busy) as caught:
        breaker.enter()
    assert caught.value.retry_after == 1
    breaker.good(trial)
    assert breaker.told == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    breaker.fail(2)
    assert breaker.state is State.CLOSED


def test_a_trial_that_fails_doubles_the_rest_up_to_a_bound() -> None:
    breaker = Watched()
    breaker.fail(3)
    rest = 10.0
    for _ in range(5):
        breaker.clock.now += rest - 0.1
        with pytest.raises(Busy):
            breaker.enter()
        breaker.clock.now += 0.1
        breaker.fail()
        rest = min(rest * 2, LONGEST)
    breaker.clock.now += LONGEST
    breaker.good(breaker.enter())
    breaker.fail(3)
    breaker.clock.now += 10
    breaker.enter()  # the first rest is short again


def test_a_trial_whose_caller_left_makes_room_for_the_next() -> None:
    breaker = Watched()
    breaker.fail(3)
    breaker.clock.now += 10
    breaker.unknown(breaker.enter())
    breaker.good(breaker.enter())
    assert breaker.state is State.CLOSED


def test_calls_from_before_decide_nothing_about_the_trial() -> None:
    breaker = Watched()
    old = [breaker.enter() for _ in range(4)]
    for call in old[:3]:
        breaker.bad(call)
    breaker.clock.now += 10
    breaker.bad(old[3])
    trial = breaker.enter()
    breaker.good(old[3])
    breaker.unknown(old[3])
    breaker.bad(old[3])
    assert breaker.told == [State.OPEN, State.HALF_OPEN]
    breaker.good(trial)
    assert breaker.told == [State.OPEN, State.HALF_OPEN, State.CLOSED]


def test_the_first_byte_of_a_trial_closes_it_but_resets_nothing_else() -> None:
    breaker = Watched()
    breaker.fail(2)
    call = breaker.enter()
    breaker.begun(call, 0.1)
    breaker.bad(call)  # it broke off later
    assert breaker.told == [State.OPEN]
    breaker.clock.now += 10
    breaker.begun(breaker.enter(), 0.1)
    assert breaker.told[1:] == [State.HALF_OPEN, State.CLOSED]


def test_the_first_byte_of_a_slow_trial_opens_it_again() -> None:
    breaker = Watched()
    breaker.fail(3)
    breaker.clock.now += 10
    breaker.begun(breaker.enter(), 5.0)
    assert breaker.told == [State.OPEN, State.HALF_OPEN, State.OPEN]
