"""Bulk data and pixel data of studies, series and instances over real sockets (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

from itertools import groupby
from typing import Any
from urllib.parse import quote, urljoin

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from tests import samples
from tests.backends.made import dicom
from tests.backends.test_contract_bulk import PATHS, rich
from tests.web.conftest import Serve
from tests.web.gate import ANY, BASE, Answer, Gate, parts_of

JSON = "application/dicom+json"
OCTETS = 'multipart/related; type="application/octet-stream"'
LEVELS = ["/studies/1.2.3", "/studies/1.2.3/series/1.2.3.4", "/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1"]
JPEG = f"image/jpeg; transfer-syntax={JPEGBaseline8Bit}"


async def filled(gate: Gate) -> Gate:
    await gate.store(rich(ExplicitVRLittleEndian, 1), rich(JPEGBaseline8Bit, 2), rich(ExplicitVRBigEndian, 3, "1.2.9"), samples.report())
    return gate


def parts(answer: Answer) -> list[tuple[str, str, bytes]]:
    """Content-Type, Content-Location and bytes of each part."""
    found = []
    for head, data in parts_of(answer):
        media, _, location = head.partition("\r\nContent-Location: ")
        found.append((media, location, data))
    return found


def uris(found: Any) -> list[str]:
    if isinstance(found, dict):
        return [uri for key, value in found.items() for uri in ([value] if key == "BulkDataURI" else uris(value))]
    return [uri for value in found for uri in uris(value)] if isinstance(found, list) else []


def by_url(answer: Answer, url: str) -> dict[str, list[tuple[str, bytes]]]:
    """The parts of each value by the URL that their location leads to from `url`."""
    groups = groupby(parts(answer), lambda part: part[1])
    return {urljoin(url, location): [(media, data) for media, _, data in found] for location, found in groups}


@pytest.mark.parametrize("level", LEVELS)
async def test_every_location_leads_to_a_uri_of_the_metadata_and_to_the_same_bytes(gate: Gate, level: str) -> None:
    await filled(gate)
    root = f"http://gate.example{BASE}"
    found = by_url(await gate.get(level + "/bulkdata"), f"{root}{level}/bulkdata")
    named = uris((await gate.get(level + "/metadata", JSON)).json)
    assert sorted(found) == sorted(named)
    assert len(named) == len(PATHS) * {0: 3, 1: 2, 2: 1}[LEVELS.index(level)]
    for uri, expected in found.items():
        single = await gate.get(uri.removeprefix(root))
        assert by_url(single, uri) == {uri: expected}
    pixels = by_url(await gate.get(level + "/pixeldata"), f"{root}{level}/pixeldata")
    assert pixels == {uri: found[uri] for uri in found if uri.endswith("bulkdata/7FE00010")}


async def test_locations_are_right_behind_a_proxy_that_says_so(serve: Serve) -> None:
    gate = await filled(await serve(backend="memory", server={"public_url": "https://pacs.example/imaging"}))
    url = f"https://pacs.example/imaging{BASE}{LEVELS[0]}/pixeldata"
    named = uris((await gate.get(LEVELS[0] + "/metadata", JSON)).json)
    assert set(by_url(await gate.get(LEVELS[0] + "/pixeldata"), url)) <= set(named)


async def test_a_named_store_has_them_too(serve: Serve) -> None:
    gate = await serve(backend="memory")
    await gate.store(dicom())
    base = "/stores/default/dicom-web"
    answer = await gate.get("/studies/1.1/bulkdata", base=base)
    url = f"http://gate.example{base}/studies/1.1/"
    assert list(by_url(answer, url + "bulkdata")) == [url + "series/1.1.1/instances/1.1.1.1/bulkdata/7FE00010"]


async def test_heads_of_parts_are_short_and_begin_with_their_type(gate: Gate) -> None:
    """OHIF looks for the end of a head in the first 512 bytes only."""
    uid = "1.2." + "3" * 60
    await gate.store(samples.ct(study=uid, series=uid, sop=uid), samples.ct())
    answer = await gate.get(f"/studies/{uid}/bulkdata")
    boundary = answer.headers["Content-Type"].rpartition("boundary=")[2]
    head = answer.body.partition(b"\r\n\r\n")[0]
    assert head.decode().splitlines() == [
        f"--{boundary}",
        "Content-Type: application/octet-stream",
        f"Content-Location: series/{uid}/instances/{uid}/bulkdata/7FE00010",
    ]
    assert len(head) < 512


@pytest.mark.parametrize("end", ["bulkdata", "pixeldata"])
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (ANY, 200),
        ("multipart/related", 200),
        ('multipart/related; type="*/*"', 200),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", 200),
        (f'{OCTETS}, multipart/related; type="image/jpeg"', 200),
        (OCTETS, 406),
        ('multipart/related; type="image/jpeg"', 406),
        ('multipart/related; type="application/dicom"', 406),
        ("application/octet-stream; transfer-syntax=*", 406),
        ("application/octet-stream", 406),
        ("image/jpeg", 406),
        ("text/html", 406),
    ],
)
async def test_which_forms_can_be_had_of_a_mixed_study(gate: Gate, end: str, accept: str, status: int) -> None:
    await filled(gate)
    answer = await gate.get(f"{LEVELS[1]}/{end}", accept)
    assert answer.status == status
    if status == 406:
        assert JPEGBaseline8Bit in answer.detail or ExplicitVRLittleEndian in answer.detail
    else:
        media = {media for media, _, _ in parts(answer)}
        assert media == {"application/octet-stream", JPEG}
    assert (await gate.get(f"{LEVELS[1]}/{end}?accept={quote(accept)}", "text/html")).status == status


async def test_native_values_for_who_takes_nothing_else(gate: Gate) -> None:
    await gate.store(dicom(syntax=ImplicitVRLittleEndian), dicom(sop="1.1.1.2"))
    answer = await gate.get("/studies/1.1/bulkdata", OCTETS)
    assert [(media, data) for media, _, data in parts(answer)] == [("application/octet-stream", bytes(range(32)))] * 2


@pytest.mark.parametrize("end", ["bulkdata", "pixeldata"])
async def test_where_there_is_none_it_is_said(gate: Gate, end: str) -> None:
    await gate.store(samples.report())
    for level, path in (("study", LEVELS[0]), ("series", LEVELS[1]), ("instance", LEVELS[1] + "/instances/1.2.3.4.5")):
        answer = await gate.get(f"{path}/{end}")
        assert answer.status == 404
        assert answer.detail.startswith(f"the {level} has no {end.removesuffix('data')} data")


@pytest.mark.parametrize("end", ["bulkdata", "pixeldata"])
async def test_the_unknown_and_the_deleted(gate: Gate, end: str) -> None:
    await filled(gate)
    assert (await gate.get(f"/studies/9/{end}")).status == 404
    assert (await gate.get(f"/studies/1.2.3/series/9/{end}")).status == 404
    assert (await gate.get(f"/studies/1..2/{end}")).status == 400
    assert (await gate.ask("DELETE", LEVELS[2])).status == 204
    assert (await gate.get(f"{LEVELS[2]}/{end}")).status == 410
    assert (await gate.get(f"{LEVELS[1]}/{end}")).status == 200


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("end", ["bulkdata", "pixeldata"])
async def test_head_is_get_without_the_body(gate: Gate, level: str, end: str) -> None:
    await filled(gate)
    get, head = await gate.get(f"{level}/{end}"), await gate.ask("HEAD", f"{level}/{end}")
    assert (head.status, head.body) == (get.status, b"")
    for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers.get(name) == get.headers.get(name)
    assert ("Content-Length" in get.headers) == (level == LEVELS[2])
    assert "Accept-Ranges" not in get.headers


async def test_what_the_caller_has_is_not_sent_again(gate: Gate) -> None:
    await filled(gate)
    for end in ("/bulkdata", "/pixeldata"):
        first = await gate.get(LEVELS[0] + end)
        assert first.headers["Last-Modified"]
        again = await gate.get(LEVELS[0] + end, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
    await gate.store(rich(ExplicitVRLittleEndian, 77))
    assert (await gate.get(LEVELS[0] + "/bulkdata", headers={"If-None-Match": first.headers["ETag"]})).status == 200
