"""Whether and when a call is made again.

1. Only what may be repeated: a request that changes nothing, or one that the origin has not begun with. DELETE counts as a
   change: after an answer got lost the second try would find nothing and look like a failure.
2. Only with a budget: retries are a small share of all calls, for an origin that struggles must not get more work from it.
3. An origin that asks for time (429, 503) gets what it asks for, or a random time within a bound that doubles: what was
   pushed back together must not come back together. One that asks for more than `LONGEST` seconds is taken at its word,
   and the caller is told to come back.
4. A broken connection is tried again within a fraction of a second: the origin may just have been restarted.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from gateway.backends.upstream.failures import Setback

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 9.2.1)."""

SHORTEST, LONGEST = 1.0, 32.0
"""Seconds between tries at an origin that asks for time, as Google's service level agreement wants it."""

_RECONNECT = 0.25
"""Seconds, at most, before the first try to connect anew."""

_SAVED = 5.0
"""Retries that a quiet time saves up: a hiccup of a few calls passes unnoticed, and a storm is not fed."""


class Budget:
    """A bucket of retries that each call fills a little.

    :param share: of calls that may be retries.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = _SAVED if share else 0.0

    def called(self) -> None:
        """Counts a call."""
        self._left = min(_SAVED, self._left + self._share)

    def take(self) -> bool:
        """Takes a retry; False when there is none left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def repeatable(setback: Setback, method: str, *, whole: bool) -> bool:
    """Whether the same request may be sent once more.

    :param whole: its body is there from the first byte.
    """
    if not setback.again or not whole:
        return False
    return setback.untouched or setback.crowded or method in SAFE


def pause(setback: Setback, tried: int, spread: Callable[[float, float], float] = random.uniform) -> float | None:
    """Seconds before the next try; None when it would come too late to be worth waiting for.

    :param tried: how often the call was made, from 1.
    :param spread: draws a number between two.
    """
    if not setback.crowded:
        return spread(0, _RECONNECT * 2 ** (tried - 1))
    if setback.after is None:
        return spread(SHORTEST, min(LONGEST, 2.0**tried))
    return setback.after + spread(0, SHORTEST) if setback.after <= LONGEST else None
