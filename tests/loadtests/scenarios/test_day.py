from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from loadtests.scenarios import shape
from loadtests.scenarios.archive import Archive
from loadtests.scenarios.day import HospitalDay, cast
from loadtests.scenarios.modality import Modality
from loadtests.scenarios.shape import DayShape
from loadtests.scenarios.viewer import Viewer


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([], [Modality, Viewer]),
        ([Viewer], [Viewer]),
        ([Archive, Modality], [Modality, Archive]),
        ([HospitalDay], [Modality, Viewer, Archive]),
        ([Archive, HospitalDay], [Modality, Viewer, Archive]),
    ],
)
def test_who_takes_part(named: list[Any], expected: list[Any]) -> None:
    assert cast(named) == expected


def test_there_are_three_viewers_to_a_modality() -> None:
    assert Viewer.weight == 3 * Modality.weight and Archive.weight < Modality.weight


class Clock(DayShape):
    """A day at whatever time a test says."""

    elapsed = 0.0

    def get_run_time(self) -> float:
        return self.elapsed


def day(**options: Any) -> Clock:
    environment: Any = SimpleNamespace(parsed_options=argparse.Namespace(**{"run_time": 24, "num_users": 30, "spawn_rate": None} | options))
    return Clock(environment)


def test_users_come_and_go_with_the_hours() -> None:
    clock = day()
    ticks = []
    for clock.elapsed in (0.0, 6.5, 8.0, 12.5, 14.0, 18.0, 23.0, 24.0):
        ticks.append(clock.tick())
    assert ticks == [(3, 3), (12, 12), (30, 30), (15, 15), (24, 24), (9, 9), (4, 4), None]


def test_without_options_there_is_one_user_for_ten_minutes() -> None:
    clock = day(run_time=None, num_users=None, spawn_rate=2)
    assert clock.tick() == (1, 2)
    clock.elapsed = shape.RUN_TIME - 1
    assert clock.tick() == (1, 2)
    clock.elapsed = shape.RUN_TIME
    assert clock.tick() is None
