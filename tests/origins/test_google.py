"""The fake keeps to what is told of the Cloud Healthcare API: the gateway is measured against it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from tests import samples
from tests.backends.made import dicom, study
from tests.origins.google import Google, Rights, google
from tests.web.gate import MULTIPART, multipart

INSTANCE = "/studies/1.1/series/1.1.1/instances/1.1.1.1"
SINGLE = {"Content-Type": "application/dicom"}


@pytest.fixture
async def origin() -> AsyncIterator[Google]:
    async with google(polls=2) as origin:
        await ask(origin, "POST", "/studies", SINGLE, dicom())
        yield origin


async def ask(
    origin: Google, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, str, bytes]:
    """Status, media type and body."""
    url = path if path.startswith("http") else origin.url + path
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, data=body) as answer:
        return answer.status, answer.content_type, await answer.read()


async def get(origin: Google, path: str, accept: str = "*/*") -> tuple[int, str, bytes]:
    return await ask(origin, "GET", path, {"Accept": accept})


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ("PatientName=Doe^Jane", 1),
        ("PatientName=doe^jane", 0),
        ("PatientName=Doe*", 0),
        ("PatientName=JA&fuzzymatching=true", 1),
        ("PatientID=P1&StudyDate=20240101-20241231", 1),
        ("StudyDate=20250101-", 0),
        ("includefield=all&limit=5000", 1),
        ("offset=1", 0),
        ("fields=x&alt=json", 1),
    ],
)
async def test_searches_are_exact(origin: Google, params: str, found: int) -> None:
    status, _, body = await get(origin, f"/studies?{params}")
    assert (status, len(json.loads(body or b"[]"))) == (200 if found else 204, found)


@pytest.mark.parametrize("params", ["ModalitiesInStudy=CT", "Modality=CT", "x=1", "limit=5001", "offset=1000001", "includefield=x"])
async def test_anything_else_is_refused(origin: Google, params: str) -> None:
    status, media, body = await get(origin, f"/studies?{params}")
    assert (status, media) == (400, "application/json")
    error = json.loads(body)["error"]
    assert error["code"] == 400 and (params.startswith(("limit", "offset")) or "unknown/unsupported QIDO attribute: " in error["message"])


async def test_a_hundred_results_come_without_a_word_about_the_rest() -> None:
    async with google() as origin:
        body = multipart(*study("1.1", series=1, instances=101))
        assert (await ask(origin, "POST", "/studies", {"Content-Type": MULTIPART}, body))[0] == 200
        assert len(json.loads((await get(origin, "/instances"))[2])) == 101
        await ask(origin, "POST", "/studies", {"Content-Type": MULTIPART}, multipart(*[one for n in range(2, 103) for one in one_of(n)]))
        assert len(json.loads((await get(origin, "/studies"))[2])) == 100


def one_of(number: int) -> list[bytes]:
    return study(f"1.{number}", series=1, instances=1)


async def test_a_store_answers_in_xml_and_fails_as_soon_as_one_does(origin: Google) -> None:
    other = {"Content-Type": MULTIPART}
    status, media, body = await ask(origin, "POST", "/studies", other, multipart(dicom(), dicom(sop="1.1.1.2"), b"nothing"))
    assert (status, media) == (409, "application/dicom+xml")
    places = [body.index(f'<DicomAttribute tag="{tag}"'.encode()) for tag in ("00081190", "00081198", "00081199")]
    assert body.count(b"<NativeDicomModel>") == 1 and places == sorted(places) and b'keyword="FailureDetail"' in body
    assert set(origin.instances) == {"1.1.1.1", "1.1.1.2"}
    status, media, body = await ask(origin, "POST", "/studies/9", SINGLE | {"Accept": "application/dicom+json"}, dicom())
    reason: Any = json.loads(body)["00081198"]["Value"][0]["00081197"]["Value"]
    assert (status, media, reason) == (409, "application/dicom+json", [272])
    assert (await ask(origin, "POST", "/studies", SINGLE, dicom(PatientID="P2")))[0] == 409
    assert (await ask(origin, "POST", "/studies", {"Content-Type": "image/png"}, b"x"))[0] == 415
    assert [call.parts for call in origin.calls] == [1, 3, 1, 1, 0]


async def test_retrieves_want_an_accept_that_fits(origin: Google) -> None:
    assert (await get(origin, INSTANCE, "application/dicom; transfer-syntax=*")) == (200, "application/dicom", dicom())
    assert (await get(origin, "/studies/1.1", "application/dicom; transfer-syntax=*"))[0] == 406
    assert (await get(origin, "/studies/1.1"))[1] == "multipart/related"
    assert (await get(origin, f"{INSTANCE}/frames/1", "image/png"))[0] == 406
    assert (await get(origin, f"{INSTANCE}/frames/2", 'multipart/related; type="application/octet-stream"'))[0] == 404
    _, media, body = await get(origin, f"{INSTANCE}/metadata")
    uri = json.loads(body)[0]["7FE00010"]["BulkDataURI"]
    assert media == "application/dicom+json" and uri == f"{origin.url}{INSTANCE}/bulkdata/7FE00010"
    assert (await get(origin, uri))[2] == bytes(range(32))


async def test_what_would_need_a_codec_is_not_acceptable(origin: Google) -> None:
    await ask(origin, "POST", "/studies", SINGLE, samples.encapsulated(2))
    path = f"/studies/{samples.STUDY}/series/{samples.SERIES}/instances/{samples.SOP}"
    assert (await get(origin, path, "application/dicom"))[0] == 406
    assert (await get(origin, path, "application/dicom; transfer-syntax=*"))[0] == 200


async def test_deletes_are_operations_but_for_instances(origin: Google) -> None:
    await ask(origin, "POST", "/studies", SINGLE, dicom(sop="1.1.1.2"))
    assert await ask(origin, "DELETE", INSTANCE) == (200, "application/json", b"{}")
    name = json.loads((await ask(origin, "DELETE", "/studies/1.1"))[2])["name"]
    looked = [json.loads((await get(origin, f"{origin.url.partition('/v1/')[0]}/v1/{name}"))[2]) for _ in range(2)]
    assert [one.get("done", False) for one in looked] == [False, True]
    assert looked[1]["metadata"]["counter"] == {"success": "1"}
    assert (await ask(origin, "DELETE", "/studies/1.1"))[0] == 404


async def test_tokens_see_what_they_may() -> None:
    async with google({"all": Rights(), "some": Rights({"1.2"}, write=False)}) as origin:
        everything, some = ({"Authorization": f"Bearer {token}"} for token in ("all", "some"))
        for uid in ("1.1", "1.2"):
            assert (await ask(origin, "POST", "/studies", SINGLE | everything, dicom(uid, f"{uid}.1", f"{uid}.1.1")))[0] == 200
        assert (await get(origin, "/studies"))[0] == 401
        assert len(json.loads((await ask(origin, "GET", "/studies", some))[2])) == 1
        assert (await ask(origin, "GET", "/studies/1.1/metadata", some))[0] == 404
        assert (await ask(origin, "POST", "/studies", SINGLE | some, dicom()))[0] == 403
