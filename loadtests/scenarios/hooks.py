"""What happens before a run, when it begins, and at its end."""

from __future__ import annotations

import logging
import secrets
import sys
from functools import partial
from typing import Any

from locust.env import Environment
from locust.event import Events
from locust.runners import WorkerRunner

from loadtests.scenarios import options, summary
from loadtests.scenarios.day import HospitalDay, cast
from loadtests.scenarios.shape import DayShape
from loadtests.scenarios.stock import Stock
from loadtests.scenarios.user import DicomwebUser, options_of
from loadtests.synthetic import Shape

STOP_SECONDS = 30.0
"""A user that has to go finishes what it is doing, as long as it takes at most this; --stop-timeout names another time."""

log = logging.getLogger("loadtests")


def listen(events: Events) -> None:
    """Puts everything below where locust calls it."""
    add: Any = {name: getattr(events, name).add_listener for name in ("init_command_line_parser", "init", "test_start", "quitting")}
    add["init_command_line_parser"](options.add_to)
    add["init"](prepare)
    add["test_start"](begin)
    add["quitting"](refuse_nothing)


def prepare(environment: Environment, **_: Any) -> None:
    """Decides who takes part, and whether a day passes: both may depend on what was named on the command line."""
    chosen = options_of(environment)
    named = environment.user_classes if chosen.user_classes else []
    environment.user_classes = cast(named)
    (environment.available_user_classes or {}).pop(HospitalDay.__name__, None)  # on locust's page it could not call the others
    environment.stop_timeout = environment.stop_timeout or STOP_SECONDS
    if (chosen.day or HospitalDay in named) and not isinstance(environment.runner, WorkerRunner):
        environment.shape_class = DayShape(environment)
        environment.shape_class.runner = environment.runner
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.quit.add_listener(partial(report, environment))  # type: ignore[no-untyped-call]  # locust does not annotate it


_stocks: dict[tuple[int, int, str], Stock] = {}


def begin(environment: Environment, **_: Any) -> None:
    """Finds the stock, or makes it: a second run from locust's page with the same options goes on where the first one ended."""
    chosen = options_of(environment)
    if chosen.seed < 0:
        chosen.seed = secrets.randbelow(10**10)  # goes from here to the worker processes with the other options
    key = chosen.seed, chosen.slices, chosen.size
    runner = environment.runner
    first = runner.worker_index * options.WORKER_NUMBERS if isinstance(runner, WorkerRunner) else 0
    stock = Stock(chosen.seed, chosen.slices, Shape.parse(chosen.size), first + chosen.stored, chosen.stored)
    DicomwebUser.stock = _stocks.setdefault(key, stock)
    if not isinstance(runner, WorkerRunner):
        log.info("Studies of %d x %s, --seed %d", chosen.slices, chosen.size, chosen.seed)


def refuse_nothing(environment: Environment, **_: Any) -> None:
    """A load of nothing has shown nothing, and must not look like a success."""
    if not isinstance(environment.runner, WorkerRunner) and environment.stats.total.num_requests == 0:
        log.error("No request was made. Viewers and Archives wait for a study: let a Modality run beside them, or give --stored.")
        environment.process_exit_code = 1


def report(environment: Environment, **_: Any) -> None:
    """The table, below locust's own."""
    total = environment.stats.total
    if not total.num_requests:
        return
    counts = [_count(entry) for entry in environment.stats.entries.values()]
    sys.stdout.write(f"\n{summary.table(summary.rows(counts), (total.last_request_timestamp or 0) - total.start_time)}\n")
    runner = environment.runner
    if runner is not None and (runner.cpu_warning_emitted or runner.worker_cpu_warning_emitted):
        sys.stdout.write(f"\n{summary.OVERLOADED}\n")
    sys.stdout.flush()


def _count(entry: Any) -> summary.Count:
    return summary.Count(entry.name, entry.num_requests, entry.num_failures, entry.total_content_length, entry.median_response_time)
