"""What browser viewers sent, replayed byte by byte: OHIF 3.13 with cornerstone3D, and the dicomweb-client of dcmjs.

Left out because they belong to services that the gateway does not have yet: ``/rendered`` and ``/thumbnail``, which OHIF asks
for pictures of its study list, for documents and for videos.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests import samples
from tests.flows.recorded import CHROME, Uids, cornerstone_frame, dcmjs_parts, replay, results, transfer_syntax
from tests.flows.rules import instance
from tests.web.gate import Answer, Gate

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = Uids(samples.STUDY, samples.SERIES, samples.SOP)
CT = Uids("1.2.4", "1.2.4.1", "1.2.4.1.1")
ECG = Uids("1.2.6", "1.2.6.1", "1.2.6.1.1")
WAVE = samples.counted(4000)
ORIGIN = "https://viewer.example"

ELECTROCARDIOGRAM: Mapping[str, Any] = {
    "PatientID": "P6",
    "PatientName": "Heart^Anne",
    "Modality": "ECG",
    "StudyDate": "20240301",
    "WaveformSequence": [
        {"WaveformBitsAllocated": 16, "WaveformSampleInterpretation": "SS", "NumberOfWaveformChannels": 1, "WaveformData": WAVE},
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(gate: Gate) -> Gate:
    await gate.store(
        samples.encapsulated(3), samples.ct(study=CT.study, series=CT.series, sop=CT.sop), instance("1.2.6", ELECTROCARDIOGRAM)
    )
    return gate


JSON = f"""\
    Host: 127.0.0.1:3000
    Connection: keep-alive
    Accept: application/dicom+json
    Referer: http://127.0.0.1:3000/
    {CHROME}
"""
WORK_LIST = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (WORK_LIST, {"1.2.3", "1.2.4", "1.2.6"}),
        (f"PatientName=*heart*&{WORK_LIST}", {"1.2.6"}),
        (f"PatientName=*doe%5Ej*&{WORK_LIST}", {"1.2.3", "1.2.4"}),
        (f"00100020=*6*&{WORK_LIST}", {"1.2.6"}),
        (f"AccessionNumber=*A1*&{WORK_LIST}", {"1.2.3", "1.2.4"}),
        (f"StudyDescription=*none*&{WORK_LIST}", set()),
        (f"ModalitiesInStudy=CT&{WORK_LIST}", {"1.2.4"}),
        (f"ModalitiesInStudy=CT%2CECG&{WORK_LIST}", {"1.2.4", "1.2.6"}),
        (f"ModalitiesInStudy=CT%5CECG&{WORK_LIST}", {"1.2.4", "1.2.6"}),
        (f"{WORK_LIST}&StudyDate=20240101-20240131", {"1.2.3", "1.2.4"}),
        (f"{WORK_LIST}&StudyDate=19700102-20240131", {"1.2.3", "1.2.4"}),
        (f"{WORK_LIST}&StudyInstanceUID=1.2.4%5C1.2.6", {"1.2.4", "1.2.6"}),
        (f"00100020=P1&{WORK_LIST}", {"1.2.3", "1.2.4"}),
        (f"00100020=P6&limit=101&offset=101&{WORK_LIST[19:]}", set()),
    ],
)
async def test_ohif_searches_studies(stored: Gate, asked: str, found: set[str]) -> None:
    answer = await replay(stored, f"GET /dicom-web/studies?{asked} HTTP/1.1\n{JSON}")
    assert {one["0020000D"]["Value"][0] for one in results(answer)} == found


async def test_ohif_fills_its_list(stored: Gate) -> None:
    """Each column, and what it sorts and opens by; Study Date and the like may not be missing when the study has them."""
    (study,) = results(await replay(stored, f"GET /dicom-web/studies?StudyInstanceUID=1.2.4&{WORK_LIST} HTTP/1.1\n{JSON}"))
    shown = [
        "0020000D",
        "00080020",
        "00080030",
        "00080050",
        "00080061",
        "00100010",
        "00100020",
        "00100030",
        "00100040",
        "00201206",
        "00201208",
    ]
    assert [tag for tag in shown if not study.get(tag, {}).get("Value")] == []
    assert study["00080061"]["Value"] == ["CT"] and "00080060" not in study  # of series, and so never of studies: PS3.18 10.6.3.3.1
    assert study["00100010"]["Value"][0]["Alphabetic"] == "Doe^Jane"


async def test_ohif_opens_a_study(stored: Gate) -> None:
    text = f"GET /dicom-web/studies/{{study}}/series?includefield=0008103E%2C00080021 HTTP/1.1\n{JSON}"
    (series,) = results(await replay(stored, text, uids=CT))
    assert [series[tag]["Value"][0] for tag in ("0020000E", "00080060", "00200011", "00201209")] == [CT.series, "CT", 1, 1]
    text = f"GET /dicom-web/studies/{{study}}/series/{{series}}/metadata HTTP/1.1\n{JSON}"
    (metadata,) = results(await replay(stored, text, uids=CT))
    assert metadata["00080018"]["Value"] == [CT.sop] and metadata["7FE00010"]["BulkDataURI"].startswith("http://127.0.0.1:3000/dicom-web/")
    text = f"GET /dicom-web/studies/{{study}}/metadata HTTP/1.1\n{JSON}"
    assert len(results(await replay(stored, text, uids=CT))) == 1


FRAME = f"""\
    GET /dicom-web{{instance}}/frames/{{number}} HTTP/1.1
    Host: 127.0.0.1:3000
    Connection: keep-alive
    Accept: multipart/related; type=application/octet-stream; transfer-syntax=*
    {CHROME}
"""


@pytest.mark.parametrize("quoted", [False, True])
async def test_cornerstone_loads_compressed_frames(stored: Gate, quoted: bool) -> None:
    text = FRAME.replace("type=application/octet-stream", 'type="application/octet-stream"') if quoted else FRAME
    for number, stream in enumerate(samples.codestreams(3), 1):
        answer = await replay(stored, text, uids=JPEG, number=str(number))
        assert answer.status == 200
        media, frame = cornerstone_frame(answer)
        assert (media.partition(";")[0], transfer_syntax(media)) == ("image/jpeg", "1.2.840.10008.1.2.4.50")
        assert frame.rstrip(b"\0") == stream.rstrip(b"\0")


async def test_cornerstone_loads_a_native_frame(stored: Gate) -> None:
    answer = await replay(stored, FRAME, uids=CT, number="1")
    media, frame = cornerstone_frame(answer)
    assert (answer.status, media.partition(";")[0], frame) == (200, "application/octet-stream", samples.counted(32))


async def test_cornerstone_asks_for_the_beginning_of_a_frame(stored: Gate) -> None:
    """Progressive loading; whoever does not know ranges of multipart bodies gives the whole, and says 200."""
    answer = await replay(stored, FRAME + "Range: bytes=0-63999\n", uids=JPEG, number="2")
    assert answer.status == 200 or "Content-Range" in answer.headers
    assert cornerstone_frame(answer)[1].rstrip(b"\0") == samples.codestreams(3)[1].rstrip(b"\0")


async def test_dcmjs_reads_a_whole_instance(stored: Gate) -> None:
    """As OHIF does with segmentations, reports and structure sets."""
    text = f"""\
        GET /dicom-web{{instance}} HTTP/1.1
        Host: 127.0.0.1:3000
        Connection: keep-alive
        Accept: multipart/related; type="application/dicom"
        {CHROME}
    """
    answer = await replay(stored, text, uids=CT)
    assert answer.headers["Content-Type"].startswith("multipart/related")
    assert dcmjs_parts(answer.body) == [samples.ct(study=CT.study, series=CT.series, sop=CT.sop)]


async def test_dcmjs_reads_several_frames(stored: Gate) -> None:
    types = ['image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50', 'application/octet-stream"']
    text = f"""\
        GET /dicom-web{{instance}}/frames/1,2,3 HTTP/1.1
        Host: 127.0.0.1:3000
        Connection: keep-alive
        Accept: {", ".join(f'multipart/related; type="{one}' for one in types)}
        {CHROME}
    """
    answer = await replay(stored, text, uids=JPEG)
    assert [part.rstrip(b"\0") for part in dcmjs_parts(answer.body)] == [stream.rstrip(b"\0") for stream in samples.codestreams(3)]


async def bulk(stored: Gate, accept: str, more: str = "") -> Answer:
    text = f"GET /dicom-web/studies/{{study}}/series/{{series}}/metadata HTTP/1.1\n{JSON}"
    (metadata,) = results(await replay(stored, text, uids=ECG))
    uri = metadata["54000100"]["Value"][0]["54001010"]["BulkDataURI"]
    path = uri.partition("127.0.0.1:3000")[2]
    return await replay(stored, f"GET {path} HTTP/1.1\nHost: 127.0.0.1:3000\nConnection: keep-alive\nAccept: {accept}\n{CHROME}{more}")


@pytest.mark.parametrize("accept", ["*/*", "application/octet-stream", 'multipart/related; type="application/octet-stream"'])
async def test_ohif_draws_an_electrocardiogram(stored: Gate, accept: str) -> None:
    """Bulk data from inside a sequence, by the URI of the metadata; ``singlepart: "bulkdata"`` leaves Accept to the browser."""
    answer = await bulk(stored, accept)
    multipart = "multipart" in answer.headers["Content-Type"]
    assert (answer.status, dcmjs_parts(answer.body) if multipart else [answer.body]) == (200, [WAVE])
    assert multipart == accept.startswith("multipart") or accept == "*/*"


async def test_dcmjs_reads_a_range_of_bulk_data(stored: Gate) -> None:
    answer = await bulk(stored, "application/octet-stream", "Range: bytes=100-199\n")
    assert (answer.status, answer.headers["Content-Range"], answer.body) == (206, "bytes 100-199/4000", WAVE[100:200])


UPLOAD = f"""\
    POST /dicom-web/studies HTTP/1.1
    Host: 127.0.0.1:3000
    Connection: keep-alive
    Content-Length: {{length}}
    Content-Type: multipart/related; type="application/dicom"; boundary="{{boundary}}"
    Accept: */*
    Origin: {ORIGIN}
    {CHROME}
"""


async def test_ohif_uploads(stored: Gate) -> None:
    """A line break before the first boundary, none behind the last one, and the boundary in quotes."""
    boundary = "0b5a9aa9-63b9-b3fd-4b81-1e3f9e8c8d5d"
    files = [samples.ct(study="1.2.7", series="1.2.7.1", sop=f"1.2.7.1.{number}") for number in (1, 2)]
    head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + file for file in files) + f"\r\n--{boundary}--".encode()
    answer = await replay(stored, UPLOAD, body, length=str(len(body)), boundary=boundary)
    assert answer.status == 200, answer.body
    assert answer.headers["Access-Control-Allow-Origin"] in (ORIGIN, "*")
    assert len(answer.json["00081199"]["Value"]) == 2


async def test_a_browser_asks_before_it_uploads_to_another_origin(stored: Gate) -> None:
    text = f"""\
        OPTIONS /dicom-web/studies HTTP/1.1
        Host: 127.0.0.1:3000
        Connection: keep-alive
        Accept: */*
        Access-Control-Request-Method: POST
        Access-Control-Request-Headers: authorization,content-type
        Origin: {ORIGIN}
        {CHROME}
    """
    answer = await replay(stored, text)
    assert answer.status in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] in (ORIGIN, "*")
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert "POST" in answer.headers["Access-Control-Allow-Methods"] and all(name in allowed for name in ("authorization", "content-type"))


async def test_a_page_of_another_origin_may_read_frames(stored: Gate) -> None:
    answer = await replay(stored, FRAME + f"Origin: {ORIGIN}\nAuthorization: Bearer None\n", uids=JPEG, number="1")
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"] in (ORIGIN, "*")) == (200, True)
