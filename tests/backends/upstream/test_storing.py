"""Stores at an origin: what reaches it, and what we say of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path

import pytest
from aiohttp import web
from pydicom.uid import ImplicitVRLittleEndian

from gateway.backends.base import Upload
from gateway.backends.upstream import storing
from gateway.backends.upstream.profiles import GENERIC, GOOGLE, with_overrides
from gateway.dicomweb.reasons import Reason
from gateway.errors import Busy, InstanceError, MalformedMultipart, OriginFailed
from tests.backends.made import content, dicom, identity, sops, store, study, uploads
from tests.backends.upstream.origins import each, gateway, playing, store_at
from tests.origins import orthanc
from tests.origins.faults import faulty
from tests.origins.google import STORE, google

KINDS = ["gateway", "google", "orthanc"]
Cut = bytes | tuple[bytes, int]


def large(number: int) -> bytes:
    return dicom(sop=f"1.1.1.{number}", Rows=500, Columns=500, PixelData=bytes(500_000))


def nested(depth: int) -> bytes:
    """Sequences inside each other, behind all that a peek looks at: what kills Orthanc 1.10."""
    start = b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    whole = dicom()
    at = whole.index(b"\xe0\x7f\x10\x00OW")
    return whole[:at] + start * depth + end * depth + whole[at:]


async def broken(files: Iterable[Cut], error: Exception | None = None) -> AsyncIterator[Upload]:
    """Uploads of which some are cut off after so many bytes; and what the request itself ends with."""
    for part, one in enumerate(files, 1):
        data, cut = one if isinstance(one, tuple) else (one, None)

        async def body(data: bytes = data, cut: int | None = cut) -> AsyncGenerator[bytes, None]:
            for start in range(0, len(data) if cut is None else cut, 50_000):
                yield data[start : start + 50_000]
            if cut is not None:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "cut off: the request ended before the boundary")

        yield Upload(part, identity(data), body())
    if error is not None:
        raise error


@pytest.mark.parametrize("kind", KINDS)
async def test_many_instances_of_any_size_in_one_request(tmp_path: Path, kind: str) -> None:
    files = [*study("1.1"), large(8), dicom(sop="1.1.1.9", syntax=ImplicitVRLittleEndian), large(10)]
    async with each(kind, tmp_path) as backend:
        result = await backend.store(uploads(files, piece=40_000))
        assert [stored.instance for stored in result.stored] == [identity(file) for file in files] and not result.failed
        for file in files:
            one = identity(file)
            assert await content(backend, one.study, one.series, one.sop) == file


@pytest.mark.parametrize("kind", KINDS)
async def test_garbage_never_reaches_the_origin(tmp_path: Path, kind: str) -> None:
    async with each(kind, tmp_path) as backend:
        good, bad, good_too = dicom(sop="1.1.1.1"), dicom(sop="1.1.1.2")[:-10], dicom(sop="1.1.1.3")
        result = await backend.store(broken([good, bad, (dicom(sop="1.1.1.4"), 500), good_too]))
        assert [stored.instance.sop for stored in result.stored] == ["1.1.1.1", "1.1.1.3"]
        assert [(failed.part, failed.reason) for failed in result.failed] == [(2, Reason.CANNOT_UNDERSTAND), (3, Reason.CANNOT_UNDERSTAND)]
        assert sorted(await sops(backend)) == ["1.1.1.1", "1.1.1.3"]


async def test_what_kills_orthanc_is_refused_and_orthanc_lives(tmp_path: Path) -> None:
    async with each("orthanc", tmp_path) as backend:
        result = await store(backend, nested(5000), dicom())
        assert [stored.instance.sop for stored in result.stored] == ["1.1.1.1"]
        assert "limits.depth" in result.failed[0].detail
        assert orthanc.shared().instances == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_an_instance_that_breaks_on_its_way_does_not_poison_its_neighbours(tmp_path: Path, kind: str) -> None:
    async with each(kind, tmp_path) as backend:
        files: list[Cut] = [large(1), (large(2), 400_000), large(3), dicom(sop="1.1.1.4")]
        result = await backend.store(broken(files))
        stored = {one.instance.sop for one in result.stored}
        assert {"1.1.1.3", "1.1.1.4"} <= stored <= {"1.1.1.1", "1.1.1.3", "1.1.1.4"}
        assert sorted(await sops(backend)) == sorted(stored)
        details = {failed.part: failed.detail for failed in result.failed}
        assert "cut off" in details.pop(2)
        assert details == ({} if "1.1.1.1" in stored else {1: storing.SEND_AGAIN})


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_an_error_of_the_request_is_passed_on(tmp_path: Path, count: int) -> None:
    async with gateway(tmp_path) as (backend, _):
        with pytest.raises(MalformedMultipart):
            await backend.store(broken([large(number + 1) for number in range(count)], MalformedMultipart("no boundary")))


async def test_a_request_without_instances_asks_nobody(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        raise AssertionError

    async with playing(handle, tmp_path) as backend:
        assert not (await backend.store(uploads([]))).stored
        assert len((await backend.store(uploads([dicom()[:-5]]))).failed) == 1


async def test_what_the_answer_does_not_name_is_not_stored_unless_the_origin_has_it(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.method == "POST":
            await request.read()
            return web.json_response({}, content_type="application/dicom+json")
        if "1.1.1.2" not in str(request.rel_url):
            return web.Response(status=204)
        uids = zip(("0020000D", "0020000E", "00080018"), ("1.1", "1.1.1", "1.1.1.2"), strict=True)
        return web.json_response([{key: {"vr": "UI", "Value": [uid]} for key, uid in uids}])

    async with playing(handle, tmp_path) as backend:
        result = await store(backend, dicom(), dicom(sop="1.1.1.2"))
        assert [stored.instance.sop for stored in result.stored] == ["1.1.1.2"]
        assert [failed.detail for failed in result.failed] == ["the origin's answer does not name it"]


async def test_what_an_origin_calls_both_stored_and_failed_is_stored_once_at_most(tmp_path: Path) -> None:
    said = {"00081155": {"vr": "UI", "Value": ["1.1.1.1"]}}
    answer = {
        "00081199": {"vr": "SQ", "Value": [said]},
        "00081198": {"vr": "SQ", "Value": [said | {"00081197": {"vr": "US", "Value": [0xA700]}}]},
    }

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(answer, status=202)

    async with playing(handle, tmp_path) as backend:
        alone = await backend.store(uploads([dicom()]))
        assert (alone.stored, [failed.reason for failed in alone.failed]) == ((), [Reason.OUT_OF_RESOURCES])
        versions = await backend.store(uploads([dicom(), dicom(PatientID="other")]))
        assert [stored.instance.sop for stored in versions.stored] == ["1.1.1.1"]
        assert [(failed.part, failed.reason) for failed in versions.failed] == [(2, Reason.OUT_OF_RESOURCES)]


async def test_google_s_409_names_both_sides(tmp_path: Path) -> None:
    async with google() as fake, store_at(fake.url, tmp_path, GOOGLE) as backend:
        await store(backend, dicom())
        result = await store(backend, dicom(PatientID="P2"), dicom(sop="1.1.1.2"))
        assert [stored.instance.sop for stored in result.stored] == ["1.1.1.2"]
        [failed] = result.failed
        assert (failed.part, failed.reason, failed.sop) == (1, Reason.PROCESSING_FAILURE, "1.1.1.1")
        assert "other content" in failed.detail
        assert fake.calls[-1].status == 409


async def test_an_origin_that_takes_one_instance_a_request(tmp_path: Path) -> None:
    profile = with_overrides(GENERIC, {"stores_multipart": False})
    async with google() as fake, store_at(fake.url, tmp_path, profile) as backend:
        result = await backend.store(broken([large(1), dicom(sop="1.1.1.2")[:-5], large(3)]))
        assert [stored.instance.sop for stored in result.stored] == ["1.1.1.1", "1.1.1.3"]
        assert [call.headers["Content-Type"] for call in fake.calls if call.method == "POST"] == ["application/dicom"] * 2


@pytest.mark.parametrize("status", [503, 500, 401])
@pytest.mark.parametrize("files", [[dicom()], [large(1), large(2), large(3)]], ids=["small", "large"])
async def test_an_origin_that_takes_nothing_is_an_error_of_the_request(tmp_path: Path, status: int, files: list[bytes]) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "1"})

    async with playing(handle, tmp_path, tries=1) as backend:
        with pytest.raises(Busy if status == 503 else OriginFailed):
            await store(backend, *files)


async def test_an_origin_that_breaks_off_is_not_tried_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "SETTLE", (0.0,))
    requests = 0

    async def handle(request: web.Request) -> web.Response:
        nonlocal requests
        if request.method == "POST":
            requests += 1
            await request.content.readany()
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=204)

    async with playing(handle, tmp_path, tries=1) as backend:
        with pytest.raises(OriginFailed):
            await store(backend, *[large(number) for number in range(1, 20)])
    assert requests == storing.FUTILE


async def test_what_was_stored_before_the_origin_went_is_not_denied(tmp_path: Path) -> None:
    files: list[Cut] = [large(1), (large(2), 400_000), large(3), large(4), large(5)]
    async with google() as fake, faulty(int(fake.url.split(":")[2].partition("/")[0]), STORE) as proxy:

        async def dying() -> AsyncIterator[Upload]:
            async for upload in broken(files):
                if upload.part == 3:
                    proxy.faults.status = 500
                yield upload

        async with store_at(proxy.base, tmp_path, GOOGLE, tries=1) as backend:
            result = await backend.store(dying())
    assert [one.instance.sop for one in result.stored] == ["1.1.1.1"]
    assert [failed.part for failed in result.failed] == [2, 3, 4, 5]


async def test_a_request_that_the_origin_took_although_its_answer_was_lost(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path / "there") as (_, there),
        faulty(there.port, "/dicom-web") as proxy,
        store_at(proxy.base, tmp_path, tries=1) as backend,
    ):
        proxy.faults.reset_after = 20

        async def healed() -> None:
            while not (await there.metrics()).get('gateway_store_outcomes_total{outcome="stored",reason="none"}'):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            proxy.faults.heal()

        healing = asyncio.create_task(healed())
        result = await store(backend, large(1))
        await healing
        assert [stored.instance.sop for stored in result.stored] == ["1.1.1.1"]


async def test_a_cancelled_sender_cancels_the_origins_call(tmp_path: Path) -> None:
    began, left = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        began.set()
        try:
            await request.read()
        except BaseException:
            left.set()
            raise
        return web.Response()

    async def endless() -> AsyncIterator[Upload]:
        async def body() -> AsyncGenerator[bytes, None]:
            yield large(1)[:400_000]
            await asyncio.Event().wait()

        yield Upload(1, identity(large(1)), body())

    async with playing(handle, tmp_path) as backend:
        task = asyncio.create_task(backend.store(endless()))
        await asyncio.wait_for(began.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 10)
