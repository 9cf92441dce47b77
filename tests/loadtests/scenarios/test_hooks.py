"""What happens around a run, with an environment that was made for it; test_users.py has whole runs."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest
from locust.event import Events
from locust.runners import WorkerRunner

from loadtests.scenarios import hooks, options
from loadtests.scenarios.archive import Archive
from loadtests.scenarios.day import HospitalDay
from loadtests.scenarios.modality import Modality
from loadtests.scenarios.shape import DayShape
from loadtests.scenarios.user import DicomwebUser
from loadtests.scenarios.viewer import Viewer

made_events: Any = Events  # which locust does not annotate


class Worker(WorkerRunner):
    """One of many, without a master."""

    greenlet: Any = None  # nothing runs in it

    def __init__(self, index: int) -> None:
        self.worker_index = index


def environment(*words: str, runner: Any = None, users: list[Any] | None = None) -> Any:
    parser = argparse.ArgumentParser()
    options.add_to(parser)
    parser.add_argument("user_classes", nargs="*")
    return SimpleNamespace(
        parsed_options=parser.parse_args(words),
        user_classes=users or [Archive, HospitalDay, Modality, Viewer],
        available_user_classes={"Archive": Archive, "HospitalDay": HospitalDay},
        stop_timeout=0.0,
        shape_class=None,
        runner=runner or SimpleNamespace(cpu_warning_emitted=False, worker_cpu_warning_emitted=False),
        events=made_events(),
        stats=SimpleNamespace(entries={}, total=SimpleNamespace(num_requests=0)),
        process_exit_code=None,
    )


def test_without_a_name_the_usual_ones_come_and_no_day_passes() -> None:
    made = environment()
    hooks.prepare(made)
    assert made.user_classes == [Modality, Viewer] and made.shape_class is None
    assert made.stop_timeout == hooks.STOP_SECONDS
    assert list(made.available_user_classes) == ["Archive"]


@pytest.mark.parametrize(("words", "users"), [(["HospitalDay"], [HospitalDay]), (["--day", "Viewer"], [Viewer])])
def test_a_day_passes_when_it_is_asked_for(words: list[str], users: list[Any]) -> None:
    made = environment(*words, users=users)
    hooks.prepare(made)
    assert isinstance(made.shape_class, DayShape) and made.shape_class.runner is made.runner
    assert HospitalDay not in made.user_classes


def test_worker_processes_follow_the_day_of_their_master() -> None:
    made = environment("HospitalDay", users=[HospitalDay], runner=Worker(0))
    hooks.prepare(made)
    assert made.user_classes == [Modality, Viewer, Archive] and made.shape_class is None


def test_no_two_worker_processes_store_the_same_study(monkeypatch: pytest.MonkeyPatch) -> None:
    first = []
    for index in (0, 1):
        monkeypatch.setattr(hooks, "_stocks", {})
        hooks.begin(environment("--seed", "7", "--stored", "5", runner=Worker(index)))
        first.append(DicomwebUser.stock.new().number)
        assert len(DicomwebUser.stock) == 5
    assert first == [5, options.WORKER_NUMBERS + 5]


def test_a_second_run_of_the_same_seed_goes_on_where_the_first_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_stocks", {})
    made = environment()
    hooks.begin(made)
    assert made.parsed_options.seed >= 0
    DicomwebUser.stock.add(DicomwebUser.stock.new())
    hooks.begin(made)
    assert len(DicomwebUser.stock) == 1


def test_a_load_of_nothing_fails() -> None:
    made = environment()
    hooks.refuse_nothing(made)
    assert made.process_exit_code == 1
    made = environment()
    made.stats.total.num_requests = 1
    hooks.refuse_nothing(made)
    assert made.process_exit_code is None


@pytest.mark.parametrize(("own", "of_workers", "said"), [(False, False, False), (True, False, True), (False, True, True)])
def test_the_table_says_when_the_load_generator_was_the_limit(
    own: bool, of_workers: bool, said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    made = environment(runner=SimpleNamespace(cpu_warning_emitted=own, worker_cpu_warning_emitted=of_workers))
    made.stats.total = SimpleNamespace(num_requests=8, start_time=10.0, last_request_timestamp=12.0)
    entry = SimpleNamespace(name="WADO frame", num_requests=8, num_failures=1, total_content_length=6_000_000, median_response_time=3)
    made.stats.entries = {("WADO frame", "GET"): entry}
    hooks.report(made)
    text = capsys.readouterr().out
    assert text.split("\n")[3].split() == ["WADO", "frame", "8", "4.0", "1", "0", "3.0", "3"]
    assert ("The load generator was the limit" in text) == said


def test_nothing_is_reported_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    hooks.report(environment())
    assert capsys.readouterr().out == ""


def test_locust_calls_each_of_them() -> None:
    events = made_events()
    hooks.listen(events)
    parser = argparse.ArgumentParser()
    events.init_command_line_parser.fire(parser=parser)
    assert parser.parse_args(["--slices", "3"]).slices == 3
    made = environment()
    events.init.fire(environment=made)
    events.quitting.fire(environment=made)
    assert made.user_classes == [Modality, Viewer] and made.process_exit_code == 1
