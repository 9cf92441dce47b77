"""What `loadtests.passthrough` measures, as rows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests import passthrough
from loadtests.bench import passing
from loadtests.bench.figures import OURS
from loadtests.bench.peers import BARE, NGINX
from loadtests.passthrough import Figures


def test_a_case_is_a_row_with_goals() -> None:
    figures = {
        passthrough.DIRECT: Figures([0.001, 0.001], [0.0005, 0.0005], 1000),
        passthrough.GATEWAY: Figures([0.0015, 0.0025], [0.001, 0.001], 1000),
        passthrough.BARE: Figures([0.003, 0.001], [0.001, 0.001], 1000),
    }
    made = passing.row("small search", figures)
    assert set(made.samples) == {passing.DIRECT, OURS, BARE} and set(made.absent) == {NGINX}
    ratio = made.ratio(BARE, "rate")
    assert ratio is not None and ratio.median == pytest.approx((2 + 0.4) / 2)
    extra = made.figure(made.goals[0])
    assert extra is not None and extra.median == pytest.approx(1.0)


def test_goals_are_of_the_cases_that_are_measured() -> None:
    assert [case.name for case in passthrough.cases(1 << 20)] == list(passing.GOALS)
    assert [f"passed through: {case}" for case in passing.GOALS] == passing.NAMES


def test_a_run_of_one_case_puts_this_process_back_where_it_was(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    (made,) = passing.rows(tmp_path, 1 << 20, 1, [BARE], only="small")
    assert os.sched_getaffinity(0) == before
    assert made.name == "passed through: small search" and len(made.samples[OURS]) == len(made.samples[BARE]) == 1
    assert made.absent.keys() == {NGINX} and made.samples[OURS][0].cpu > 0
