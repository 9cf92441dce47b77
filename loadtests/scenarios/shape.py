"""The day of hours.py as a shape of load, for locust."""

from __future__ import annotations

import logging

from locust import LoadTestShape
from locust.env import Environment

from loadtests.scenarios import hours
from loadtests.scenarios.user import options_of

RUN_TIME = 600
"""Seconds of a day where --run-time says nothing."""

log = logging.getLogger("loadtests")


class DayShape(LoadTestShape):
    """--users are there at the morning's peak; the whole day lasts --run-time."""

    use_common_options = True

    def __init__(self, environment: Environment) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # locust does not annotate it
        self._environment = environment
        self._now: hours.Period | None = None

    def tick(self) -> tuple[int, float] | None:
        """Users, and how many of them come or go in a second; None when the day is over."""
        options = options_of(self._environment)
        period = hours.period(self.get_run_time(), options.run_time or RUN_TIME)  # type: ignore[no-untyped-call]  # locust does not annotate it
        if period is None:
            return None
        users = hours.users(period.share, options.num_users or 1)
        if period != self._now:
            self._now = period
            log.info("%02d:00, %s: %d users", period.hour, period.name, users)
        return users, options.spawn_rate or users
