"""What archives and scripts sent, replayed byte by byte: Orthanc 1.10 as a client, Microsoft's notebook, dicomtrolley 4.1 and
dicomweb-client 0.61 for Python.

WADO-URI, which dicomtrolley can use instead of WADO-RS, is asked for by itself in `test_live_clients`.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pydicom
import pytest
import pytest_asyncio
from requests_toolbelt.multipart.decoder import MultipartDecoder

from tests import samples
from tests.flows.recorded import REQUESTS, Uids, dicomtrolley_parts, replay, results
from tests.web.gate import Gate, chunked

pytestmark = pytest.mark.asyncio(loop_scope="module")

CT = Uids("1.2.4", "1.2.4.1", "1.2.4.1.1")
SECOND = replace(CT, sop="1.2.4.1.2")


def file(uids: Uids) -> bytes:
    return samples.ct(study=uids.study, series=uids.series, sop=uids.sop)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(gate: Gate) -> Gate:
    await gate.store(file(CT), file(SECOND), samples.mr())
    return gate


@pytest_asyncio.fixture(loop_scope="module")
async def new(gate: Gate) -> AsyncIterator[Callable[[int], Uids]]:
    """Names instances of a study that is gone after the test."""
    study = "1.2.99"
    yield lambda number: Uids(study, f"{study}.1", f"{study}.1.{number}")
    await gate.ask("DELETE", f"/studies/{study}")


# -- Orthanc's DICOMweb plugin 1.7 as a client

ORTHANC = """\
    POST /dicom-web/studies HTTP/1.1
    Host: 127.0.0.1:18991
    Accept: application/dicom+json
    Content-Type: multipart/related; type="application/dicom"; boundary={boundary}
    Transfer-Encoding: chunked
"""
LONG = "26f25fcf-2e64-42eb-a2b6-af5fca2b3201-26f25fcf-2e64-42eb-a2b6-af5fca2b3201"
"""Two UUIDs: 73 characters, where RFC 2046 allows 70."""


def orthanc_body(*files: bytes) -> list[bytes]:
    parts = [
        f"--{LONG}\r\nContent-Type: application/dicom\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n" for data in files
    ]
    return [*parts, f"--{LONG}--\r\n".encode()]


async def test_orthanc_stores(stored: Gate, new: Callable[[int], Uids]) -> None:
    files = [file(new(number)) for number in (1, 2, 3)]
    answer = await replay(stored, ORTHANC, chunked(orthanc_body(*files)), boundary=LONG)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom+json")
    named = [item["00081155"]["Value"][0] for item in answer.json["00081199"]["Value"]]
    assert named == [new(number).sop for number in (1, 2, 3)]
    assert "00081198" not in answer.json  # Orthanc takes any item in it for a failure, and no sequence for none


async def test_orthanc_stores_in_one_chunk(stored: Gate, new: Callable[[int], Uids]) -> None:
    answer = await replay(stored, ORTHANC, chunked([b"".join(orthanc_body(file(new(1))))]), boundary=LONG)
    assert len(answer.json["00081199"]["Value"]) == 1


@pytest.mark.parametrize("asked", ["PatientID=P1", "00100020=%2A", "StudyDate=20240101-20241231&00080061=CT"])
async def test_orthanc_searches(stored: Gate, asked: str) -> None:
    answer = await replay(stored, f"GET /dicom-web/studies?{asked} HTTP/1.1\nHost: 127.0.0.1:18991\nAccept: */*\n")
    assert {one["0020000D"]["Value"][0] for one in results(answer)} >= {CT.study}


async def test_orthanc_retrieves(stored: Gate) -> None:
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    for path, sent in (("/studies/{study}", [CT, SECOND]), ("{instance}", [CT])):
        text = f"GET /dicom-web{path} HTTP/1.1\nHost: 127.0.0.1:18991\nAccept: {accept}\n"
        answer = await replay(stored, text, uids=CT)
        decoder = MultipartDecoder(answer.body, answer.headers["Content-Type"])
        assert [part.content for part in decoder.parts] == [file(uids) for uids in sent]


# -- Microsoft's notebook "Use DICOMweb Standard APIs with Python"

NOTEBOOK = f"""\
    POST /dicom-web{{path}} HTTP/1.1
    Host: 127.0.0.1:18991
    {REQUESTS}
    Accept: application/dicom+json
    Content-Type: {{media}}
    Content-Length: {{length}}
"""
BOUNDARY = "0d4b1f9be2a4fa1ccf0fbd5f2d3a4a5e"


def notebook_body(**files: bytes) -> bytes:
    """Form data of urllib3 under another name: each part has a Content-Disposition, and no type is named outside."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="dicomfile"\r\n'
        f"Content-Type: application/dicom\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files.items()
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize("path", ["/studies", "/studies/1.2.99"])
async def test_the_notebook_stores_several(stored: Gate, new: Callable[[int], Uids], path: str) -> None:
    body = notebook_body(file_red=file(new(1)), file_green=file(new(2)))
    media = f"multipart/related; boundary={BOUNDARY}"
    answer = await replay(stored, NOTEBOOK, body, path=path, media=media, length=str(len(body)))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom+json")
    assert len(answer.json["00081199"]["Value"]) == 2


async def test_the_notebook_stores_one_and_once_more(stored: Gate, new: Callable[[int], Uids]) -> None:
    body = file(new(1))
    for _ in range(2):
        answer = await replay(stored, NOTEBOOK, body, path="/studies", media="application/dicom", length=str(len(body)))
        assert answer.status == 200
        assert len(answer.json["00081199"]["Value"]) == 1


def get(path: str, accept: str) -> str:
    return f"GET /dicom-web{path} HTTP/1.1\nHost: 127.0.0.1:18991\n{REQUESTS}Accept: {accept}\n"


async def test_the_notebook_retrieves(stored: Gate) -> None:
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    for path in ("/studies/{study}", "/studies/{study}/series/{series}"):
        answer = await replay(stored, get(path, accept), uids=CT)
        parts = MultipartDecoder(answer.body, answer.headers["Content-Type"]).parts
        assert [part.headers[b"content-type"].partition(b";")[0] for part in parts] == [b"application/dicom"] * 2
        assert [pydicom.dcmread(io.BytesIO(part.content)).SOPInstanceUID for part in parts] == [CT.sop, SECOND.sop]
    answer = await replay(stored, get("{instance}", "application/dicom; transfer-syntax=*"), uids=CT)
    assert (answer.status, answer.body) == (200, file(CT))
    for path, number in (("/studies/{study}", 2), ("/studies/{study}/series/{series}", 2), ("{instance}", 1)):
        assert len(results(await replay(stored, get(f"{path}/metadata", "application/dicom+json"), uids=CT))) == number


@pytest.mark.parametrize("rest", ["; transfer-syntax=1.2.840.10008.1.2.1", "; transfer-syntax=*", ";"])
async def test_the_notebook_reads_a_frame(stored: Gate, rest: str) -> None:
    answer = await replay(stored, get("{instance}/frames/1", f'multipart/related; type="application/octet-stream"{rest}'), uids=CT)
    (part,) = MultipartDecoder(answer.body, answer.headers["Content-Type"]).parts
    assert part.content == samples.counted(32)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/studies?StudyInstanceUID={study}", 1),
        ("/series?SeriesInstanceUID={series}", 1),
        ("/studies/{study}/series?SeriesInstanceUID={series}", 1),
        ("/instances?SOPInstanceUID={sop}", 1),
        ("/studies/{study}/instances?SOPInstanceUID={sop}", 1),
        ("/studies/{study}/series/{series}/instances?SOPInstanceUID={sop}", 1),
    ],
)
async def test_the_notebook_searches(stored: Gate, path: str, number: int) -> None:
    assert len(results(await replay(stored, get(path, "application/dicom+json"), uids=CT))) == number


async def test_the_notebook_deletes(stored: Gate, new: Callable[[int], Uids]) -> None:
    await stored.store(*[file(new(number)) for number in (1, 2)])
    for path in ("{instance}", "/studies/{study}/series/{series}"):
        text = f"DELETE /dicom-web{path} HTTP/1.1\nHost: 127.0.0.1:18991\n{REQUESTS}Accept: */*\nContent-Length: 0\n"
        answer = await replay(stored, text, uids=new(1))
        assert (answer.status, answer.body) == (204, b"")


# -- dicomtrolley


async def test_dicomtrolley_searches(stored: Gate) -> None:
    asked = "StudyDate=20000101-20300101&includefield=StudyDescription&includefield=SeriesDescription&PatientName=Doe%2A"
    found = results(await replay(stored, get(f"/studies?{asked}", "*/*")))
    assert {one["0020000D"]["Value"][0] for one in found} == {CT.study, samples.STUDY}
    (series,) = results(await replay(stored, get("/studies/{study}/series", "*/*"), uids=CT))
    assert (series["0020000D"]["Value"], series["0020000E"]["Value"]) == ([CT.study], [CT.series])
    found = results(await replay(stored, get("/studies/{study}/instances?StudyInstanceUID={study}&limit=5", "*/*"), uids=CT))
    assert [[one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")] for one in found] == [
        [CT.study, CT.series, CT.sop],
        [CT.study, CT.series, SECOND.sop],
    ]


@pytest.mark.parametrize("path", ["/studies/{study}", "/studies/{study}/series/{series}"])
async def test_dicomtrolley_downloads(stored: Gate, path: str) -> None:
    """Without an Accept of its own, and with a reader that takes a line break before the first boundary for a part."""
    answer = await replay(stored, get(path, "*/*"), uids=CT)
    assert list(dicomtrolley_parts(answer)) == [file(uids) + b"\r\n" for uids in (CT, SECOND)]


async def test_dicomtrolley_reads_metadata(stored: Gate) -> None:
    answer = await replay(stored, get("/studies/{study}/metadata", "*/*"), uids=CT)
    datasets = [pydicom.Dataset.from_json(one, lambda *_: None) for one in results(answer)]
    assert [ds.SOPInstanceUID for ds in datasets] == [CT.sop, SECOND.sop]


# -- dicomweb-client for Python: live in test_clients; here is what only the wire shows


async def test_dicomweb_client_stores_with_a_line_break_first_and_none_last(stored: Gate, new: Callable[[int], Uids]) -> None:
    boundary = "0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"
    body = (
        b"".join(f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file(new(number)) for number in (1, 2))
        + f"\r\n--{boundary}--".encode()
    )
    text = f"""\
        POST /dicom-web/studies HTTP/1.1
        Host: 127.0.0.1
        {REQUESTS}
        Accept: application/dicom+json
        Content-Type: multipart/related; type="application/dicom"; boundary="{boundary}"
        Authorization: Bearer None
    """
    plain = await replay(stored, f"{text}Content-Length: {len(body)}\n", body)
    again = await replay(stored, f"{text}Transfer-Encoding: chunked\n", chunked([body[:700], body[700:]]))
    for answer in (plain, again):
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom+json")
        assert len(answer.json["00081199"]["Value"]) == 2


async def test_dicomweb_client_leaves_the_port_out_of_host(stored: Gate) -> None:
    """It asks an address and calls it by its name alone; the URLs that it gets have to lead back."""
    text = f"GET /dicom-web/studies/{{study}}/metadata HTTP/1.1\nHost: 127.0.0.1\n{REQUESTS}Accept: application/dicom+json\n"
    metadata = results(await replay(stored, text, uids=CT))
    assert metadata[0]["7FE00010"]["BulkDataURI"] == f"http://{stored.host}/dicom-web{CT.path}/bulkdata/7FE00010"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{instance}/frames/1", samples.counted(32)),
        ("{instance}/bulkdata/7FE00010", samples.counted(32)),
        ("{instance}", file(CT)),
    ],
)
async def test_dicomweb_client_leaves_the_type_open(stored: Gate, path: str, expected: bytes) -> None:
    answer = await replay(stored, get(path, 'multipart/related; type="*/*"'), uids=CT)
    assert [part.content for part in MultipartDecoder(answer.body, answer.headers["Content-Type"]).parts] == [expected]
