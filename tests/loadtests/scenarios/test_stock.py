from __future__ import annotations

import pytest

from loadtests.scenarios.stock import DAYS, Stock, date_range
from loadtests.synthetic import SIZES, Study

SMALL = SIZES["small"]


def stock(first: int = 0, before: int = 0) -> Stock:
    return Stock(7, 3, SMALL, first, before)


def test_new_studies_are_numbered_from_the_first() -> None:
    made = stock(first=5)
    assert [made.new() for _ in range(3)] == [Study(7, number, 3, SMALL) for number in (5, 6, 7)]


def test_a_study_may_be_asked_for_once_it_is_whole() -> None:
    made = stock()
    study = made.new()
    assert made.any() is None and len(made) == 0 and study.number not in made
    made.add(study)
    assert made.any() == study and len(made) == 1 and study.number in made


def test_studies_of_an_earlier_run_are_there_from_the_beginning() -> None:
    made = stock(first=3, before=3)
    made.add(made.new())
    assert [number in made for number in range(-1, 6)] == [False, True, True, True, True, False, False]
    assert {study.number for _ in range(200) if (study := made.any())} == {0, 1, 2, 3}


def test_the_days_of_a_study_are_those_around_it_that_are_stored() -> None:
    made = stock(first=0, before=9)
    assert [study.number for study in made.days_of(made.study(8))] == [7, 8]
    assert [study.number for study in made.days_of(made.study(2))] == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("number", [0, 6, 27, 28, 335, 336, 1_000_003])
def test_a_range_of_dates_holds_the_dates_of_its_studies_and_lies_in_one_month(number: int) -> None:
    first, last = date_range(Study(7, number, 3, SMALL)).split("-")
    assert first <= Study(7, number, 3, SMALL).date <= last
    assert int(last) - int(first) == DAYS - 1
    assert all(first <= Study(7, other, 3, SMALL).date <= last for other in range(number - number % DAYS, number - number % DAYS + DAYS))
