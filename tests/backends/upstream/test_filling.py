"""What results lack is asked for, of as few as need it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.backends.upstream.filling import Filling, counted
from gateway.dicomweb.resources import Resource
from tests.backends.made import dicom, study
from tests.backends.upstream.searched import Place, at_google, at_orthanc
from tests.origins.google import Google


@pytest.fixture(params=["bare", "orthanc"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """An origin with two studies; the bare one counts nothing."""
    async with at_google(counted=False) if request.param == "bare" else at_orthanc() as place:
        await place.put(*study("1.1", series=2, instances=3), *study("1.2", series=1, instances=1, PatientName="Roe^Rick"))
        await place.put(dicom("1.1", "1.1.9", "1.1.9.1", Modality="SR"))
        yield place


def filling(place: Place) -> Filling:
    return Filling(place.client, place.profile)


def calls(place: Place) -> Counter[str]:
    assert isinstance(place.origin, Google)
    return Counter(call.path for call in place.origin.calls)


async def test_studies_have_their_modalities_and_counts(place: Place) -> None:
    found = await filling(place).studies(["1.1", "1.2", "9.9"])
    assert {uid: [one[key]["Value"] for key in ("00080061", "00201206", "00201208")] for uid, one in found.items()} == {
        "1.1": [["CT", "SR"], [3], [7]],
        "1.2": [["CT"], [1], [1]],
    }
    assert found["1.2"]["00100010"]["Value"] == [{"Alphabetic": "Roe^Rick"}]


async def test_series_have_their_counts(place: Place) -> None:
    found = await filling(place).series(["1.1", "1.2"])
    assert {pair: one["00201209"]["Value"] for pair, one in found.items()} == {
        ("1.1", "1.1.1"): [3],
        ("1.1", "1.1.2"): [3],
        ("1.1", "1.1.9"): [1],
        ("1.2", "1.2.1"): [1],
    }


async def test_instances_are_counted_one_by_one(place: Place) -> None:
    assert await filling(place).instances(Resource("1.1")) == 7
    assert await filling(place).instances(Resource("1.1", "1.1.2")) == 3
    assert await filling(place).instances(Resource("9.9")) == 0


async def test_what_is_there_is_not_asked_for() -> None:
    async with at_google() as place:
        await place.put(*study("1.1"))
        rows = await filling(place).pages(Resource(), "study").all(10)
        before = calls(place)
        assert await filling(place).counts(rows, "study") == rows
        assert await filling(place).counts([], "study") == []
        assert calls(place) == before


async def test_headers_are_those_of_an_instance(place: Place) -> None:
    rows = [*(await filling(place).studies(["1.2"])).values(), *(await filling(place).series(["1.2"])).values()]
    gone = {"0020000D": {"vr": "UI", "Value": ["9.9"]}}
    of_study, of_series, nothing = await filling(place).headers([*rows, gone], None)
    assert of_study == of_series and nothing == {}
    assert of_study["00280010"]["Value"] == [4] and of_study["00100010"]["Value"] == [{"Alphabetic": "Roe^Rick"}]
    assert of_study["7FE00010"]["BulkDataURI"] == "@/studies/1.2/series/1.2.1/instances/1.2.1.1/bulkdata/7FE00010"
    [some] = await filling(place).headers(rows[:1], {"00280010"})
    assert list(some) == ["00280010"]


async def test_transfer_syntaxes_come_from_results_or_from_orthanc() -> None:
    for opened in (at_google(), at_orthanc()):
        async with opened as place:
            await place.put(*study("1.1"))
            rows = await filling(place).pages(Resource("1.1"), "instance").all(10)
            found = await filling(place).syntaxes(rows)
            assert [row["00083002"]["Value"] for row in found] == [["1.2.840.10008.1.2.1"]] * 4


async def test_a_transfer_syntax_that_nobody_tells_is_left_out() -> None:
    async with at_google() as place:
        await place.put(dicom())
        hidden = Filling(place.client, replace(place.profile, syntaxes="orthanc"))
        rows = [{"0020000D": {"vr": "UI", "Value": ["1.1"]}, "00080018": {"vr": "UI", "Value": ["1.1.1.1"]}}]
        assert await hidden.syntaxes(rows) == rows


@pytest.mark.parametrize(
    ("value", "count"), [(5, 5), ("5", 5), ("x", None), ("1e5", None), (None, None), ({}, None), ([], None), (9e99, int(9e99))]
)
def test_a_count_is_a_number_or_none(value: object, count: int | None) -> None:
    assert counted({"00201209": {"vr": "IS", "Value": [value]}}, "00201209") == count
    assert counted({"00201209": {"vr": "IS"}}, "00201209") is None


async def test_counts_that_are_none_are_counted(place: Place) -> None:
    wrong = {key: {"vr": "IS", "Value": ["x"]} for key in ("00201206", "00201208")} | {"00080061": {"vr": "CS", "Value": [7, "CT"]}}
    [found] = await filling(place).counts([{"0020000D": {"vr": "UI", "Value": ["1.1"]}} | wrong], "study")
    assert [found[key]["Value"] for key in ("00201206", "00201208")] == [[3], [7]]
