"""What browser viewers sent, replayed byte by byte: OHIF 3.13.2 with cornerstone3D, and the dicomweb-client of dcmjs.

`recorded_viewers` holds the requests; what they ask for pictures, documents and videos is replayed by `test_recorded_pictures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import imagecodecs
import pytest
import pytest_asyncio
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from tests import samples
from tests.flows import recorded_viewers as sent
from tests.flows.recorded import Uids, cornerstone_frame, dcmjs_parts, replay, results, transfer_syntax
from tests.flows.recorded_viewers import HOST, JSON, ORIGIN, Asked
from tests.flows.rules import instance
from tests.web.gate import Answer, Gate

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = Uids(samples.STUDY, samples.SERIES, samples.SOP)
CT = Uids("1.2.4", "1.2.4.1", "1.2.4.1.1")
MASK = Uids("1.2.4", "1.2.4.2", "1.2.4.2.1")
CONTOURS = Uids("1.2.4", "1.2.4.3", "1.2.4.3.1")
ECG = Uids("1.2.6", "1.2.6.1", "1.2.6.1.1")
COLOURS = Uids("1.2.8", "1.2.8.1", "1.2.8.1.1")
PDF = Uids("1.2.9", "1.2.9.1", "1.2.9.1.1")
NONE: Mapping[str, str] = {}
WAVE = samples.counted(4000)
REDS = samples.counted(2048)
REPORT = b"%PDF-1.4\n" + samples.counted(3001)

ELECTROCARDIOGRAM: Mapping[str, Any] = {
    "PatientID": "P6",
    "PatientName": "Heart^Anne",
    "AccessionNumber": "A6",
    "StudyDescription": "At rest, W/O load",
    "Modality": "ECG",
    "StudyDate": "20240301",
    "WaveformSequence": [
        {"WaveformBitsAllocated": 16, "WaveformSampleInterpretation": "SS", "NumberOfWaveformChannels": 1, "WaveformData": WAVE},
    ],
}
PALETTE: Mapping[str, Any] = {
    "Modality": "US",
    "PatientName": "Müller^Jörg",
    "RedPaletteColorLookupTableDescriptor": [1024, 0, 16],
    "RedPaletteColorLookupTableData": REDS,
}
DOCUMENT: Mapping[str, Any] = {
    "Modality": "DOC",
    "MIMETypeOfEncapsulatedDocument": "application/pdf",
    "EncapsulatedDocument": REPORT,
}


def identified(uids: Uids, sop_class: str) -> Any:
    return samples.identified(sop_class, uids.study, uids.series, uids.sop)


def mask() -> bytes:
    """A segmentation whose frames are whole bytes."""
    ds = samples.pictured(identified(MASK, SegmentationStorage), samples.counted(16), 8, 8, bits=1, frames=2)
    ds.Modality = "SEG"
    return samples.written(ds)


def contours() -> bytes:
    ds = identified(CONTOURS, RTStructureSetStorage)
    ds.Modality, ds.StructureSetLabel = "RTSTRUCT", "label"
    return samples.written(ds)


STORED = {
    JPEG: samples.encapsulated(3),
    CT: samples.ct(study=CT.study, series=CT.series, sop=CT.sop),
    MASK: mask(),
    CONTOURS: contours(),
    ECG: instance(ECG.study, ELECTROCARDIOGRAM),
    COLOURS: instance(COLOURS.study, PALETTE),
    PDF: instance(PDF.study, DOCUMENT),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(gate: Gate) -> Gate:
    await gate.store(*STORED.values())
    return gate


async def get(gate: Gate, path: str, asked: Asked, uids: Uids | None = None, places: Mapping[str, str] = NONE) -> Answer:
    """The answer to a viewer of the same origin."""
    return await replay(gate, sent.filled(sent.same_origin(f"GET {path}", *asked), **places), uids=uids)


async def found(gate: Gate, path: str, uids: Uids | None = None, places: Mapping[str, str] = NONE) -> list[dict[str, Any]]:
    return results(await get(gate, f"/dicom-web{path}", Asked(JSON), uids, places))


# -- searches


@pytest.mark.parametrize(
    ("asked", "places", "studies"),
    [
        ("all", {}, {"1.2.3", "1.2.4", "1.2.6", "1.2.8", "1.2.9"}),
        ("supportsFuzzyMatching false", {}, {"1.2.3", "1.2.4", "1.2.6", "1.2.8", "1.2.9"}),
        ("patient", {"typed": "heart"}, {"1.2.6"}),
        ("patient", {"typed": "doe%5Ej"}, {"1.2.3", "1.2.4"}),
        ("patient, not ASCII", {}, {"1.2.8"}),
        ("description", {"typed": "At%20rest"}, {"1.2.6"}),
        ("description", {"typed": "rest%2C%20W%2FO"}, {"1.2.6"}),
        ("one modality", {"typed": "SEG"}, {"1.2.4"}),
        ("two modalities", {"typed": "CT", "second": "ECG"}, {"1.2.4", "1.2.6"}),
        ("patient id", {"typed": "6"}, {"1.2.6"}),
        ("from and to", {"from": "20240101", "to": "20240131"}, {"1.2.3", "1.2.4"}),
        ("from until today", {"from": "20240201"}, {"1.2.6"}),
        ("only to", {"to": "20240131"}, {"1.2.3", "1.2.4"}),
        (
            "every field",
            {"name": "anne", "id": "P", "number": "A", "words": "rest", "typed": "ECG", "from": "20240301", "to": "20240301"},
            {"1.2.6"},
        ),
        ("study to open", {"study": "1.2.4"}, {"1.2.4"}),
        ("study to open", {"study": "1.2.5"}, set()),
        ("other studies of the patient", {"typed": "P1"}, {"1.2.3", "1.2.4"}),
    ],
)
async def test_ohif_searches_studies(stored: Gate, asked: str, places: dict[str, str], studies: set[str]) -> None:
    answer = await found(stored, f"/studies?{sent.STUDY_LIST[asked]}", places=places)
    assert {one["0020000D"]["Value"][0] for one in answer} == studies


async def test_ohif_fills_its_list(stored: Gate) -> None:
    """Each column, and what it sorts and opens by; Study Date and the like may not be missing when the study has them."""
    (study,) = await found(stored, f"/studies?{sent.STUDY_LIST['study to open']}", CT)
    shown = "0020000D 00080020 00080030 00080050 00080061 00100010 00100020 00100030 00100040 00201206 00201208".split()
    assert [tag for tag in shown if not study.get(tag, {}).get("Value")] == []
    assert study["00080061"]["Value"] == ["CT", "RTSTRUCT", "SEG"]
    assert "00080060" not in study  # of series, and so never of studies: PS3.18 10.6.3.3.1
    assert study["00100010"]["Value"][0]["Alphabetic"] == "Doe^Jane"


@pytest.mark.parametrize("asked", sent.SERIES_LISTS)
async def test_a_viewer_lists_series(stored: Gate, asked: str) -> None:
    answer = await found(stored, f"/studies/{{study}}/series{sent.SERIES_LISTS[asked]}", CT)
    rows = {tuple(one[tag]["Value"][0] for tag in ("0020000E", "00080060", "00200011", "00201209")) for one in answer}
    assert rows == {(CT.series, "CT", 1, 1), (MASK.series, "SEG", 1, 1), (CONTOURS.series, "RTSTRUCT", 1, 1)}


@pytest.mark.parametrize("asked", sent.DCMJS_SEARCHES)
async def test_dcmjs_searches(stored: Gate, asked: str) -> None:
    answer = await found(stored, sent.DCMJS_SEARCHES[asked], CT)
    tag, uid = ("00080018", CT.sop) if "instance" in asked else ("0020000E", CT.series) if asked == "series" else ("0020000D", CT.study)
    assert uid in [one[tag]["Value"][0] for one in answer]


@pytest.mark.parametrize("asked", sent.METADATA)
async def test_a_viewer_reads_metadata(stored: Gate, asked: str) -> None:
    answer = await found(stored, sent.METADATA[asked], CT)
    by_sop = {one["00080018"]["Value"][0]: one for one in answer}
    assert set(by_sop) == ({CT.sop, MASK.sop, CONTOURS.sop} if asked == "enableStudyLazyLoad false" else {CT.sop})
    assert by_sop[CT.sop]["7FE00010"]["BulkDataURI"].startswith(f"http://{HOST}/dicom-web/")
    assert by_sop[CT.sop]["00280010"]["Value"] == [4]


# -- pixels

FRAME = "/dicom-web{instance}/frames/{number}"


@pytest.mark.parametrize("asked", sent.FRAMES)
async def test_a_viewer_loads_compressed_frames(stored: Gate, asked: str) -> None:
    """Ranges of multipart bodies are not known; the whole is right as long as the status says so."""
    for number, stream in enumerate(samples.codestreams(3), 1):
        answer = await get(stored, FRAME, sent.FRAMES[asked], JPEG, {"number": str(number)})
        media, frame = cornerstone_frame(answer)
        assert (answer.status, media.partition(";")[0], transfer_syntax(media)) == (200, "image/jpeg", "1.2.840.10008.1.2.4.50")
        assert frame.rstrip(b"\0") == stream.rstrip(b"\0")
        assert dcmjs_parts(answer.body) == [frame]


@pytest.mark.parametrize("asked", [*sent.FRAMES, *sent.NATIVE_FRAMES])
async def test_a_viewer_loads_native_frames(stored: Gate, asked: str) -> None:
    answer = await get(stored, FRAME, {**sent.FRAMES, **sent.NATIVE_FRAMES}[asked], CT, {"number": "1"})
    media, frame = cornerstone_frame(answer)
    if asked == "acceptHeader":  # it likes JPEG-LS ten times better
        assert transfer_syntax(media) == "1.2.840.10008.1.2.4.80"
        media, frame = "application/octet-stream", imagecodecs.jpegls_decode(frame).tobytes()
    assert (answer.status, media.partition(";")[0], frame) == (200, "application/octet-stream", samples.counted(32))


@pytest.mark.parametrize("asked", ["quoted", "stackRetrieveOptions with ranges"])
async def test_ohif_loads_a_segmentation_frame_by_frame(stored: Gate, asked: str) -> None:
    """With ``loadMultiframeAsPart10`` false."""
    frames = [cornerstone_frame(await get(stored, FRAME, sent.FRAMES[asked], MASK, {"number": number}))[1] for number in "12"]
    assert b"".join(frames) == samples.counted(16)


@pytest.mark.parametrize("asked", sent.JPEG_FRAMES)
async def test_dcmjs_reads_several_frames(stored: Gate, asked: str) -> None:
    answer = await get(stored, FRAME, sent.JPEG_FRAMES[asked], JPEG, {"number": "1,2,3"})
    assert [part.rstrip(b"\0") for part in dcmjs_parts(answer.body)] == [stream.rstrip(b"\0") for stream in samples.codestreams(3)]


@pytest.mark.parametrize(
    ("asked", "uids", "files"),
    [
        ("segmentation or structure set", MASK, [MASK]),
        ("segmentation or structure set", CONTOURS, [CONTOURS]),
        ("dcmjs, series", CT, [CT]),
    ],
)
async def test_a_viewer_reads_files(stored: Gate, asked: str, uids: Uids, files: list[Uids]) -> None:
    answer = await get(stored, f"/dicom-web{sent.FILES[asked]}", Asked(sent.FILE), uids)
    assert answer.headers["Content-Type"].startswith("multipart/related")
    assert dcmjs_parts(answer.body) == [STORED[one] for one in files]


async def test_dcmjs_reads_the_files_of_a_study(stored: Gate) -> None:
    answer = await get(stored, "/dicom-web/studies/{study}", Asked(sent.FILE), CT)
    assert sorted(dcmjs_parts(answer.body)) == sorted(STORED[one] for one in (CT, MASK, CONTOURS))


# -- bulk data


async def bulk(stored: Gate, uids: Uids, path: str, asked: Asked) -> Answer:
    """By the URI of the metadata.

    :param path: where the attribute is, ``54000100/54001010`` for one of the first item.
    """
    (value,) = await found(stored, sent.METADATA["dcmjs"], uids)
    *sequences, tag = path.split("/")
    for sequence in sequences:
        value = value[sequence]["Value"][0]
    return await get(stored, value[tag]["BulkDataURI"].partition(HOST)[2], asked)


@pytest.mark.parametrize("asked", sent.ELECTROCARDIOGRAM)
async def test_a_viewer_draws_an_electrocardiogram(stored: Gate, asked: str) -> None:
    answer = await bulk(stored, ECG, "54000100/54001010", sent.ELECTROCARDIOGRAM[asked])
    multipart = answer.headers["Content-Type"].startswith("multipart/related")
    assert (answer.status, dcmjs_parts(answer.body) if multipart else [answer.body]) == (200, [WAVE])
    assert multipart == (asked != "OHIF")


async def test_ohif_colours_with_a_palette(stored: Gate) -> None:
    answer = await bulk(stored, COLOURS, "00281201", sent.PALETTE)
    assert (answer.status, dcmjs_parts(answer.body)) == (200, [REDS])


@pytest.mark.parametrize("asked", sent.DOCUMENT)
async def test_ohif_shows_a_document(stored: Gate, asked: str) -> None:
    """It gives the first part to the browser as a PDF, whatever type the part has."""
    answer = await bulk(stored, PDF, "00420011", sent.DOCUMENT[asked])
    assert (answer.status, dcmjs_parts(answer.body)[0][: len(REPORT)]) == (200, REPORT)


# -- what the browser holds already


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (f"/studies?{sent.STUDY_LIST['all']}", Asked(JSON)),
        (sent.METADATA["dcmjs"], Asked(JSON)),
        ("{instance}/frames/1", sent.FRAMES["microscopy"]),
        ("{instance}", Asked(sent.FILE)),
    ],
)
async def test_a_browser_asks_again(stored: Gate, path: str, asked: Asked) -> None:
    first = await get(stored, f"/dicom-web{path}", asked, CT)
    assert "no-store" not in first.headers["Cache-Control"]
    known = {"etag": first.headers["ETag"], "modified": first.headers["Last-Modified"]}
    again = await get(stored, f"/dicom-web{path}", asked._replace(more=sent.AGAIN), CT, known)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


async def test_a_browser_asks_again_for_another_media_type(stored: Gate) -> None:
    """Its cache goes by URL: it names the tag of what it holds, and the answer may only be 304 where that would do."""
    first = await bulk(stored, ECG, "54000100/54001010", sent.ELECTROCARDIOGRAM["OHIF"])
    known = sent.filled(sent.AGAIN, etag=first.headers["ETag"], modified=first.headers["Last-Modified"])
    asked = sent.ELECTROCARDIOGRAM["dcmjs"]._replace(more=known)
    again = await bulk(stored, ECG, "54000100/54001010", asked)
    assert (again.status, dcmjs_parts(again.body)) == (200, [WAVE])


# -- uploads, and pages of other origins


def readable(answer: Answer) -> bool:
    """Whether the browser lets the page of `ORIGIN` see the answer, and no cache gives it to another one."""
    return answer.headers.get("Access-Control-Allow-Origin") == ORIGIN and "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(("remote", "more"), [(False, ""), (True, ""), (True, sent.TOKEN)])
async def test_a_viewer_uploads(stored: Gate, remote: bool, more: str) -> None:
    body = sent.uploaded(*(samples.ct(study="1.2.7", series="1.2.7.1", sop=f"1.2.7.1.{number}") for number in (1, 2, 3)))
    answer = await replay(stored, sent.upload("/dicom-web/studies", len(body), remote=remote, more=more), body)
    assert (answer.status, len(answer.json["00081199"]["Value"])) == (200, 3)
    assert readable(answer) == remote


async def test_dcmjs_uploads_into_a_study(stored: Gate) -> None:
    body = sent.uploaded(samples.ct(study="1.2.7", series="1.2.7.1", sop="1.2.7.1.4"))
    answer = await replay(stored, sent.upload("/dicom-web/studies/1.2.7", len(body), remote=True, more=sent.TOKEN), body)
    assert (answer.status, readable(answer)) == (200, True)


@pytest.mark.parametrize("asked", sent.PREFLIGHTS)
async def test_a_browser_asks_beforehand(stored: Gate, asked: str) -> None:
    path, method, headers = sent.PREFLIGHTS[asked]
    answer = await replay(
        stored, sent.PREFLIGHT, uids=ECG, path=f"/dicom-web{path}".replace("{instance}", ECG.path), method=method, headers=headers
    )
    assert (answer.status, readable(answer)) == (204, True)
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert set(headers.split(",")) <= set(answer.headers["Access-Control-Allow-Headers"].lower().split(", "))


@pytest.mark.parametrize("more", ["", sent.TOKEN])
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (f"/studies?{sent.STUDY_LIST['all']}", Asked(JSON)),
        ("/studies/{study}/series/{series}/metadata", Asked(JSON)),
        ("{instance}/frames/1", sent.FRAMES["quoted"]),
        ("{instance}", Asked(sent.FILE)),
        ("/studies/9.9.9/metadata", Asked(JSON)),
    ],
)
async def test_a_page_of_another_origin_reads(stored: Gate, path: str, asked: Asked, more: str) -> None:
    """Errors, too, so that it can say what is wrong."""
    answer = await replay(stored, sent.other_origin(f"GET /dicom-web{path}", asked.accept, more), uids=CT)
    assert (answer.status, readable(answer)) == (404 if "9.9.9" in path else 200, True)
    assert {"content-range", "etag", "warning"} <= set(answer.headers["Access-Control-Expose-Headers"].lower().split(", "))
