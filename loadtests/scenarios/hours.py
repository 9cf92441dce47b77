"""A day in a hospital, as shares of all users: a quiet night, the morning's peak, noon, the afternoon, the evening."""

from __future__ import annotations

from typing import Final, NamedTuple

HOURS = 24


class Period(NamedTuple):
    """From an hour until the next period: a name, and how many of all users are there (0 to 1)."""

    hour: int
    name: str
    share: float


DAY: Final = (
    Period(0, "night", 0.1),
    Period(6, "early shift", 0.4),
    Period(8, "morning", 1.0),
    Period(12, "noon", 0.5),
    Period(13, "afternoon", 0.8),
    Period(17, "evening", 0.3),
    Period(21, "late evening", 0.15),
)


def period(elapsed: float, run_time: float) -> Period | None:
    """What time of day it is after `elapsed` seconds, when the whole day lasts `run_time` seconds; None once it is over."""
    if elapsed >= run_time:
        return None
    hour = HOURS * elapsed / run_time
    return [period for period in DAY if period.hour <= hour][-1]


def users(share: float, most: int) -> int:
    """That share of all users: at least one, for somebody is always there."""
    return max(1, round(share * most))
