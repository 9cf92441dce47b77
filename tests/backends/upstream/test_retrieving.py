"""Reads of an origin: what it is asked, and what a caller gets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from pydicom.uid import JPEGBaseline8Bit

from gateway.backends.base import View
from gateway.backends.memory import MemoryBackend
from gateway.backends.upstream import retrieving
from gateway.backends.upstream.profiles import GOOGLE, with_overrides
from gateway.dicomweb.media import Accept, parse_accept
from gateway.errors import NotAcceptable, NotFound, OriginFailed
from tests import samples
from tests.backends.made import AS_STORED, FIRST, FRAMES, JSON, SINGLE, dicom, located, parts, read, store, study, wants
from tests.backends.upstream.origins import OURS, each, gateway, playing, store_at
from tests.backends.upstream.scripted import DICOM, whole
from tests.origins.google import google

EXPLICIT = parse_accept(["application/dicom"])
XML = parse_accept(['multipart/related; type="application/dicom+xml"'])
UIDS = (samples.STUDY, samples.SERIES, samples.SOP)
BY_ROUTE = with_overrides(GOOGLE, {"frames": "route"})


async def test_a_study_passes_with_its_length_and_bytes(tmp_path: Path) -> None:
    files = study("1.1")
    async with gateway(tmp_path) as (backend, _):
        await store(backend, *files)
        body = await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
        assert body.length is not None
        assert [data for _, data in await parts(body)] == files


@pytest.mark.parametrize("single", [True, False])
async def test_an_instance_comes_bare_and_framed_whatever_the_origin_has(tmp_path: Path, single: bool) -> None:
    data = dicom()

    async def handle(request: web.Request) -> web.Response:
        media = "application/dicom" if single else DICOM
        return web.Response(body=data if single else whole(data), headers={"Content-Type": media})

    async with playing(handle, tmp_path) as backend:
        assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, *FIRST))) == data
        assert [found for _, found in await parts(await backend.retrieve(wants(View.INSTANCES, AS_STORED, *FIRST)))] == [data]


@pytest.mark.parametrize("accept", [SINGLE, EXPLICIT, AS_STORED])
async def test_a_page_of_some_proxy_is_no_instance(tmp_path: Path, accept: Accept) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in", content_type="text/html")

    async with playing(handle, tmp_path) as backend:
        with pytest.raises(OriginFailed, match="is no DICOM instance"):
            await backend.retrieve(wants(View.INSTANCES, accept, *FIRST))


async def test_what_cannot_be_written_here_is_asked_of_the_origin(tmp_path: Path) -> None:
    stored, made = samples.ALL["fragments"](), dicom()
    asked = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.headers["Accept"].rpartition("=")[2])
        return web.Response(body=stored if asked[-1] == "*" else made, headers={"Content-Type": "application/dicom"})

    async with playing(handle, tmp_path) as backend:
        assert await read(await backend.retrieve(wants(View.INSTANCES, EXPLICIT, *UIDS))) == made
    assert asked == ["*", "1.2.840.10008.1.2.1"]


async def test_an_origin_is_not_asked_to_decode_where_that_is_done_here(tmp_path: Path) -> None:
    asked = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.headers["Accept"].rpartition("=")[2])
        return web.Response(body=samples.ALL["fragments"](), headers={"Content-Type": "application/dicom"})

    async with playing(handle, tmp_path, decodes=False) as backend:
        with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
            await backend.retrieve(wants(View.INSTANCES, EXPLICIT, *UIDS))
    assert asked == ["*"]


@pytest.mark.parametrize("status", [200, 406, 500])
async def test_what_nobody_can_write_is_refused_or_given_as_stored(tmp_path: Path, status: int) -> None:
    stored = samples.ALL["fragments"]()

    async def handle(request: web.Request) -> web.Response:
        wanted = "=*" in request.headers["Accept"].replace("; ", "")
        return web.Response(body=stored, headers={"Content-Type": "application/dicom"}, status=200 if wanted else status)

    async with playing(handle, tmp_path) as backend:
        with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
            await backend.retrieve(wants(View.INSTANCES, EXPLICIT, *UIDS))
        either = parse_accept(["application/dicom, application/dicom; transfer-syntax=*; q=0.1"])
        assert await read(await backend.retrieve(wants(View.INSTANCES, either, *UIDS))) == stored


async def test_metadata_is_ours_in_json_and_xml_at_every_level(tmp_path: Path) -> None:
    for kind in ("gateway", "google"):
        async with each(kind, tmp_path) as backend:
            await store(backend, *study("1.1"))
            for uids, count in ((("1.1",), 4), (("1.1", "1.1.1"), 2), (("1.1", "1.1.1", "1.1.1.2"), 1)):
                objects = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, *uids))))
                assert len(objects) == count
                xml = await parts(await backend.retrieve(wants(View.METADATA, XML, *uids)))
                assert len(xml) == count and all(b'uri="@/studies/1.1/series' in one for _, one in xml)
            assert objects[0]["7FE00010"]["BulkDataURI"] == "@/studies/1.1/series/1.1.1/instances/1.1.1.2/bulkdata/7FE00010"


async def test_metadata_starts_before_the_origin_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieving, "BATCH", 0)
    go_on = asyncio.Event()
    one = json.dumps({"0020000E": {"vr": "UI", "Value": ["1"]}, "00080018": {"vr": "UI", "Value": ["2"]}}).encode()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/dicom+json"})
        await response.prepare(request)
        await response.write(b"[" + one)
        await go_on.wait()
        await response.write(b"," + one + b"]")
        return response

    async with playing(handle, tmp_path) as backend:
        body = await backend.retrieve(wants(View.METADATA, JSON, "1.1"))
        first = await anext(body.pieces)
        assert isinstance(first, bytes) and first.count(b"0020000E") == 1
        go_on.set()
        assert (await read(body)).count(b"0020000E") == 1


@pytest.mark.parametrize("kind", ["gateway", "google", "orthanc"])
@pytest.mark.parametrize("view", [View.INSTANCES, View.METADATA, View.FRAMES, View.BULKDATA, View.PIXELDATA])
async def test_what_the_origin_does_not_know_is_told_in_our_words(tmp_path: Path, kind: str, view: View) -> None:
    async with each(kind, tmp_path) as backend:
        await store(backend, dicom())
        with pytest.raises(NotFound, match="there is no such instance here"):
            await backend.retrieve(wants(view, parse_accept(["*/*"]), "1.1", "1.1.1", "9", frames=[1] if view is View.FRAMES else []))


@pytest.mark.parametrize("body", [b"", b"[]"])
async def test_empty_metadata_is_not_found(tmp_path: Path, body: bytes) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=body, status=200 if body else 204)

    async with playing(handle, tmp_path) as backend:
        with pytest.raises(NotFound, match="no such study"):
            await backend.retrieve(wants(View.METADATA, JSON, "1.1"))


@pytest.mark.parametrize("accept", [JSON, XML])
async def test_metadata_is_cut_out_of_instances_where_the_profile_says_so(tmp_path: Path, accept: Accept) -> None:
    """Orthanc leaves the descriptors of lookup tables and other values out of its own."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=whole(dicom()), headers={"Content-Type": DICOM})

    memory = MemoryBackend()
    await store(memory, dicom())
    async with playing(handle, tmp_path, with_overrides(OURS, {"metadata": "cut"})) as backend:
        found = await backend.retrieve(wants(View.METADATA, accept, "1.1"))
        wanted = await memory.retrieve(wants(View.METADATA, accept, "1.1"))
        assert (await parts(found) == await parts(wanted)) if accept is XML else (await read(found) == await read(wanted))
    assert asked and not any(path.endswith("/metadata") for path in asked)


async def test_metadata_that_the_origin_cannot_give_is_made_of_the_instance(tmp_path: Path) -> None:
    data = dicom()

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("/metadata"):
            return web.Response(status=500)
        return web.Response(body=data, headers={"Content-Type": "application/dicom"})

    async with playing(handle, tmp_path) as backend:
        [model] = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, *FIRST))))
        assert model["00100020"]["Value"] == ["P1"] and model["7FE00010"]["BulkDataURI"].startswith("@/studies/1.1/")


async def test_an_origin_that_dies_in_its_metadata_breaks_the_body_off(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/dicom+json", "Content-Length": "100000"})
        await response.prepare(request)
        await response.write(b'[{"0020000E":{"vr":"UI","Value":["1"]},"00080018":{"vr":"UI","Value":["2"]}},')
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.close()
        return response

    async with playing(handle, tmp_path) as backend:
        body = await backend.retrieve(wants(View.METADATA, JSON, "1.1"))
        with pytest.raises(OriginFailed, match="broke off"):
            await read(body)


async def test_frames_come_by_the_route_where_the_profile_says_so(tmp_path: Path) -> None:
    async with google() as fake, store_at(fake.url, tmp_path, BY_ROUTE) as backend:
        await store(backend, samples.ALL["fragments"](), dicom(NumberOfFrames="2", PixelData=samples.counted(64)))
        fake.calls.clear()
        found = await parts(await backend.retrieve(wants(View.FRAMES, FRAMES, *UIDS, frames=[1, 3])))
        assert [data.rstrip(b"\0") for _, data in found] == [samples.codestreams(4)[0], samples.codestreams(4)[2]]
        assert {media for media, _ in found} == {"image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"}
        assert [call.path.rpartition("/")[2] for call in fake.calls] == ["1,3"]
        fake.calls.clear()
        found = await parts(await backend.retrieve(wants(View.FRAMES, FRAMES, *FIRST, frames=[2, 1])))
        assert [data for _, data in found] == [samples.counted(64)[32:], samples.counted(64)[:32]]
        assert [call.path.endswith("1.1.1.1") for call in fake.calls] == [True]
        with pytest.raises(NotFound, match="has 2 frames"):
            await backend.retrieve(wants(View.FRAMES, FRAMES, *FIRST, frames=[3]))


async def test_all_reads_equal_those_of_a_store_that_holds_the_bytes(tmp_path: Path) -> None:
    """Over our own gateway, so that the two stores hold the same."""
    async with gateway(tmp_path, OURS) as (backend, there):
        held = there.app[next(key for key in there.app if "service" in str(key))].catalog.get("default")
        for make_form in samples.ALL.values():
            await store(backend, make_form())
            for view, accept in ((View.BULKDATA, "*/*"), (View.PIXELDATA, "*/*"), (View.INSTANCES, "*/*")):
                retrieve = wants(view, parse_accept([accept]), samples.STUDY)
                try:
                    expected = await located(await held.retrieve(retrieve))
                except NotFound:
                    with pytest.raises(NotFound):
                        await backend.retrieve(retrieve)
                    continue
                assert await located(await backend.retrieve(retrieve)) == expected
            await backend.delete(retrieve.resource)
