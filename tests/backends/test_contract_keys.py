"""Keys and fields that no index holds, and keys of other levels than the one that is searched: the same from all backends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.backends.base import Backend
from gateway.dicomweb.resources import Level, Resource
from tests.backends.made import dicom, found, query, store

STUDY, SERIES, SOP = "0020000D", "0020000E", "00080018"


def scheduled(**values: str) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


@pytest.fixture
async def archive(backend: Backend) -> Backend:
    """Two studies of two series of two instances."""
    files = []
    for study, patient in (("1.1", "Doe^Jane"), ("1.2", "Roe^Rick")):
        for series, modality, protocol in ((f"{study}.1", "CT", "THORAX"), (f"{study}.2", "SR", "REPORT")):
            for number in (1, 2):
                item = scheduled(ScheduledProcedureStepID=f"S{number}", ScheduledProcedureStepDescription=f"{modality} {number}")
                files.append(
                    dicom(
                        study,
                        series,
                        f"{series}.{number}",
                        PatientName=patient,
                        PatientWeight="70" if study == "1.1" else "80.5",
                        Modality=modality,
                        ProtocolName=protocol,
                        StationName=f"ROOM{study[-1]}",
                        KVP=str(100 + 10 * number),
                        InstanceNumber=str(number),
                        RequestAttributesSequence=[item],
                    )
                )
    assert not (await store(backend, *files)).failed
    return backend


@pytest.mark.parametrize(
    ("level", "params", "expected"),
    [
        ("study", {"PatientWeight": "80.50"}, ["1.2"]),
        ("study", {"StationName": "ROOM*"}, ["1.1", "1.2"]),
        ("study", {"StationName": "ROOM2"}, ["1.2"]),
        ("study", {"KVP": "120", "PatientWeight": "70"}, ["1.1"]),
        ("study", {"KVP": "130"}, []),
        ("study", {"SOPInstanceUID": "1.2.1.1"}, ["1.2"]),
        ("study", {"Modality": "SR", "ProtocolName": "REPORT"}, ["1.1", "1.2"]),
        ("study", {"Modality": "SR", "ProtocolName": "THORAX"}, []),
        ("study", {"ProtocolName": "thorax"}, []),
        ("series", {"ProtocolName": "THO*"}, ["1.1.1", "1.2.1"]),
        ("series", {"PatientWeight": "70", "InstanceNumber": "2"}, ["1.1.1", "1.1.2"]),
        ("series", {"RequestAttributesSequence.ScheduledProcedureStepDescription": "SR 1"}, ["1.1.2", "1.2.2"]),
        ("instance", {"KVP": "120.0", "Modality": "CT"}, ["1.1.1.2", "1.2.1.2"]),
        ("instance", {"00180060": "110", "PatientName": "roe*"}, ["1.2.1.1", "1.2.2.1"]),
        ("instance", {"Rows": "4", "SOPInstanceUID": "1.1.2.2"}, ["1.1.2.2"]),
    ],
)
async def test_any_attribute_is_a_key_at_any_level(archive: Backend, level: Level, params: dict[str, str], expected: list[str]) -> None:
    tag = {"study": STUDY, "series": SERIES, "instance": SOP}[level]
    assert sorted(await found(archive, level, tag, **params)) == expected


async def results(backend: Backend, level: Level, resource: Resource | None = None, **params: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in (await backend.search(query(level, resource or Resource(), **params))).results]


async def test_counts_are_of_what_is_here_whatever_an_instance_says_of_itself(backend: Backend) -> None:
    claims = {"NumberOfStudyRelatedInstances": "210", "NumberOfStudyRelatedSeries": "7", "NumberOfSeriesRelatedInstances": "105"}
    await store(backend, dicom(ModalitiesInStudy="MG", **claims))
    for params in ({}, {"includefield": "00080061,00201206,00201208,00201209"}):
        [one] = await results(backend, "study", None, **params)
        assert (one["00080061"]["Value"], one["00201206"]["Value"], one["00201208"]["Value"]) == (["CT"], [1], [1])
        [one] = await results(backend, "series", None, **params)
        assert one["00201209"]["Value"] == [1]


async def test_keys_into_one_sequence_meet_in_one_item(backend: Backend) -> None:
    items = [
        scheduled(ScheduledProcedureStepID="A", RequestedProcedureID="1"),
        scheduled(ScheduledProcedureStepID="B", RequestedProcedureID="2"),
    ]
    await store(backend, dicom(RequestAttributesSequence=items))
    step, procedure = "RequestAttributesSequence.ScheduledProcedureStepID", "RequestAttributesSequence.RequestedProcedureID"
    assert len(await results(backend, "series", None, **{step: "A", procedure: "1"})) == 1
    assert len(await results(backend, "series", None, **{step: "A"})) == 1
    assert not await results(backend, "series", None, **{step: "A", procedure: "2"})


async def test_a_key_is_shown_and_so_is_what_is_included(archive: Backend) -> None:
    [one] = await results(archive, "study", PatientWeight="70", includefield="PatientName,KVP,Modality")
    assert one["00101030"]["Value"] == [70] and one["00100010"]["Value"][0]["Alphabetic"] == "Doe^Jane"
    assert not {"00180060", "00080060"} & set(one)  # they belong to series and instances
    [first, *_] = await results(archive, "instance", includefield="PatientWeight,KVP,StationName")
    assert [first[key]["Value"] for key in ("00101030", "00180060", "00081010")] == [[70], [110], ["ROOM1"]]
    below = await results(archive, "series", Resource("1.1"), includefield="PatientName,ModalitiesInStudy,NumberOfStudyRelatedInstances")
    assert {one["00100010"]["Value"][0]["Alphabetic"] for one in below} == {"Doe^Jane"}
    assert [one["00080061"]["Value"] for one in below] == [["CT", "SR"]] * 2 and [one["00201208"]["Value"] for one in below] == [[4]] * 2
    assert "00100010" not in (await results(archive, "series", Resource("1.1")))[0]


async def test_all_of_an_instance_is_its_metadata(archive: Backend) -> None:
    [one] = await results(archive, "instance", Resource("1.1", "1.1.1"), includefield="all", InstanceNumber="1")
    assert one["00180060"]["Value"] == [110] and one["00101030"]["Value"] == [70]
    assert one["7FE00010"] == {"vr": "OW", "BulkDataURI": "@/studies/1.1/series/1.1.1/instances/1.1.1.1/bulkdata/7FE00010"}


async def test_all_of_a_study_is_what_belongs_to_studies(archive: Backend) -> None:
    [one] = await results(archive, "study", includefield="all", PatientName="Doe*")
    assert one["00101030"]["Value"] == [70]
    assert not {"00180060", "00280010", "7FE00010"} & set(one)


async def test_the_transfer_syntax_is_given_to_those_who_ask(archive: Backend) -> None:
    asked = await results(archive, "instance", includefield="00020010,00083002", limit="1")
    assert asked[0]["00020010"] == asked[0]["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    assert "00020010" not in (await results(archive, "instance", limit="1"))[0]


async def at_odds(backend: Backend) -> None:
    """Stores three instances of one series that agree in nothing."""
    for number, (name, weight, protocol) in enumerate([("First", "60", "A"), ("Second", "61", "B"), ("Third", "62", "C")], 1):
        await store(backend, dicom(sop=f"1.1.1.{number}", PatientName=name, PatientWeight=weight, ProtocolName=protocol))


async def test_the_earliest_instance_speaks_for_its_study_and_series(backend: Backend) -> None:
    await at_odds(backend)
    for params, expected in (
        ({"PatientName": "First"}, 1),
        ({"PatientName": "Second"}, 0),
        ({"PatientWeight": "60"}, 1),
        ({"PatientWeight": "61"}, 0),
    ):
        assert len(await results(backend, "study", None, **params)) == expected, params
    assert len(await results(backend, "series", ProtocolName="A")) == 1 and not await results(backend, "series", ProtocolName="B")


async def test_what_is_said_of_a_study_holds_for_all_its_instances(backend: Backend) -> None:
    await at_odds(backend)
    assert len(await results(backend, "instance", PatientName="First")) == 3


async def test_the_earliest_that_is_left_speaks_for_its_study(backend: Backend) -> None:
    await at_odds(backend)
    await backend.delete(Resource("1.1", "1.1.1", "1.1.1.1"))
    assert len(await results(backend, "study", PatientName="Second", PatientWeight="61")) == 1
    assert not await results(backend, "study", PatientName="First")


async def test_pages_of_what_was_looked_for_in_headers(archive: Backend) -> None:
    pages = [await archive.search(query("instance", KVP="110", limit="2", offset=str(offset))) for offset in range(5)]
    assert [(len(page.results), page.remaining == 0) for page in pages] == [(2, False), (2, False), (2, True), (1, True), (0, True)]
    assert not (await archive.search(query("instance", KVP="110", limit="0", offset="1"))).results


async def test_pages_of_what_was_looked_for_in_headers_count_what_is_left(archive: Backend) -> None:
    pages = [await archive.search(query("instance", KVP="110", limit=limit, offset="1")) for limit in ("0", "1", "2")]
    assert [page.remaining for page in pages] == [3, 2, 1]


async def test_a_search_says_when_the_store_last_changed(backend: Backend) -> None:
    await store(backend, dicom())
    first = (await backend.search(query())).modified
    await store(backend, dicom(sop="1.1.1.2"))
    second = (await backend.search(query())).modified
    assert first is not None and second is not None and first < second


MANY = [f"x{number}" for number in range(300)]


@pytest.mark.parametrize(
    ("level", "key", "first", "expected"),
    [
        ("study", "PatientName", ["Roe^Rick"], ["1.2"]),
        ("study", "ModalitiesInStudy", ["CT", "SR"], ["1.1", "1.2"]),
        ("series", "RequestAttributesSequence.ScheduledProcedureStepID", ["S1"], ["1.1.1", "1.1.2", "1.2.1", "1.2.2"]),
        ("instance", "StationName", ["ROOM1", "ROOM2"], [f"1.{n}.{m}.{k}" for n in (1, 2) for m in (1, 2) for k in (1, 2)]),
    ],
)
async def test_long_lists(archive: Backend, level: Level, key: str, first: list[str], expected: list[str]) -> None:
    tag = {"study": STUDY, "series": SERIES, "instance": SOP}[level]
    assert (
        sorted(await found(archive, level, tag, **{key: "\\".join([*first, *(MANY[:99] if key == "PatientName" else MANY)])})) == expected
    )
