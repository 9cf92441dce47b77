from __future__ import annotations

import pytest

from loadtests.scenarios import hours


@pytest.mark.parametrize(
    ("elapsed", "name"),
    [
        (0, "night"),
        (5.99, "night"),
        (6, "early shift"),
        (8, "morning"),
        (12, "noon"),
        (13, "afternoon"),
        (17, "evening"),
        (23.9, "late evening"),
    ],
)
@pytest.mark.parametrize("hour", [1, 25, 3600])
def test_an_hour_is_a_24th_of_the_run(elapsed: float, name: str, hour: float) -> None:
    found = hours.period(elapsed * hour, 24 * hour)
    assert found is not None and found.name == name


@pytest.mark.parametrize("elapsed", [24, 24.1, 1000])
def test_a_day_ends(elapsed: float) -> None:
    assert hours.period(elapsed, 24) is None


def test_the_morning_is_the_peak_and_the_night_is_quiet() -> None:
    shares = {period.name: period.share for period in hours.DAY}
    assert max(shares, key=lambda name: shares[name]) == "morning" and shares["morning"] == 1
    assert min(shares, key=lambda name: shares[name]) == "night"
    assert [period.hour for period in hours.DAY] == sorted({period.hour for period in hours.DAY}) and hours.DAY[0].hour == 0


@pytest.mark.parametrize(("share", "most", "expected"), [(1.0, 30, 30), (0.1, 30, 3), (0.1, 3, 1), (0.1, 1, 1), (0.5, 8, 4)])
def test_somebody_is_always_there(share: float, most: int, expected: int) -> None:
    assert hours.users(share, most) == expected
