"""Rows of the index as results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.backends.local.shown import SMALL, page, parsed, shown
from gateway.backends.results import attribute, instance_alone, rendered
from gateway.dicomweb.resources import Level, Resource
from tests.backends.made import query

STUDY = b'{"00100020":{"vr":"LO","Value":["P1"]}}'
SERIES = b'{"00080060":{"vr":"CS","Value":["CT"]}}'
INSTANCE = rendered(instance_alone({"00200013": attribute("IS", 7)}, Resource("1.2", "1.2.3", "1.2.3.4"), "1.9", "1.2.840.1"))
ROW = (9, "1.2", STUDY, 2, 5, "CT,SEG")
ROWS: dict[Level, tuple[Any, ...]] = {
    "study": ROW,
    "series": (*ROW, "1.2.3", SERIES, 3),
    "instance": (*ROW, "1.2.3", SERIES, 3, INSTANCE, "1.2.840.1"),
}


def result(level: Level, document: bytes | None = None, resource: Resource | None = None, **params: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(query(level, resource or Resource(), **params), ROWS[level], document))
    return {key: attribute.get("Value", attribute) for key, attribute in found.items()}


def test_a_study_counts_what_it_has() -> None:
    found = result("study")
    assert [found[key] for key in ("00100020", "00080061", "00201206", "00201208")] == [["P1"], ["CT", "SEG"], [2], [5]]


@pytest.mark.parametrize(
    ("level", "url"),
    [("study", "@/studies/1.2"), ("series", "@/studies/1.2/series/1.2.3"), ("instance", "@/studies/1.2/series/1.2.3/instances/1.2.3.4")],
)
def test_results_say_where_they_are(level: Level, url: str) -> None:
    assert result(level)["00081190"] == [url]


def test_what_is_above_is_shown_below_when_it_is_asked_for() -> None:
    asked = "PatientID,ModalitiesInStudy,NumberOfStudyRelatedInstances,NumberOfSeriesRelatedInstances,00020010,Modality"
    found = result("instance", None, Resource("1.2", "1.2.3"), includefield=asked)
    wanted = [found[key] for key in ("00100020", "00080061", "00201208", "00201209", "00020010", "00080060")]
    assert wanted == [["P1"], ["CT", "SEG"], [5], [3], ["1.2.840.1"], ["CT"]]
    assert "00100020" not in result("instance", None, Resource("1.2", "1.2.3"))


def test_an_instance_of_a_series_is_ready_to_go_out() -> None:
    asked = query("instance", Resource("1.2", "1.2.3"), InstanceNumber="7", includefield="00083002")
    assert shown(asked, ROWS["instance"], None) is INSTANCE
    assert shown(query("instance", Resource("1.2", "1.2.3"), includefield="00020010"), ROWS["instance"], None) != INSTANCE
    assert len(shown(query("instance", Resource("1.2")), ROWS["instance"], None)) > len(INSTANCE)


def test_a_study_that_is_listed_again_is_shown_as_it_is_now() -> None:
    first, again = shown(query(), ROW, None), shown(query(), (*ROW[:1], *ROW[1:]), None)
    assert first is again
    changed = (*ROW[:4], 6, *ROW[5:])
    assert json.loads(shown(query(), changed, None))["00201208"]["Value"] == [6]


def test_a_header_gives_what_the_index_does_not_hold() -> None:
    assert result("study", b'{"00101030":{"vr":"DS","Value":[70]}}', includefield="PatientWeight")["00101030"] == [70]


def test_what_rows_share_is_parsed_once_and_stays_as_it_was() -> None:
    before = json.dumps(parsed(STUDY))
    result("study", includefield="all")
    result("instance", PatientID="P1")
    assert parsed(STUDY) is parsed(STUDY) and json.dumps(parsed(STUDY)) == before


@pytest.mark.parametrize("level", ["study", "series", "instance"])
@pytest.mark.parametrize("asked", [{}, {"includefield": "PatientID,00020010"}])
def test_a_page_shows_what_its_rows_show(level: Level, asked: dict[str, str]) -> None:
    large = (9, "1.3", b'{"00081030":{"vr":"LO","Value":["' + b"x" * SMALL + b'"]}}', *ROWS[level][3:])
    for resource in (Resource(), Resource("1.2", "1.2.3")):
        one = query(level, resource, **asked)
        assert page(one, [ROWS[level], large]) == (shown(one, ROWS[level], None), shown(one, large, None))


def test_what_follows_the_columns_of_a_row_is_not_looked_at() -> None:
    for level, row in ROWS.items():
        assert page(query(level), [(*row, 1234.5)]) == page(query(level), [row])


def test_a_modality_of_several_series_is_shown_once() -> None:
    found = json.loads(shown(query(), (9, "1.2", STUDY, 3, 5, "SEG,CT,SEG"), None))
    assert found["00080061"]["Value"] == ["CT", "SEG"]
