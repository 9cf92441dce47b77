"""Leaves an origin alone that fails again and again, so that callers hear so at once and it can get up.

    closed      calls pass; `failures` bad ones in a row open it
    open        no call passes for `rest` seconds
    half open   one call passes: a good one closes the breaker, a bad one opens it again, for twice as long

A call is bad when the origin cannot be reached, breaks off, is overloaded, or is so slow that callers give up on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from gateway.errors import Busy

LONGEST = 60.0
"""Seconds: an origin that is back is noticed within a minute."""


class State(IntEnum):
    """The number is the value of the gauge."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Tripping:
    """When a breaker opens, and for how long.

    :param failures: bad calls in a row.
    :param rest: seconds that the origin is left alone at first.
    :param slow: seconds to the first byte from which on a call is bad although it succeeds; 0 for never.
    """

    failures: int = 10
    rest: float = 10.0
    slow: float = 30.0


TRIPPING = Tripping()


class Breaker:
    """See above.

    :param name: of the store, for messages.
    :param changed: told of each new state.
    :param clock: seconds that only go up.
    """

    def __init__(
        self, name: str, tripping: Tripping, changed: Callable[[State], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._tripping = tripping
        self._changed = changed
        self._clock = clock
        self._bad = 0
        self._rest = tripping.rest
        self._until = 0.0
        self._trial = 0
        self._calls = 0
        self.state = State.CLOSED

    def enter(self) -> int:
        """Lets a call pass; returns its number, with which its outcome is told.

        :raises Busy: the origin is being left alone.
        """
        self._calls += 1
        if self.state is State.CLOSED:
            return self._calls
        left = self._until - self._clock()
        if self.state is State.OPEN and left <= 0:
            self._become(State.HALF_OPEN)
        if self.state is State.OPEN or self._trial:
            raise Busy(
                f"The origin of store {self._name!r} failed again and again and is left alone for a while. Try again later.",
                max(1, math.ceil(left)),
            )
        self._trial = self._calls
        return self._trial

    def begun(self, call: int, seconds: float) -> None:
        """The first byte came after so many seconds: enough for a trial, whose body may take minutes."""
        if call == self._trial:
            self.good(call, seconds)

    def good(self, call: int, seconds: float = 0.0) -> None:
        """The call succeeded to its end, or failed by no fault of the origin's; its first byte came after so many seconds."""
        if 0 < self._tripping.slow <= seconds:
            self.bad(call)
        elif self.state is State.CLOSED:
            self._bad = 0
        elif call == self._trial:
            self._bad, self._trial, self._rest = 0, 0, self._tripping.rest
            self._become(State.CLOSED)

    def bad(self, call: int) -> None:
        """The call failed, or was slow. What was begun before the breaker opened tells nothing new."""
        self._bad += 1
        if self.state is State.CLOSED and self._bad >= self._tripping.failures:
            self._open()
        elif self.state is State.HALF_OPEN and call == self._trial:
            self._rest = min(LONGEST, self._rest * 2)
            self._open()

    def unknown(self, call: int) -> None:
        """The caller left before the outcome was known: the next call tries."""
        if call == self._trial:
            self._trial = 0

    def _open(self) -> None:
        self._trial = 0
        self._until = self._clock() + self._rest
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        self._changed(state)
