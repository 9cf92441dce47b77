"""Results as every backend shows them, of an origin's rows."""

from __future__ import annotations

import json
from typing import Any

from gateway.backends.results import attribute
from gateway.backends.upstream.composing import Row, composed
from gateway.dicomweb.resources import Level, Resource
from tests.backends.made import query

STUDY = {
    "00080020": attribute("DA", "20240131"),
    "00080061": attribute("CS", "CT", "SR"),
    "0020000D": attribute("UI", "1"),
    "00201206": attribute("IS", 2),
    "00201208": attribute("IS", 7),
}
SERIES = {
    "00080060": attribute("CS", "CT"),
    "0020000D": attribute("UI", "1"),
    "0020000E": attribute("UI", "2"),
    "00201209": attribute("IS", 5),
}
INSTANCE = {
    "00080016": attribute("UI", "1.2.840.10008.5.1.4.1.1.2"),
    "00080018": attribute("UI", "3"),
    "0020000D": attribute("UI", "1"),
    "0020000E": attribute("UI", "2"),
    "00280010": attribute("US", 4),
    "00280011": attribute("US", 4),
    "00280100": attribute("US", 16),
}
EXPLICIT = attribute("UI", "1.2.840.10008.1.2.1")


def shown(level: Level, row: Row, resource: Resource = Resource(), /, **params: str) -> dict[str, Any]:
    [result] = composed(query(level, resource, **params), [row])
    found: dict[str, Any] = json.loads(result)
    assert list(found) == sorted(found)
    return found


def test_a_study_shows_what_is_required_empty_where_the_origin_has_nothing() -> None:
    found = shown("study", Row(STUDY, {}, {}, None))
    assert found["00081190"] == {"vr": "UR", "Value": ["@/studies/1"]}
    assert found["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}
    assert (found["00100010"], found["00200010"]) == ({"vr": "PN"}, {"vr": "SH"})
    assert (found["00080061"]["Value"], found["00201206"]["Value"], found["00201208"]["Value"]) == (["CT", "SR"], [2], [7])


def test_attributes_of_other_levels_are_shown_to_those_who_ask() -> None:
    own = SERIES | {"00100020": attribute("LO", "P1"), "00200013": attribute("IS", 1)}
    found = shown("series", Row(own, {}, {}, None), Resource("1"))
    assert not {"00100020", "00200013", "00201208"} & set(found)
    asked = shown("series", Row(own, STUDY, {}, None), Resource("1"), includefield="PatientID,InstanceNumber,NumberOfStudyRelatedInstances")
    assert asked["00100020"]["Value"] == ["P1"] and asked["00201208"]["Value"] == [7] and "00200013" not in asked


def test_results_from_everywhere_carry_what_is_above_them() -> None:
    found = shown("instance", Row(INSTANCE, STUDY, SERIES, None))
    assert (found["00080020"]["Value"], found["00201208"]["Value"], found["00201209"]["Value"]) == (["20240131"], [7], [5])
    assert found["00081190"]["Value"] == ["@/studies/1/series/2/instances/3"]
    assert "00083002" not in found
    alone = shown("instance", Row(INSTANCE, {}, {}, None), Resource("1", "2"))
    assert "00080020" not in alone and alone["00280010"]["Value"] == [4]


def test_the_transfer_syntax_is_shown_where_it_is_known() -> None:
    row = Row(INSTANCE | {"00083002": EXPLICIT}, {}, {}, None)
    found = shown("instance", row, Resource("1", "2"), includefield="00020010")
    assert found["00020010"] == found["00083002"] == EXPLICIT
    assert "00020010" not in shown("instance", row, Resource("1", "2"))


def test_everything_is_that_of_the_header_or_else_of_the_row() -> None:
    header = INSTANCE | {"00180060": attribute("DS", 120), "00101030": attribute("DS", 70)}
    read = shown("instance", Row(INSTANCE, {}, {}, header), Resource("1", "2"), includefield="all")
    assert read["00180060"]["Value"] == [120] and read["00101030"]["Value"] == [70]
    told = shown("instance", Row(header | {"00083002": EXPLICIT}, {}, {}, None), Resource("1", "2"), includefield="all")
    assert told["00180060"] == read["00180060"]
    assert told["7FE00010"] == {"vr": "OW", "BulkDataURI": "@/studies/1/series/2/instances/3/bulkdata/7FE00010"}
    study = shown("study", Row(STUDY | header, {}, {}, None), includefield="all")
    assert study["00101030"]["Value"] == [70] and not {"00180060", "7FE00010"} & set(study)


def test_text_is_utf_8_and_says_so() -> None:
    own = STUDY | {"00080005": attribute("CS", "ISO_IR 100"), "00081030": attribute("LO", "Schädel")}
    assert shown("study", Row(own, {}, {}, None))["00080005"]["Value"] == ["ISO_IR 192"]
    assert "00080005" not in shown("study", Row(STUDY, {}, {}, None))
