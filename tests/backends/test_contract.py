"""What every backend must do; `memory` is the reference, and each case runs over all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.backends.base import Backend, Matches, Upload, View
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import InstanceError, InvalidQuery, NotAcceptable, NotFound
from tests.backends.conftest import Make
from tests.backends.made import (
    AS_STORED,
    FRAME,
    FRAMES,
    JSON,
    SINGLE,
    dicom,
    found,
    parts,
    query,
    read,
    store,
    study,
    uploads,
    wants,
)

# -- store


async def test_what_was_stored_comes_back_bit_identical(backend: Backend) -> None:
    data = dicom()
    result = await store(backend, data)
    assert [stored.instance.sop for stored in result.stored] == ["1.1.1.1"] and not result.failed
    assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))) == data


async def test_equal_bytes_again_succeed(backend: Backend) -> None:
    data = dicom()
    await store(backend, data)
    result = await store(backend, data)
    assert len(result.stored) == 1 and not result.failed
    assert await found(backend, "study", "00201208") == [1]


async def test_other_bytes_under_the_same_uids_are_rejected_by_default(backend: Backend) -> None:
    first, second = dicom(), dicom(PatientName="Roe^Richard")
    await store(backend, first)
    result = await store(backend, second)
    assert [failed.reason for failed in result.failed] == [Reason.PROCESSING_FAILURE] and not result.stored
    assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))) == first


async def test_replace_takes_the_second_version_and_its_attributes(make: Make) -> None:
    backend = make(OnDuplicate.REPLACE)
    await store(backend, dicom())
    second = dicom(PatientName="Roe^Richard", StudyDate="20250101")
    assert len((await store(backend, second)).stored) == 1
    assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))) == second
    assert await found(backend, "study", "00080020") == ["20250101"]
    assert await found(backend, "study", "00201208") == [1]


async def test_an_upload_may_replace_whatever_the_rule_is(make: Make) -> None:
    async def replacing(*files: bytes) -> AsyncIterator[Upload]:
        async for upload in uploads(files):
            yield replace(upload, replace=True)

    for rule in (OnDuplicate.REJECT, OnDuplicate.SKIP):
        backend = make(rule)
        await store(backend, dicom())
        second = dicom(PatientName="Roe^Richard")
        result = await backend.store(replacing(second, dicom(sop="1.1.1.2")))
        assert [stored.warning for stored in result.stored] == [None, None] and not result.failed
        assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))) == second


async def test_skip_keeps_the_first_version_and_says_so(make: Make) -> None:
    backend = make(OnDuplicate.SKIP)
    first = dicom()
    await store(backend, first)
    result = await store(backend, dicom(PatientName="Roe^Richard"))
    assert [stored.warning for stored in result.stored] == [WarningReason.COERCED]
    assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))) == first


async def test_two_versions_in_one_request_obey_the_same_rule(backend: Backend) -> None:
    result = await store(backend, dicom(), dicom(PatientName="Roe^Richard"))
    assert len(result.stored) == 1 and [failed.part for failed in result.failed] == [2]


async def test_a_truncated_instance_fails_alone(backend: Backend) -> None:
    good, bad = dicom(sop="1.1.1.1"), dicom(sop="1.1.1.2")[:-5]
    result = await store(backend, bad, good)
    assert [stored.instance.sop for stored in result.stored] == ["1.1.1.1"]
    assert [(failed.part, failed.reason) for failed in result.failed] == [(1, Reason.CANNOT_UNDERSTAND)]
    assert "7FE0,0010" in result.failed[0].detail
    assert await found(backend, "instance", "00080018") == ["1.1.1.1"]


async def test_an_upload_that_is_cut_off_fails_alone(backend: Backend) -> None:
    async def cut() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom(sop="1.1.1.1"), dicom(sop="1.1.1.2")]):
            if upload.part == 1:

                async def body(original: AsyncIterator[bytes] = upload.body) -> AsyncIterator[bytes]:
                    yield await anext(original)
                    raise InstanceError(Reason.CANNOT_UNDERSTAND, "cut off")

                upload = Upload(1, upload.instance, body())
            yield upload

    result = await backend.store(cut())
    assert [stored.instance.sop for stored in result.stored] == ["1.1.1.2"]
    assert [failed.part for failed in result.failed] == [1]


async def test_a_request_that_breaks_off_leaves_nothing(backend: Backend) -> None:
    async def broken() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom()]):
            yield upload
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await backend.store(broken())
    assert await found(backend, "study", "0020000D") == []


async def test_concurrent_stores_of_one_instance_agree(backend: Backend) -> None:
    versions = [dicom(PatientName=f"Doe^{number}") for number in range(8)]
    results = await asyncio.gather(*(store(backend, version) for version in versions))
    winners = [number for number, result in enumerate(results) if result.stored]
    assert len(winners) == 1
    assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))) == versions[winners[0]]


# -- search


async def test_counts_and_computed_attributes_of_a_study(backend: Backend) -> None:
    await store(backend, *study("1.1", series=2, instances=3), dicom("1.1", "1.1.9", "1.1.9.1", Modality="SEG"))
    result = json.loads((await backend.search(query())).results[0])
    assert result["00201206"]["Value"] == [3] and result["00201208"]["Value"] == [7]
    assert result["00080061"]["Value"] == ["CT", "SEG"]
    assert result["00081190"]["Value"] == ["@/studies/1.1"]
    assert list(result) == sorted(result)
    assert result["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}


@pytest.mark.parametrize(
    ("level", "resource", "expected"),
    [
        ("study", Resource(), 2),
        ("series", Resource(), 4),
        ("series", Resource("1.1"), 2),
        ("instance", Resource(), 8),
        ("instance", Resource("1.2"), 4),
        ("instance", Resource("1.2", "1.2.1"), 2),
        ("instance", Resource("9.9"), 0),
    ],
)
async def test_each_level_below_each_parent(backend: Backend, level: Level, resource: Resource, expected: int) -> None:
    await store(backend, *study("1.1"), *study("1.2"))
    assert len((await backend.search(query(level, resource))).results) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["1.1", "1.2", "1.3"]),
        ({"PatientID": "P2"}, ["1.2"]),
        ({"00100020": "P2"}, ["1.2"]),
        ({"PatientName": "doe^JANE"}, ["1.1", "1.3"]),
        ({"PatientName": "D*"}, ["1.1", "1.3"]),
        ({"PatientName": "?oe^*"}, ["1.1", "1.2", "1.3"]),
        ({"PatientID": "p2"}, []),
        ({"PatientID": "P?"}, ["1.1", "1.2", "1.3"]),
        ({"PatientID": "P[12]"}, []),
        ({"PatientID": "%"}, []),
        ({"StudyDate": "20240201"}, ["1.2"]),
        ({"StudyDate": "20240131-20240229"}, ["1.1", "1.2"]),
        ({"StudyDate": "20240201-"}, ["1.2", "1.3"]),
        ({"StudyDate": "-20240201"}, ["1.1", "1.2"]),
        ({"StudyTime": "10-11"}, ["1.1", "1.2"]),
        ({"StudyTime": "1030"}, ["1.1"]),
        ({"StudyTime": "103015.5"}, []),
        ({"StudyInstanceUID": "1.1,1.3"}, ["1.1", "1.3"]),
        ({"StudyInstanceUID": "1.1\\1.2"}, ["1.1", "1.2"]),
        ({"ModalitiesInStudy": "MR"}, ["1.3"]),
        ({"ModalitiesInStudy": "CT,MR"}, ["1.1", "1.2", "1.3"]),
        ({"AccessionNumber": ""}, ["1.1", "1.2", "1.3"]),
        ({"AccessionNumber": "A-2"}, ["1.2"]),
        ({"StudyID": "S3"}, ["1.3"]),
        ({"ReferringPhysicianName": "Ref*"}, ["1.3"]),
        ({"PatientID": "P2", "StudyDate": "20240131"}, []),
    ],
)
async def test_matching_of_studies(backend: Backend, params: dict[str, str], expected: list[str]) -> None:
    await store(
        backend,
        dicom("1.1", "1.1.1", "1.1.1.1", StudyTime="103015"),
        dicom(
            "1.2", "1.2.1", "1.2.1.1", PatientID="P2", PatientName="Roe^Rita", StudyDate="20240201", StudyTime="1130", AccessionNumber="A-2"
        ),
        dicom(
            "1.3", "1.3.1", "1.3.1.1", Modality="MR", StudyDate="20240301", StudyID="S3", ReferringPhysicianName="Refer^R", PatientID="P3"
        ),
    )
    assert sorted(await found(backend, "study", "0020000D", **params)) == expected


async def test_keys_of_series_and_instances_and_of_their_parents(backend: Backend) -> None:
    request = Dataset()
    request.ScheduledProcedureStepID, request.RequestedProcedureID = "SPS7", "RP7"
    await store(
        backend,
        *study("1.1"),
        dicom(
            "1.2",
            "1.2.1",
            "1.2.1.1",
            Modality="MR",
            PatientID="P2",
            RequestAttributesSequence=[request],
            PerformedProcedureStepStartDate="20240205",
        ),
    )
    assert await found(backend, "series", "0020000E", Modality="MR") == ["1.2.1"]
    assert await found(backend, "series", "0020000E", PatientID="P2") == ["1.2.1"]
    assert await found(backend, "series", "0020000E", SeriesNumber="2") == ["1.1.2"]
    assert await found(backend, "series", "0020000E", RequestAttributesSequence_ScheduledProcedureStepID="SPS7") == ["1.2.1"]
    assert await found(backend, "series", "0020000E", RequestAttributesSequence_RequestedProcedureID="RP*") == ["1.2.1"]
    assert await found(backend, "series", "0020000E", RequestAttributesSequence_RequestedProcedureID="RP") == []
    assert await found(backend, "series", "0020000E", PerformedProcedureStepStartDate="20240201-20240229") == ["1.2.1"]
    assert await found(backend, "instance", "00080018", SOPInstanceUID="1.1.2.1", Modality="CT", PatientID="P1") == ["1.1.2.1"]
    assert sorted(await found(backend, "instance", "00080018", InstanceNumber="2")) == ["1.1.1.2", "1.1.2.2"]
    assert await found(backend, "instance", "00080018", Resource("1.1"), SOPClassUID="1.2.840.10008.5.1.4.1.1.4") == []


async def test_a_key_that_cannot_be_matched_is_refused_by_name(backend: Backend) -> None:
    with pytest.raises(InvalidQuery, match="RequestAttributesSequence"):
        await backend.search(query(RequestAttributesSequence="x"))
    with pytest.raises(InvalidQuery, match="PixelData"):
        await backend.search(query(PixelData="x"))


async def pages(backend: Backend) -> list[Matches]:
    """Seven studies, three at a time."""
    for number in range(7):
        await store(backend, dicom(f"1.{number + 1}", f"1.{number + 1}.1", f"1.{number + 1}.1.1"))
    return [await backend.search(query(limit="3", offset=str(offset))) for offset in (0, 3, 6, 9)]


async def test_pages_are_stable(backend: Backend) -> None:
    paged = await pages(backend)
    assert [(len(matches.results), matches.remaining == 0) for matches in paged] == [(3, False), (3, False), (1, True), (0, True)]
    results = [result for matches in paged for result in matches.results]
    assert results == [*(await backend.search(query())).results]
    assert {json.loads(result)["0020000D"]["Value"][0] for result in results} == {f"1.{number + 1}" for number in range(7)}


async def test_pages_count_what_is_left(backend: Backend) -> None:
    assert [matches.remaining for matches in await pages(backend)] == [4, 1, 0, 0]


async def test_results_come_in_the_order_in_which_they_were_stored(backend: Backend) -> None:
    for uid in ("1.2", "1.3", "1.1"):
        await store(backend, *study(uid, series=1, instances=1))
    assert await found(backend, "study", "0020000D") == ["1.2", "1.3", "1.1"]
    assert await found(backend, "instance", "0020000D") == ["1.2", "1.3", "1.1"]


async def test_results_of_a_wide_search_carry_their_parents_attributes(backend: Backend) -> None:
    await store(backend, *study("1.1", series=1, instances=1))
    wide = json.loads((await backend.search(query("instance"))).results[0])
    narrow = json.loads((await backend.search(query("instance", Resource("1.1", "1.1.1")))).results[0])
    assert {"00100020", "00080060", "0020000D"} <= set(wide)
    assert not {"00100020", "00080060"} & set(narrow)


async def test_instances_show_their_transfer_syntax_unasked(backend: Backend) -> None:
    await store(backend, dicom())
    assert await found(backend, "instance", "00083002") == [ExplicitVRLittleEndian]


# -- retrieve


async def test_a_study_comes_as_parts(backend: Backend) -> None:
    files = study("1.1")
    await store(backend, *files, *study("1.2"))
    body = await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    assert body.media_type.startswith('multipart/related; type="application/dicom"; boundary=')
    assert sorted(data for _, data in await parts(body)) == sorted(files)


async def test_the_parts_of_a_study_come_in_the_order_in_which_they_were_stored(backend: Backend) -> None:
    files = [one for series in ("1.1.2", "1.1.1") for number in (3, 1, 2) for one in [dicom("1.1", series, f"{series}.{number}")]]
    for one in files:
        await store(backend, one)
    assert [data for _, data in await parts(await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))] == files


async def test_a_body_says_how_many_instances_it_holds(backend: Backend) -> None:
    await store(backend, *study("1.1"), *study("1.2"))
    body = await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    await body.aclose()
    assert body.instances == 4


async def test_a_study_is_not_given_as_a_single_part(backend: Backend) -> None:
    await store(backend, *study("1.1"))
    with pytest.raises(NotAcceptable):
        await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1"))


async def test_ranges_of_an_instance(backend: Backend) -> None:
    data = dicom()
    await store(backend, data)
    body = await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))
    assert body.select is not None
    assert await read(body.select(100, 200)) == data[100:200]


async def test_metadata_at_three_levels(backend: Backend) -> None:
    await store(backend, *study("1.1"))
    for uids, count in ((("1.1",), 4), (("1.1", "1.1.1"), 2), (("1.1", "1.1.1", "1.1.1.2"), 1)):
        for _ in range(2):  # the second time it is kept
            objects = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, *uids))))
            assert len(objects) == count
            assert all(one["00100020"]["Value"] == ["P1"] and "00020010" not in one for one in objects)
    assert objects[0]["7FE00010"] == {"vr": "OW", "BulkDataURI": "@/studies/1.1/series/1.1.1/instances/1.1.1.2/bulkdata/7FE00010"}


async def test_frames_as_stored(backend: Backend) -> None:
    await store(backend, dicom(NumberOfFrames="2", PixelData=bytes(range(64))))
    uids = ("1.1", "1.1.1", "1.1.1.1")
    assert await read(await backend.retrieve(wants(View.FRAMES, FRAME, *uids, frames=[2]))) == bytes(range(32, 64))
    both = await read(await backend.retrieve(wants(View.FRAMES, FRAMES, *uids, frames=[2, 1])))
    assert both.index(bytes(range(32, 64))) < both.index(bytes(range(32)) + b"\r\n--")
    with pytest.raises(NotFound, match="2"):
        await backend.retrieve(wants(View.FRAMES, FRAME, *uids, frames=[3]))


async def test_bulk_data_that_metadata_names(backend: Backend) -> None:
    await store(backend, dicom())
    body = await backend.retrieve(wants(View.BULKDATA, FRAME, "1.1", "1.1.1", "1.1.1.1", bulk="7FE00010"))
    assert await read(body) == bytes(range(32))
    with pytest.raises(NotFound):
        await backend.retrieve(wants(View.BULKDATA, FRAME, "1.1", "1.1.1", "1.1.1.1", bulk="54000100/0/54001010"))


@pytest.mark.parametrize("view", [View.INSTANCES, View.METADATA])
@pytest.mark.parametrize("uids", [("9",), ("1.1", "9"), ("1.1", "1.1.1", "9"), ("9", "1.1.1", "1.1.1.1")])
async def test_what_was_never_stored_is_not_found(backend: Backend, view: View, uids: tuple[str, ...]) -> None:
    await store(backend, dicom())
    with pytest.raises(NotFound):
        await backend.retrieve(wants(view, JSON if view is View.METADATA else AS_STORED, *uids))


async def test_check_says_ready(backend: Backend) -> None:
    health = await backend.check()
    assert health.ready and health.writable
