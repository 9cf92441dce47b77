"""What browser viewers sent for pictures of a study list, for documents and for videos, replayed byte by byte.

`recorded_viewers` holds the requests: those of OHIF 3.13.2 with several settings of its thumbnails, and of the dicomweb-client of
dcmjs, both in Chromium.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image as Pillow
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, EncapsulatedPDFStorage, UltrasoundMultiFrameImageStorage, VideoEndoscopicImageStorage

from tests import samples
from tests.flows import recorded_viewers as sent
from tests.flows.recorded import Uids, dcmjs_parts, replay
from tests.flows.recorded_viewers import ORIGIN
from tests.flows.rules import instance
from tests.web.gate import Answer, Gate

pytestmark = pytest.mark.asyncio(loop_scope="module")

CT = Uids("1.2.4", "1.2.4.1", "1.2.4.1.1")
CINE = Uids("1.2.5", "1.2.5.1", "1.2.5.1.1")
FILM = Uids("1.2.7", "1.2.7.1", "1.2.7.1.1")
PDF = Uids("1.2.9", "1.2.9.1", "1.2.9.1.1")
REPORT = b"%PDF-1.4\n" + samples.counted(3001)
STREAM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + samples.counted(9000)

DOCUMENT: Mapping[str, Any] = {
    "SOPClassUID": EncapsulatedPDFStorage,
    "Modality": "DOC",
    "DocumentTitle": "Report of Doe^Jane",
    "MIMETypeOfEncapsulatedDocument": "application/pdf",
    "EncapsulatedDocument": REPORT,
    "EncapsulatedDocumentLength": len(REPORT),
}


def cine() -> bytes:
    ds = samples.identified(UltrasoundMultiFrameImageStorage, CINE.study, CINE.series, CINE.sop)
    ds.Modality = "US"
    return samples.written(samples.pictured(ds, samples.counted(3 * 256), 16, 16, bits=8, frames=3))


def film() -> bytes:
    ds = samples.identified(VideoEndoscopicImageStorage, FILM.study, FILM.series, FILM.sop)
    ds.Modality = "ES"
    samples.pictured(ds, encapsulate([STREAM]), 16, 16, bits=8, frames=25)
    ds["PixelData"].is_undefined_length = True
    return samples.written(ds, MPEG4HP41)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(gate: Gate) -> Gate:
    await gate.store(samples.ct(study=CT.study, series=CT.series, sop=CT.sop), cine(), film(), instance(PDF.study, DOCUMENT))
    return gate


async def fetched(gate: Gate, asked: tuple[str, str], uids: Uids) -> Answer:
    """The answer to the page's own code."""
    return await replay(gate, sent.same_origin(f"GET /dicom-web{asked[0]}", asked[1]), uids=uids)


def size(answer: Answer, form: str = "JPEG") -> tuple[int, int]:
    """Width and height of the picture that an answer is."""
    assert (answer.status, answer.headers["Content-Type"]) == (200, f"image/{form.lower()}"), answer.body[:300]
    return size_of(answer.body, form)


def size_of(data: bytes, form: str = "JPEG") -> tuple[int, int]:
    with Pillow.open(io.BytesIO(data)) as picture:
        assert picture.format == form
        return picture.size


@pytest.mark.parametrize("uids", [CT, CINE])
@pytest.mark.parametrize("asked", sent.PICTURES)
async def test_a_study_list_has_pictures(stored: Gate, asked: str, uids: Uids) -> None:
    """None is larger than it was asked to be, and all have the proportions of what is stored, which is square."""
    width, height = size(await fetched(stored, sent.PICTURES[asked], uids))
    most = 128 if "128" in sent.PICTURES[asked][0] else 256
    assert width == height <= most


async def test_a_thumbnail_in_the_page(stored: Gate) -> None:
    answer = await replay(stored, sent.picture(f"/dicom-web{sent.IMG[0]}", sent.IMG[1]), uids=CT)
    assert size(answer)[0] > 0


async def test_dcmjs_reads_a_png(stored: Gate) -> None:
    assert size(await fetched(stored, sent.PNG, CT), "PNG") == (4, 4)


async def test_two_frames_are_parts(stored: Gate) -> None:
    """One answer that is a single JPEG cannot hold two of them; who can take parts gets both."""
    path, accept = sent.TWO_FRAMES
    assert (await fetched(stored, (path, accept), CINE)).status == 406
    parts = dcmjs_parts((await fetched(stored, (path, f'multipart/related; type="{accept}"'), CINE)).body)
    assert [size_of(part) for part in parts] == [(16, 16), (16, 16)]


@pytest.mark.parametrize("remote", [False, True])
async def test_ohif_shows_a_document(stored: Gate, remote: bool) -> None:
    """To the last byte, without the one that makes its length even; and nothing in it may run here or names anybody."""
    answer = await replay(stored, sent.navigation(f"/dicom-web{sent.OBJECT[0]}", sent.OBJECT[1], remote=remote), uids=PDF)
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/pdf", REPORT)
    assert (answer.headers["X-Content-Type-Options"], "sandbox" in answer.headers["Content-Security-Policy"]) == ("nosniff", True)
    assert answer.headers["Content-Disposition"] == 'inline; filename="document.pdf"'


async def test_the_same_request_of_a_picture_is_a_picture(stored: Gate) -> None:
    """A browser that opens the URL of an image says that it likes HTML best."""
    answer = await replay(stored, sent.navigation(f"/dicom-web{sent.OBJECT[0]}", sent.OBJECT[1], remote=False), uids=CT)
    assert size(answer) == (4, 4)


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("bytes=0-", 0, len(STREAM)), ("bytes=8000-", 8000, len(STREAM)), ("bytes=4-7", 4, 8)]
)
async def test_a_video_plays_from_anywhere(stored: Gate, asked: str, start: int, stop: int) -> None:
    answer = await replay(stored, sent.video(f"/dicom-web{sent.VIDEO}", f"Range: {asked}"), uids=FILM)
    padded = len(STREAM) + len(STREAM) % 2
    stop += (padded - len(STREAM)) if stop == len(STREAM) else 0
    assert (answer.status, answer.headers["Content-Type"]) == (206, "video/mp4")
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{padded}"
    assert answer.body == (STREAM + b"\0")[start:stop]


async def test_a_video_may_be_asked_for_by_name(stored: Gate) -> None:
    answer = await fetched(stored, ("{instance}/rendered?accept=video/mp4", "*/*"), FILM)
    assert (answer.status, answer.headers["Content-Type"], answer.body[: len(STREAM)]) == (200, "video/mp4", STREAM)


@pytest.mark.parametrize("more", ["", sent.TOKEN])
@pytest.mark.parametrize("asked", [*sent.PICTURES.values(), sent.PNG])
async def test_a_page_of_another_origin_may_look(stored: Gate, asked: tuple[str, str], more: str) -> None:
    answer = await replay(stored, sent.other_origin(f"GET /dicom-web{asked[0]}", asked[1], more), uids=CT)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert {"Accept", "Origin"} <= set(answer.headers["Vary"].split(", "))


async def test_a_browser_asks_again(stored: Gate) -> None:
    first = await fetched(stored, sent.PICTURES["dcmjs, thumbnail"], CT)
    known = sent.filled("If-None-Match: {etag}", etag=first.headers["ETag"])
    path, accept = sent.PICTURES["dcmjs, thumbnail"]
    again = await replay(stored, sent.same_origin(f"GET /dicom-web{path}", accept, known), uids=CT)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


# -- WADO-URI, as viewers of its time ask


def by_uri(uids: Uids, more: str) -> str:
    asked = f"requestType=WADO&studyUID={uids.study}&seriesUID={uids.series}&objectUID={uids.sop}"
    return sent.same_origin(f"GET /wado?{asked}{more}", "*/*")


URI = [
    (CT, "", "JPEG", (4, 4)),
    (CT, "&contentType=image/png&rows=64", "PNG", (64, 64)),
    (CT, "&contentType=image%2Fjpeg&columns=32&windowCenter=40&windowWidth=400&imageQuality=80&annotation=patient", "JPEG", (32, 32)),
    (CT, "&contentType=image/png&region=0,0,0.5,1", "PNG", (2, 4)),
    (CINE, "&contentType=image/jpeg&frameNumber=3", "JPEG", (16, 16)),
    (CINE, "&contentType=image/gif", "GIF", (16, 16)),
]


@pytest.mark.parametrize(("uids", "more", "form", "wanted"), URI)
async def test_pictures_by_uri(stored: Gate, uids: Uids, more: str, form: str, wanted: tuple[int, int]) -> None:
    assert size(await replay(stored, by_uri(uids, more)), form) == wanted


@pytest.mark.parametrize(("uids", "media"), [(CINE, "application/dicom"), (PDF, "application/dicom"), (FILM, "application/problem+json")])
async def test_what_is_no_single_picture_is_an_instance_by_uri(stored: Gate, uids: Uids, media: str) -> None:
    """Of a video there is none in Explicit VR Little Endian; as it is stored it can be had."""
    assert (await replay(stored, by_uri(uids, ""))).headers["Content-Type"] == media
    answer = await replay(stored, by_uri(uids, "&transferSyntax=*"))
    assert (answer.status, answer.body[128:132]) == (200, b"DICM")


async def test_documents_and_videos_by_uri(stored: Gate) -> None:
    for uids, media, content in ((PDF, "application/pdf", REPORT), (FILM, "video/mp4", STREAM)):
        answer = await replay(stored, by_uri(uids, f"&contentType={media}"))
        assert (answer.status, answer.headers["Content-Type"], answer.body[: len(content)]) == (200, media, content)
