"""What an origin is asked: never less than what the caller means, and nothing that it would misunderstand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.backends.results import COMPUTED, KEYS
from gateway.backends.upstream.asking import ALTERNATIVES, Plan, always, plan
from gateway.backends.upstream.profiles import GENERIC, GOOGLE, ORTHANC, Profile
from gateway.dicomweb.resources import Level, Resource
from tests.backends.made import query


def planned(profile: Profile, level: Level = "study", resource: Resource = Resource(), /, **params: str) -> Plan:
    return plan(query(level, resource, **params), profile)


def keys(profile: Profile, level: Level = "study", /, **params: str) -> list[str]:
    """The questions, each as it would stand in a URL."""
    return ["&".join(f"{name}={value}" for name, value in one) for one in planned(profile, level, **params).alternatives]


@pytest.mark.parametrize(
    ("params", "orthanc", "google"),
    [
        ({"PatientName": "doe*"}, "PatientName=*doe*", "PatientName=doe&fuzzymatching=true"),
        ({"PatientName": "Doe^Jane^^"}, "PatientName=*Doe*Jane*", "PatientName=Jane&fuzzymatching=true"),
        ({"PatientName": "*oe^Ja?e"}, "PatientName=*oe*Ja*e*", "PatientName=Ja&fuzzymatching=true"),
        ({"PatientName": "Müller"}, "PatientName=*M*ller*", "PatientName=M&fuzzymatching=true"),
        ({"PatientName": "*oe*"}, "PatientName=*oe*", ""),
        ({"PatientName": "山田"}, "", ""),
        ({"PatientName": "Doe", "fuzzymatching": "true"}, "PatientName=*Doe*", "PatientName=Doe&fuzzymatching=true"),
        ({"ReferringPhysicianName": "Doe"}, "ReferringPhysicianName=*Doe*", ""),
        ({"PatientID": "P1"}, "PatientID=P1", "PatientID=P1"),
        ({"PatientID": "P 1/2"}, "PatientID=P*1*2", "PatientID=P 1/2"),
        ({"PatientID": "P,1"}, "PatientID=P*1", "PatientID=P,1"),
        ({"PatientID": "P?1"}, "PatientID=P*1", ""),
        ({"PatientID": "é"}, "", "PatientID=é"),
        ({"StudyDate": "20240131"}, "StudyDate=20240131", "StudyDate=20240131"),
        ({"StudyDate": "20240101-"}, "StudyDate=20240101-", "StudyDate=20240101-"),
        ({"StudyDate": "20240101-20240131", "StudyTime": "10-11"}, "StudyDate=20240101-20240131", "StudyDate=20240101-20240131"),
        ({"StudyTime": "1030"}, "StudyTime=1030-103059.999999", ""),
        ({"StudyTime": "100000-"}, "StudyTime=10-", ""),
        ({"StudyTime": "103015.5-"}, "StudyTime=103015.5-", ""),
        ({"ModalitiesInStudy": "CT,MR"}, "ModalitiesInStudy=CT,MR", ""),
        ({"StudyInstanceUID": "1.2,1.3"}, "StudyInstanceUID=1.2,1.3", ["StudyInstanceUID=1.2", "StudyInstanceUID=1.3"]),
        ({"AdmittingDiagnosesDescription": "one"}, "AdmittingDiagnosesDescription=*one*", ""),
        ({"PatientWeight": "70"}, "", ""),
        ({"NumberOfStudyRelatedInstances": "3"}, "", ""),
        ({"PatientID": '""', "emptyvaluematching": "true"}, "", ""),
        ({"00101234": "x", "00091001": "y"}, "", ""),
        ({"PatientID": "*"}, "", ""),
    ],
)
def test_the_widest_question_that_is_answered_honestly(params: dict[str, str], orthanc: str, google: str | list[str]) -> None:
    assert keys(ORTHANC, **params) == [orthanc]
    assert keys(GOOGLE, **params) == (google if isinstance(google, list) else [google])


def test_what_the_standard_demands_is_asked_of_everybody() -> None:
    assert keys(GENERIC, PatientName="Doe^J*", PatientID="P *", AccessionNumber="A,1") == [
        "PatientName=*Doe*J*&PatientID=P *&AccessionNumber=A,1"
    ]
    assert keys(GENERIC, PatientSex="F") == [""]


@pytest.mark.parametrize(
    ("profile", "params", "exact"),
    [
        (ORTHANC, {}, True),
        (ORTHANC, {"StudyDate": "20240101-20240131"}, True),
        (ORTHANC, {"StudyDate": "-20240131"}, False),
        (ORTHANC, {"StudyInstanceUID": "1.1,1.2"}, True),
        (ORTHANC, {"PatientID": "P1"}, False),
        (ORTHANC, {"PatientName": "Doe*"}, False),
        (ORTHANC, {"SeriesInstanceUID": "1.1"}, False),
        (GOOGLE, {"PatientID": "P1"}, True),
        (GOOGLE, {"StudyInstanceUID": "1.1,1.2"}, False),
        (GOOGLE, {"Modality": "CT"}, False),
        (GOOGLE, {"PatientSex": ""}, True),
    ],
)
def test_who_may_skip_and_count(profile: Profile, params: dict[str, str], exact: bool) -> None:
    assert planned(profile, **params).exact is exact


def test_keys_of_lower_levels_search_there() -> None:
    found = planned(ORTHANC, Modality="CT", PatientID="P1")
    assert (found.level, found.path) == ("series", "/series")
    assert found.alternatives == ((("PatientID", "P1"), ("Modality", "CT")),)
    assert found.include == "00080060,00100020,0020000D,0020000E"
    below = planned(ORTHANC, "series", Resource("1.1"), SOPInstanceUID="1.2")
    assert (below.level, below.path) == ("instance", "/studies/1.1/instances")
    assert planned(ORTHANC, "instance", Resource("1.1", "1.2")).path == "/studies/1.1/series/1.2/instances"


def test_keys_that_are_not_asked_for_are_named() -> None:
    assert [item.path for item in planned(ORTHANC, PatientWeight="70", StudyDate="20240131").unasked] == [(0x00101030,)]


def test_headers_are_read_for_what_results_cannot_show() -> None:
    step = {"RequestAttributesSequence.ScheduledProcedureStepID": "1"}
    assert planned(ORTHANC, "series", **step).headers_to_check
    assert not planned(GOOGLE, "series", **step).headers_to_check
    assert planned(ORTHANC, includefield="all").headers_to_show and not planned(GOOGLE, includefield="all").headers_to_show
    assert planned(ORTHANC, "instance", includefield="00091001").headers_to_show
    assert planned(GOOGLE, "instance", includefield="PixelData").headers_to_show
    assert not planned(ORTHANC, includefield="PatientComments,StudyDescription").headers_to_show
    assert planned(replace(GENERIC, includes=False), PatientComments="x").headers_to_check


def test_what_is_included() -> None:
    assert planned(GOOGLE, includefield="all").include == "all"
    assert "00204000" not in planned(GOOGLE, includefield="ImageComments").include  # of a lower level
    assert "00104000" in planned(GOOGLE, PatientComments="").include
    assert "00020010,00080016" in planned(GOOGLE, "instance").include
    assert "00020010" not in planned(ORTHANC, "instance", includefield="00020010").include
    assert planned(replace(GENERIC, includes=False), includefield="PatientComments").include == ""
    assert "00080030" in planned(GOOGLE, StudyDate="20240101-20240131", StudyTime="10-11").include


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_what_every_result_needs_is_always_included(level: Level) -> None:
    required = {path[0] for path, of in KEYS.items() if of == level and len(path) == 1}
    for profile in (GENERIC, ORTHANC):
        included = {int(tag, 16) for tag in always(level, profile).split(",")}
        assert required - COMPUTED.keys() <= included
        assert required <= included or not profile.includes_counts
        assert included.isdisjoint(COMPUTED) or profile.includes_counts  # they come unasked


def test_a_long_list_is_looked_for_among_everything() -> None:
    uids = [f"1.{number}" for number in range(ALTERNATIVES + 1)]
    assert len(keys(GOOGLE, StudyInstanceUID=",".join(uids[1:]))) == ALTERNATIVES
    many = planned(GOOGLE, StudyInstanceUID=",".join(uids), PatientID="P1")
    assert many.alternatives == ((("PatientID", "P1"),),)
    assert [item.path for item in many.unasked] == [(0x0020000D,)]
