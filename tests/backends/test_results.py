"""Search results (PS3.18 tables 10.6.3-3 to 10.6.3-5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.backends.results import KEYS, asked, attribute, instance_alone, instance_result, rendered, series_result, study_result
from gateway.dicom import dictionary
from gateway.dicomweb.matching import Universal
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level, Resource

STUDY = {"00100020": attribute("LO", "P1"), "00080020": attribute("DA")}
SERIES = {"00080060": attribute("CS", "CT")}
INSTANCE = {"00200013": attribute("IS", 7)}

REQUIRED = {
    "study": "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName PatientID StudyInstanceUID StudyID",
    "series": "Modality SeriesInstanceUID SeriesNumber PerformedProcedureStepStartDate PerformedProcedureStepStartTime "
    "RequestAttributesSequence.ScheduledProcedureStepID RequestAttributesSequence.RequestedProcedureID",
    "instance": "SOPClassUID SOPInstanceUID InstanceNumber",
}
"""PS3.18 tables 10.6.1-5 to 10.6.1-7."""


LEVELS: tuple[Level, ...] = ("study", "series", "instance")


def path(name: str) -> tuple[int, ...]:
    tags = [dictionary.tag(word) for word in name.split(".")]
    return tuple(tag for tag in tags if tag is not None)


@pytest.mark.parametrize("level", LEVELS)
def test_every_key_that_the_standard_requires_can_be_matched_at_its_level_and_below(level: Level) -> None:
    for name in REQUIRED[level].split():
        assert KEYS[path(name)] == level


HEADER = {
    "00090010": attribute("LO", "MAKER"),
    "00091001": attribute("LO", "private"),
    "00101030": attribute("DS", 70),
    "00180060": attribute("DS", 120),
    "00180015": attribute("CS", "HEAD"),
    "00083002": attribute("UI", "9"),
}


def keys(query: Query, kept: dict[str, Any] = STUDY) -> set[str]:
    return set(asked(query, kept, HEADER))


def test_what_is_asked_for_is_shown_wherever_it_is_known() -> None:
    assert keys(Query("study", include=frozenset({"00100020", "00101030", "00999999"}))) == {"00100020", "00101030"}
    assert keys(Query("study", filters=(Filter((0x00101030,), "DS", Universal()),))) == {"00101030"}
    assert keys(Query("study")) == set()


def test_what_belongs_below_the_results_is_not_shown() -> None:
    below = frozenset({"00180015", "00180060"})
    assert keys(Query("study", include=below)) == set()
    assert keys(Query("series", include=below)) == {"00180015"}
    assert keys(Query("instance", include=below)) == below


def test_a_private_attribute_comes_with_its_creator() -> None:
    assert keys(Query("study", include=frozenset({"00091001"}))) == {"00090010", "00091001"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query("study", include_all=True), {"00101030"}),
        (Query("series", include_all=True), {"00101030", "00180015"}),
        (Query("series", Resource("1"), include_all=True), {"00180015"}),
        (Query("instance", Resource("1"), include_all=True), set(HEADER) - {"00083002"}),
    ],
)
def test_all_is_what_belongs_to_the_level_and_was_not_fixed_above(query: Query, expected: set[str]) -> None:
    assert keys(query) == expected


def test_what_a_header_says_of_availability_is_not_believed() -> None:
    assert keys(Query("instance", include=frozenset({"00083002"}))) == set()


def test_text_that_is_not_ascii_is_declared() -> None:
    assert json.loads(rendered({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Ä"}]}}))["00080005"]["Value"] == ["ISO_IR 192"]
    assert "00080005" not in json.loads(rendered({"00100020": attribute("LO", "A")}))


def test_a_study_says_what_only_the_index_knows() -> None:
    found = study_result(STUDY, "1.2", {"SEG", "CT"}, 3, 7)
    assert {key: attribute["Value"] for key, attribute in found.items() if "Value" in attribute} == {
        "00080056": ["ONLINE"],
        "00080061": ["CT", "SEG"],
        "00081190": ["@/studies/1.2"],
        "00100020": ["P1"],
        "0020000D": ["1.2"],
        "00201206": [3],
        "00201208": [7],
    }
    assert study_result(STUDY, "1.2", (), 1, 1)["00080061"] == {"vr": "CS"}


def test_what_is_required_is_shown_though_it_is_not_known() -> None:
    found = study_result({}, "1.2", (), 1, 1)
    assert all(found[f"{path(name)[0]:08X}"] == {"vr": dictionary.vr(path(name)[0])} for name in ("PatientName", "StudyTime", "StudyID"))
    wide = series_result({}, found, Query("series"), Resource("1.2", "1.2.3"), 5)
    assert wide["00080060"] == {"vr": "CS"} and wide["00200011"] == {"vr": "IS"}


ABOVE = study_result(STUDY, "1.2", {"CT"}, 1, 5)


def series(resource: Resource) -> dict[str, Any]:
    return series_result(SERIES, ABOVE, Query("series", resource), Resource("1.2", "1.2.3"), 5)


def test_a_series_names_its_study_and_carries_it_unless_the_url_does() -> None:
    wide = series(Resource())
    assert wide["00100020"] == STUDY["00100020"] and wide["00080060"] == SERIES["00080060"]
    assert wide["00081190"]["Value"] == ["@/studies/1.2/series/1.2.3"] and wide["00201209"]["Value"] == [5]
    assert wide["00080061"]["Value"] == ["CT"] and wide["00201208"]["Value"] == [5]
    narrow = series(Resource("1.2"))
    assert not {"00100020", "00080061", "00201208"} & set(narrow) and narrow["0020000D"]["Value"] == ["1.2"]


@pytest.mark.parametrize(
    ("resource", "carried"),
    [
        (Resource(), {"00100020", "00080060", "00201208", "00201209"}),
        (Resource("1.2"), {"00080060", "00201209"}),
        (Resource("1.2", "1.2.3"), set()),
    ],
)
def test_an_instance_carries_what_the_url_leaves_open(resource: Resource, carried: set[str]) -> None:
    query = Query("instance", resource)
    alone = instance_alone(INSTANCE, Resource("1.2", "1.2.3", "1.2.3.4"), "1.9", "1")
    found = instance_result(alone, lambda: series_result(SERIES, ABOVE, query, Resource("1.2", "1.2.3"), 5), query)
    assert {"00100020", "00080060", "00201208", "00201209"} & set(found) == carried
    assert found["00081190"]["Value"] == ["@/studies/1.2/series/1.2.3/instances/1.2.3.4"]
    assert [found[tag]["Value"] for tag in ("00080016", "00080018", "00083002")] == [["1.9"], ["1.2.3.4"], ["1"]]
    assert found["00200013"]["Value"] == [7]


def test_what_the_index_knows_wins_over_what_the_instance_said() -> None:
    lying = {"0020000D": attribute("UI", "6.6.6"), "00201208": attribute("IS", 999)}
    found = study_result(lying, "1.2", (), 1, 2)
    assert found["0020000D"]["Value"] == ["1.2"] and found["00201208"]["Value"] == [2]


def test_results_are_json_with_ascending_tags() -> None:
    text = rendered(study_result(STUDY, "1.2", {"CT"}, 1, 1) | {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]}})
    assert list(json.loads(text)) == sorted(json.loads(text)) and "Müller".encode() in text
