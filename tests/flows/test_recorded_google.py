"""What Google's clients sent to plain DICOMweb routes, replayed byte by byte: ez-wsi-dicomweb, dcmweb, google-api-python-client.

Left out because they belong to the routes of the Cloud Healthcare API, where `test_google_clients` has them: stores and deletes of
dcmweb (it reads XML without having asked for it, and an operation where the standard has 204) and everything below ``/v1``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
import requests
from requests_toolbelt.multipart.decoder import MultipartDecoder

from tests import samples
from tests.flows.recorded import REQUESTS, Uids, dcmweb_files, replay, results
from tests.flows.rules import dataset
from tests.web.gate import Answer, Gate

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLIDE = Uids("1.2.8", "1.2.8.1", "1.2.8.1.1")
CT = Uids("1.2.4", "1.2.4.1", "1.2.4.1.1")
JPEG = Uids(samples.STUDY, samples.SERIES, samples.SOP)
PROFILE = samples.counted(3000)

MICROSCOPY: Mapping[str, Any] = {
    "PatientID": "P8",
    "Modality": "SM",
    "ImageType": ["DERIVED", "PRIMARY", "VOLUME", "NONE"],
    "TotalPixelMatrixColumns": 8,
    "TotalPixelMatrixRows": 8,
    "ImagedVolumeWidth": 15.0,
    "BarcodeValue": "B8",
    "DimensionOrganizationType": "TILED_FULL",
    "OpticalPathSequence": [{"OpticalPathIdentifier": "1", "ICCProfile": PROFILE}],
    "SharedFunctionalGroupsSequence": [{"PixelMeasuresSequence": [{"PixelSpacing": ["0.5", "0.5"]}]}],
}


def slide() -> bytes:
    ds = samples.pictured(samples.identified("1.2.840.10008.5.1.4.1.1.77.1.6", *vars(SLIDE).values()), samples.counted(64), 4, 4, 8, 4)
    ds.update(dataset(MICROSCOPY))
    return samples.written(ds)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(gate: Gate) -> Gate:
    await gate.store(slide(), samples.encapsulated(3), samples.ct(study=CT.study, series=CT.series, sop=CT.sop))
    return gate


def get(path: str, accept: str = "*/*") -> str:
    return f"GET /dicom-web{path} HTTP/1.1\nHost: gate.example\n{REQUESTS}Accept: {accept}\n"


# -- ez-wsi-dicomweb 6.1

FIELDS = """
    00080018 00200013 00280010 00280011 00280002 00280100 00280102 00280103 00280030 00280008 00280009 00480001 00480002 00480003
    00480006 00480007 00480008 00480010 00480012 22000002 22000005 00209228 00209161 00080008 00020010 00282000 00480105 00280004
    00081115 0020000E 00081140 00081155 00081140 00081155 00081072 00401101 00080119 52009229 00209311
""".split()
"""What it includes in a search for instances, each in a parameter of its own, two of them twice."""

INCLUDED = "&".join(f"includefield={tag}" for tag in FIELDS)


async def test_ez_wsi_opens_a_slide(stored: Gate) -> None:
    assert len(results(await replay(stored, get("/studies")))) == 3
    (series,) = results(await replay(stored, get("/studies/{study}/series?Modality=SM"), uids=SLIDE))
    assert series["0020000E"]["Value"] == [SLIDE.series]
    (level,) = results(await replay(stored, get(f"/studies/{{study}}/series/{{series}}/instances?{INCLUDED}"), uids=SLIDE))
    single = ["00080018", "00020010", "00280010", "00280011", "00280002", "00280100", "00280102", "00280008", "00480006", "00480007"]
    assert [tag for tag in single if len(level.get(tag, {}).get("Value", ())) != 1] == []
    assert level["00020010"]["Value"] == ["1.2.840.10008.1.2.1"]
    assert level["00080008"]["Value"] == ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    measures = level["52009229"]["Value"][0]["00289110"]["Value"][0]
    assert measures["00280030"]["Value"] == [0.5, 0.5]


async def test_ez_wsi_finds_the_colours_of_a_slide(stored: Gate) -> None:
    """The ICC profile is bulk data inside a sequence of a search result."""
    text = get(f"/studies/{{study}}/series/{{series}}/instances?{INCLUDED}&SOPInstanceUID={{sop}}")
    (level,) = results(await replay(stored, text, uids=SLIDE))
    uri = level["00480105"]["Value"][0]["00282000"]["BulkDataURI"]
    assert uri.startswith("http://gate.example/dicom-web/")
    answer = await replay(stored, get(uri.partition("/dicom-web")[2], "application/octet-stream; transfer-syntax=*"))
    assert (answer.status, answer.body) == (200, PROFILE)


def toolbelt(answer: Answer) -> list[bytes]:
    return [part.content for part in MultipartDecoder(answer.body, answer.headers["Content-Type"]).parts]


@pytest.mark.parametrize("syntax", ["*", "1.2.840.10008.1.2.1"])
async def test_ez_wsi_reads_frames(stored: Gate, syntax: str) -> None:
    accept = f'multipart/related; type="application/octet-stream"; transfer-syntax={syntax}'
    pixels = samples.counted(64)
    assert toolbelt(await replay(stored, get("{instance}/frames/2", accept), uids=SLIDE)) == [pixels[16:32]]
    answer = await replay(stored, get("{instance}/frames/1,2,3,4", accept), uids=SLIDE)
    assert toolbelt(answer) == [pixels[start : start + 16] for start in range(0, 64, 16)]


async def test_ez_wsi_downloads(stored: Gate) -> None:
    answer = await replay(stored, get("{instance}", "application/dicom; transfer-syntax=*"), uids=SLIDE)
    assert (answer.status, answer.body) == (200, slide())
    accept = 'multipart/related; transfer-syntax=*; type="application/dicom"'
    assert toolbelt(await replay(stored, get("/studies/{study}/series/{series}", accept), uids=SLIDE)) == [slide()]


# -- dcmweb 1.0, Google's command line client


async def test_dcmweb_looks_whether_anybody_is_there(stored: Gate) -> None:
    assert (await replay(stored, get("/studies?limit=1"))).status == 200
    answer = await replay(stored, get("/studies?PatientID=nobody&limit=1"))
    assert 200 <= answer.status < 300


async def test_dcmweb_searches_until_a_page_is_empty(stored: Gate) -> None:
    pages = [
        results(await replay(stored, get(f"/instances?includefield=0020000D&includefield=0020000E&limit=5000&offset={offset}")))
        for offset in (0, 5000)
    ]
    found = [tuple(one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")) for one in pages[0]]
    assert sorted(found) == sorted((uids.study, uids.series, uids.sop) for uids in (SLIDE, CT, JPEG))
    assert pages[1] == []
    assert len(results(await replay(stored, get("/studies/{study}/instances?limit=5000"), uids=CT))) == 1


async def test_dcmweb_downloads_an_instance(stored: Gate) -> None:
    """The file's name comes from the Content-Type, which has to hold the word dicom and not the word multipart."""
    answer = await replay(stored, get("{instance}", "application/dicom; transfer-syntax=*"), uids=CT)
    assert (answer.status, answer.headers["Content-Type"].startswith("application/dicom")) == (200, True)
    assert answer.body == samples.ct(study=CT.study, series=CT.series, sop=CT.sop)


@pytest.mark.parametrize("number", [1, 3])
async def test_dcmweb_downloads_frames(stored: Gate, number: int) -> None:
    """``--type "image/jpeg; transfer-syntax=*"``: it reads pieces of 8,192 bytes, or what one chunk of the answer holds."""

    def download() -> tuple[str, list[bytes]]:
        accept = 'multipart/related; type="image/jpeg"; transfer-syntax=*'
        url = f"http://{stored.host}/dicom-web{JPEG.path}/frames/{number}"
        with requests.get(url, headers={"Accept": accept}, stream=True, timeout=30) as response:
            assert response.status_code == 200, response.text
            return response.headers["Content-Type"], [*response.iter_content(chunk_size=8192)]

    files = dcmweb_files(*_with_iterator(await asyncio.to_thread(download)))
    assert [file.strip(b"\r\n\0") for file in files] == [samples.codestreams(3)[number - 1].strip(b"\r\n\0")]


def _with_iterator(read: tuple[str, list[bytes]]) -> tuple[str, Iterator[bytes]]:
    return read[0], iter(read[1])


async def test_dcmweb_leaves_the_transfer_syntax_out(stored: Gate) -> None:
    """``--type application/dicom`` ends in a semicolon and a blank."""
    answer = await replay(stored, get("/studies/{study}", 'multipart/related; type="application/dicom"; '), uids=CT)
    assert toolbelt(answer) == [samples.ct(study=CT.study, series=CT.series, sop=CT.sop)]


async def test_dcmweb_says_what_an_error_says(stored: Gate) -> None:
    """It looks at the Content-Type of every error."""
    for path in ("/studies/9.9.9", "/studies?limit=many", "/nothing"):
        answer = await replay(stored, get(path))
        assert answer.status >= 400
        assert answer.headers["Content-Type"]


# -- google-api-python-client 2.202

GAPI = """\
    GET /dicom-web{path} HTTP/1.1
    Host: 127.0.0.1:18991
    accept: application/json
    accept-encoding: gzip, deflate
    user-agent: (gzip)
    x-goog-api-client: gdcl/2.202.0 gl-python/3.11.7
    content-length: 0
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/studies?alt=json", 3),
        ("/studies?PatientID=P8&alt=json", 1),
        ("/studies?PatientID=nobody&alt=json", 0),
        ("/studies/1.2.4/series?alt=json", 1),
        ("/studies/1.2.4/instances?alt=json&prettyPrint=false&key=k", 1),
        ("/studies/1.2.4/metadata?alt=json", 1),
        ("/studies/1.2.4/series/1.2.4.1/metadata?alt=json", 1),
        ("/studies/1.2.4/series/1.2.4.1/instances/1.2.4.1.1/metadata?alt=json", 1),
    ],
)
async def test_google_api_python_client_reads_json(stored: Gate, path: str, found: int) -> None:
    """Its own parameters are not attributes, and it asks for plain JSON."""
    answer = await replay(stored, GAPI, path=path)
    assert len(results(answer, "application/json")) == found


async def test_google_api_python_client_reads_errors_as_json(stored: Gate) -> None:
    answer = await replay(stored, GAPI, path="/studies?alt=json&limit=many")
    assert (answer.status, "json" in answer.headers["Content-Type"]) == (400, True)
    assert answer.json
