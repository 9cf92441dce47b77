"""Rules of searches that take more than one series, page or result to show; `tests.flows.rules` lists them with the others."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.flows.rules import holds, instance
from tests.web.gate import Answer, Gate

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEVELS = ("/studies", "/series", "/instances")
STUDY, SERIES, SOP = "0020000D", "0020000E", "00080018"


async def results(gate: Gate, path: str) -> list[Any]:
    answer = await gate.get(path)
    assert answer.status in (200, 204), answer.body
    found: list[Any] = answer.json if answer.status == 200 else []
    return found


async def uids(gate: Gate, path: str, tag: str = STUDY) -> list[str]:
    return [result[tag]["Value"][0] for result in await results(gate, path)]


def placed(series: str, number: int = 1, **attributes: Any) -> bytes:
    """Instance `number` of a series; the study is what stands before the last dot."""
    study = series.rpartition(".")[0]
    own = {"SeriesInstanceUID": series, "SOPInstanceUID": f"{series}.{number}", "InstanceNumber": str(number)}
    return instance(study, attributes, **own)


# -- what comes back

RICH = {
    "PatientName": "Doe^Jane",
    "PatientID": "RICH",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "StudyDate": "20240131",
    "StudyTime": "1030",
    "AccessionNumber": "A1",
    "StudyID": "S1",
    "ReferringPhysicianName": "Roe^Ann",
    "StudyDescription": "head and neck",
    "AdmittingDiagnosesDescription": ["one", "two"],
    "Modality": "CT",
    "SeriesDescription": "axial",
    "SeriesNumber": "3",
    "BodyPartExamined": "HEAD",
    "PerformedProcedureStepStartDate": "20240131",
    "PerformedProcedureStepStartTime": "1031",
    "RequestAttributesSequence": [{"ScheduledProcedureStepID": "A", "RequestedProcedureID": "1"}, {"ScheduledProcedureStepID": "B"}],
    "InstanceNumber": "4",
    "ImageComments": "blurred",
    "AcquisitionDateTime": "20240131103000",
    "Rows": 4,
    "Columns": 4,
    "BitsAllocated": 16,
    "NumberOfFrames": "1",
    "00090010": "ACME",
    "00091001": "x",
}


@pytest_asyncio.fixture(loop_scope="module")
async def rich(gate: Gate) -> Gate:
    await gate.store(instance("3.1", RICH))
    return gate


STUDY_RESULT = (
    "00080020 00080030 00080050 00080056 00080061 00080090 00081190 00100010 00100020 00100030 00100040 0020000D 00200010 00201206 00201208"
)
SERIES_RESULT = "00080060 0008103E 00081190 0020000E 00200011 00201209 00400244 00400245 00400275"
INSTANCE_RESULT = "00080016 00080018 00080056 00081190 00200013 00280010 00280011 00280100 00280008"


@holds("10.6.3")
@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("/studies", STUDY_RESULT),
        ("/series", f"{STUDY_RESULT} {SERIES_RESULT}"),
        ("/studies/3.1/series", SERIES_RESULT),
        ("/instances", f"{STUDY_RESULT} {SERIES_RESULT} {INSTANCE_RESULT}"),
        ("/studies/3.1/instances", f"{SERIES_RESULT} {INSTANCE_RESULT}"),
        ("/studies/3.1/series/3.1.1/instances", INSTANCE_RESULT),
    ],
)
async def test_every_attribute_of_the_tables_of_results(rich: Gate, path: str, tags: str) -> None:
    (result,) = await results(rich, f"{path}?PatientID=RICH")
    assert {tag for tag in tags.split() if "Value" not in result.get(tag, {})} == set()
    assert list(result) == sorted(result)
    assert not {"00102110", "00204000", "00091001"} & set(result)


@holds("10.6.3")
async def test_counts_modalities_and_urls(gate: Gate) -> None:
    files = [placed("3.2.1", number, Modality="CT", PatientID="COUNTS") for number in (1, 2, 3)]
    await gate.store(*files, placed("3.2.2", Modality="PT", PatientID="COUNTS"))
    (study,) = await results(gate, "/studies?PatientID=COUNTS")
    assert (study["00080061"]["Value"], study["00201206"]["Value"], study["00201208"]["Value"]) == (["CT", "PT"], [2], [4])
    series = await results(gate, "/studies/3.2/series")
    assert [one["00201209"]["Value"] for one in series] == [[3], [1]]
    (one,) = await results(gate, "/instances?SOPInstanceUID=3.2.2.1")
    assert one["00081190"]["Value"] == ["http://gate.example/dicom-web/studies/3.2/series/3.2.2/instances/3.2.2.1"]
    assert (await gate.get(one["00081190"]["Value"][0].partition("/dicom-web")[2], "application/dicom; transfer-syntax=*")).status == 200


@holds("10.6.3")
async def test_a_study_keeps_the_attributes_of_its_earliest_instance(gate: Gate) -> None:
    await gate.store(placed("3.3.1", 1, PatientName="First", PatientID="D1", SeriesDescription="one"))
    await gate.store(placed("3.3.1", 2, PatientName="Second", PatientID="D2", SeriesDescription="two"))
    assert await uids(gate, "/studies?PatientName=first&PatientID=D1") == ["3.3"]
    assert await uids(gate, "/studies?PatientID=D2") == []
    assert await uids(gate, "/studies/3.3/series?SeriesDescription=one", SERIES) == ["3.3.1"]
    assert await uids(gate, "/studies/3.3/series?SeriesDescription=two", SERIES) == []
    (study,) = await results(gate, "/studies?StudyInstanceUID=3.3")
    assert (study["00100010"]["Value"], study["00100020"]["Value"]) == ([{"Alphabetic": "First"}], ["D1"])
    assert (await gate.ask("DELETE", "/studies/3.3/series/3.3.1/instances/3.3.1.1")).status == 204
    assert await uids(gate, "/studies?PatientName=second&PatientID=D2") == ["3.3"]
    assert await uids(gate, "/studies/3.3/series?SeriesDescription=two", SERIES) == ["3.3.1"]
    assert await uids(gate, "/studies?PatientID=D1") == []


@holds("C.2.2.2.3")
@pytest.mark.parametrize("asked", ["AdmittingDiagnosesDescription=", "00081080=", "AdmittingDiagnosesDescription=*", "00081080=on*"])
async def test_a_key_comes_back_also_an_empty_one(rich: Gate, asked: str) -> None:
    for level in LEVELS:
        (result,) = await results(rich, f"{level}?PatientID=RICH&{asked}")
        assert result["00081080"] == {"vr": "LO", "Value": ["one", "two"]}


@holds("C.2.2.3")
async def test_all_values_come_back_when_one_matches(rich: Gate) -> None:
    (result,) = await results(rich, "/studies?AdmittingDiagnosesDescription=two")
    assert result["00081080"]["Value"] == ["one", "two"]


@holds("C.2.2.2.6")
@pytest.mark.parametrize("asked", ["RequestAttributesSequence=", "RequestAttributesSequence.ScheduledProcedureStepID=A"])
async def test_a_sequence_comes_back(rich: Gate, asked: str) -> None:
    (result,) = await results(rich, f"/series?PatientID=RICH&{asked}")
    assert result["00400275"]["vr"] == "SQ"
    assert result["00400275"]["Value"][0]["00400009"] == {"vr": "SH", "Value": ["A"]}


FORMS = [
    "includefield=StudyDescription&includefield=AdmittingDiagnosesDescription",
    "includefield=StudyDescription,AdmittingDiagnosesDescription",
    "includefield=StudyDescription%2CAdmittingDiagnosesDescription",
    "includefield=00081030&includefield=00081080",
    "includefield=00081030,AdmittingDiagnosesDescription&includefield=PatientComments",
    "includefield=Nonsense,00081030,,%20AdmittingDiagnosesDescription&includefield=&includefield=00FF00FF",
    "includefield=all",
    "includefield=all&includefield=StudyDescription",
]


@holds("8.3.4.3")
@pytest.mark.parametrize("asked", FORMS)
async def test_every_form_of_includefield(rich: Gate, asked: str) -> None:
    for level in LEVELS:
        (result,) = await results(rich, f"{level}?PatientID=RICH&{asked}")
        assert result["00081030"] == {"vr": "LO", "Value": ["head and neck"]}
        assert result["00081080"] == {"vr": "LO", "Value": ["one", "two"]}
        assert list(result) == sorted(result)


@holds("8.3.4.3")
async def test_includefield_of_anything_in_the_header(rich: Gate) -> None:
    asked = "includefield=ImageComments,AcquisitionDateTime,00091001&includefield=BodyPartExamined"
    (plain,) = await results(rich, "/instances?PatientID=RICH")
    (result,) = await results(rich, f"/instances?PatientID=RICH&{asked}")
    assert not {"00204000", "00091001"} & set(plain)
    assert [result[tag]["Value"] for tag in ("00204000", "0008002A", "00180015")] == [["blurred"], ["20240131103000"], ["HEAD"]]
    assert result["00091001"]["Value"] == ["x"]
    (everything,) = await results(rich, "/instances?PatientID=RICH&includefield=all")
    assert {"00204000", "0008002A", "00091001", "00400275", "00280010"} <= set(everything)


@holds("8.3.4.3")
@pytest.mark.parametrize("path", ["RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009", "00400275"])
async def test_includefield_of_a_sequence(rich: Gate, path: str) -> None:
    (result,) = await results(rich, f"/series?PatientID=RICH&includefield={path}")
    assert [item["00400009"]["Value"] for item in result["00400275"]["Value"]] == [["A"], ["B"]]


@holds("8.3.4.3")
@pytest.mark.parametrize("asked", ["00020010,00083002", "TransferSyntaxUID,AvailableTransferSyntaxUID"])
async def test_the_transfer_syntax_of_an_instance(rich: Gate, asked: str) -> None:
    (result,) = await results(rich, f"/instances?PatientID=RICH&includefield={asked}")
    assert result["00020010"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    assert result["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}


@holds("C.2.2.2.1.3", "C.2.2.2.5.3")
async def test_a_plus_of_an_offset_may_stand_as_it_is(rich: Gate) -> None:
    await rich.store(placed("3.4.1", AcquisitionDateTime="20240505103000+0200"))
    for asked in ("20240505083000+0000", "20240505083000%2B0000", "20240505080000+0000-20240505090000+0000"):
        assert await uids(rich, f"/instances?AcquisitionDateTime={asked}") == ["3.4"]


# -- levels (the hierarchy of PS3.4 C.4.1.3, and keys of other levels)


@pytest_asyncio.fixture(loop_scope="module")
async def levels(gate: Gate) -> Gate:
    """Two studies with a head and a body; only in the first one the head is a CT."""
    await gate.store(
        placed("4.1.1", 1, PatientName="Doe", StudyDate="20240131", Modality="CT", SeriesDescription="head", ImageComments="good"),
        placed("4.1.1", 2, PatientName="Doe", StudyDate="20240131", Modality="CT", SeriesDescription="head", ImageComments="bad"),
        placed("4.1.2", 1, PatientName="Doe", StudyDate="20240131", Modality="PT", SeriesDescription="body", ImageComments="bad"),
        placed("4.2.1", 1, PatientName="Doe", StudyDate="20240201", Modality="CT", SeriesDescription="body", ImageComments="good"),
        placed("4.2.2", 1, PatientName="Doe", StudyDate="20240201", Modality="MR", SeriesDescription="head", ImageComments="good"),
    )
    return gate


@holds("10.6.1.2")
@pytest.mark.parametrize(
    ("path", "tag", "found"),
    [
        ("/studies?Modality=PT", STUDY, ["4.1"]),
        ("/studies?Modality=CT&SeriesDescription=head", STUDY, ["4.1"]),
        ("/studies?Modality=CT&SeriesDescription=body", STUDY, ["4.2"]),
        ("/studies?SeriesInstanceUID=4.2.2", STUDY, ["4.2"]),
        ("/studies?SOPInstanceUID=4.1.2.1,4.2.2.1", STUDY, ["4.1", "4.2"]),
        ("/studies?InstanceNumber=2&ImageComments=bad", STUDY, ["4.1"]),
        ("/studies?InstanceNumber=2&ImageComments=good", STUDY, []),
        ("/studies?Modality=PT&ImageComments=good", STUDY, []),
        ("/studies?Modality=PT&StudyDate=20240201", STUDY, []),
        ("/series?ImageComments=bad", SERIES, ["4.1.1", "4.1.2"]),
        ("/series?InstanceNumber=1&ImageComments=bad", SERIES, ["4.1.2"]),
        ("/series?ModalitiesInStudy=PT", SERIES, ["4.1.1", "4.1.2"]),
        ("/series?StudyDate=20240201&Modality=MR", SERIES, ["4.2.2"]),
        ("/studies/4.1/series?PatientName=doe&StudyDate=20240131", SERIES, ["4.1.1", "4.1.2"]),
        ("/studies/4.1/series?StudyDate=20240201", SERIES, []),
        ("/studies/4.1/series?SOPInstanceUID=4.1.2.1", SERIES, ["4.1.2"]),
        ("/studies/4.1/instances?Modality=CT&ImageComments=bad", SOP, ["4.1.1.2"]),
        ("/studies/4.1/series/4.1.1/instances?PatientName=doe&Modality=CT", SOP, ["4.1.1.1", "4.1.1.2"]),
        ("/studies/4.1/series/4.1.1/instances?Modality=PT", SOP, []),
        ("/studies/4.1/series?StudyInstanceUID=4.2", SERIES, []),
        ("/studies/4.9/series", SERIES, []),
        ("/studies/4.1/series/4.2.1/instances", SOP, []),
    ],
)
async def test_keys_of_every_level(levels: Gate, path: str, tag: str, found: list[str]) -> None:
    assert [uid for uid in await uids(levels, path, tag) if uid.startswith("4.")] == found


@holds("C.2.2.2.8", "8.3.4.6")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("ModalitiesInStudy=CT", ["4.1", "4.2"]),
        ("ModalitiesInStudy=P*", ["4.1"]),
        ("ModalitiesInStudy=MR%5CPT", ["4.1", "4.2"]),
        ("ModalitiesInStudy=MR%2CPT", ["4.1", "4.2"]),
        ("ModalitiesInStudy=MR%5CPT&multiplevaluematching=true", []),
        ("ModalitiesInStudy=PT%5CCT&multiplevaluematching=true", ["4.1"]),
        ("ModalitiesInStudy=PT%5CCT&multiplevaluematching=false", ["4.1", "4.2"]),
    ],
)
async def test_modalities_of_a_study(levels: Gate, asked: str, found: list[str]) -> None:
    assert [uid for uid in await uids(levels, f"/studies?{asked}") if uid.startswith("4.")] == found


# -- pages


@pytest_asyncio.fixture(loop_scope="module")
async def pages(gate: Gate) -> Gate:
    await gate.store(*[placed(f"5.{number}.1", PatientID="PAGES", StudyDate=f"2024010{7 - number}") for number in range(7)])
    return gate


def left(answer: Answer) -> list[str]:
    return [text for text in answer.headers.getall("Warning", []) if "additional results" in text]


@holds("8.3.4.4")
@pytest.mark.parametrize("level", LEVELS)
async def test_pages_add_up_and_say_what_is_left(pages: Gate, level: str) -> None:
    whole = await uids(pages, f"{level}?PatientID=PAGES")
    assert sorted(whole) == [f"5.{number}" for number in range(7)]
    collected = []
    for offset, remaining in ((0, 4), (3, 1), (6, 0)):
        answer = await pages.get(f"{level}?PatientID=PAGES&limit=3&offset={offset}")
        collected += [result[STUDY]["Value"][0] for result in answer.json]
        text = f"299 dicomweb-gateway: There are {remaining} additional results that can be requested"
        assert left(answer) == ([text] if remaining else [])
    assert collected == whole


@holds("8.3.4.4.1")
@pytest.mark.parametrize("level", LEVELS)
async def test_beyond_the_end_is_no_content(pages: Gate, level: str) -> None:
    for asked, remaining in (("offset=7", 0), ("offset=70&limit=3", 0), ("limit=0", 7), ("limit=0&offset=5", 2)):
        answer = await pages.get(f"{level}?PatientID=PAGES&{asked}")
        assert (answer.status, answer.body, len(left(answer))) == (204, b"", int(remaining > 0))
        assert all(f" {remaining} " in text for text in left(answer))


@holds("8.3.4.4.1")
async def test_the_order_does_not_depend_on_what_is_asked_for(pages: Gate) -> None:
    whole = await uids(pages, "/studies?PatientID=PAGES")
    for asked in ("", "&includefield=all", "&StudyDate=20240101-", "&fuzzymatching=true&PatientName=*", "&PatientID=PAGES"):
        assert await uids(pages, f"/studies?PatientID=PAGES{asked}") == whole
    await pages.store(placed("5.7.1", PatientID="PAGES7"), placed("5.3.1", 2, PatientID="PAGES"))
    assert await uids(pages, "/studies?PatientID=PAGES") == whole


@holds("8.3.1", "8.3.4.2", "8.3.4.5", "8.3.4.6")
async def test_what_is_supported_needs_no_warning(rich: Gate) -> None:
    for name in ("fuzzymatching", "emptyvaluematching", "multiplevaluematching"):
        for value in ("true", "false"):
            answer = await rich.get(f"/studies?PatientID=RICH&{name}={value}")
            assert (answer.status, answer.headers.getall("Warning", [])) == (200, [])
        answer = await rich.get(f"/studies?PatientID=RICH&{name}=perhaps")
        assert answer.status == 400 and name in answer.detail and "RICH" not in answer.detail
