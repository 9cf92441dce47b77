"""An origin as a store: what is asked of it as a whole."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from gateway.backends.base import FileSlice, View
from gateway.backends.upstream import origin as room
from gateway.backends.upstream.credentials import PassThrough
from gateway.dicomweb.media import parse_accept
from gateway.errors import OriginFailed
from tests.backends.made import AS_STORED, FIRST, FRAME, JSON, dicom, query, read, store, study, wants
from tests.backends.upstream.origins import OURS, each, gateway, playing, store_at
from tests.origins.faults import faulty

BIG = dicom(Rows=2000, Columns=1000, PixelData=bytes(4_000_000))


@pytest.mark.parametrize("kind", ["gateway", "google", "orthanc"])
async def test_a_study_goes_in_is_found_read_and_deleted(tmp_path: Path, kind: str) -> None:
    async with each(kind, tmp_path) as backend:
        assert (await backend.check()).ready
        assert len((await store(backend, *study("1.1"))).stored) == 4
        [found] = (await backend.search(query())).results
        assert json.loads(found)["0020000D"]["Value"] == ["1.1"]
        objects = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, "1.1"))))
        assert len(objects) == 4
        assert await read(await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST, frames=[1]))) == bytes(range(32))
        assert await backend.delete(wants(View.METADATA, JSON, "1.1").resource) == 4
        assert not (await backend.search(query())).results


async def test_an_origin_that_dies_in_a_body_raises_from_its_pieces(tmp_path: Path) -> None:
    async with gateway(tmp_path / "there") as (direct, there), faulty(there.port, "/dicom-web") as proxy:
        await store(direct, BIG)
        async with store_at(proxy.base, tmp_path) as backend:
            for fault in ("reset_after", "end_after"):
                setattr(proxy.faults, fault, 1_000_000)
                for accept in (AS_STORED, parse_accept(["application/dicom; transfer-syntax=*"])):
                    body = await backend.retrieve(wants(View.INSTANCES, accept, *FIRST))
                    with pytest.raises(OriginFailed, match=r"broke off|shorter"):
                        await read(body)
                proxy.faults.heal()


async def test_a_body_that_is_closed_early_cancels_the_origins_call(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})
        await response.prepare(request)
        await response.write(b"--b\r\nContent-Type: application/dicom\r\n\r\n")
        try:
            while True:
                await response.write(bytes(100_000))
        except (ConnectionError, asyncio.CancelledError):
            left.set()
            raise

    async with playing(endless, tmp_path) as backend:
        for pieces in (0, 3):
            body = await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
            for _ in range(pieces):
                assert not isinstance(await anext(body.pieces), FileSlice)
            await body.aclose()
            await asyncio.wait_for(left.wait(), 10)
            left.clear()


async def test_a_check_asks_the_origin_seldom_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [204, 500, 204]
    asked = 0

    async def handle(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return web.Response(status=statuses[asked - 1])

    async with playing(handle, tmp_path) as backend:
        assert all(health.ready for health in await asyncio.gather(*[backend.check() for _ in range(5)]))
        assert (await backend.check()).ready and asked == 1
        monkeypatch.setattr(room, "LOOK", -1.0)
        down = await backend.check()
        assert not down.ready and not down.writable and "500" in down.detail
        assert (await backend.check()).ready and asked == 3


async def test_an_origin_that_is_not_there_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with store_at("http://127.0.0.1:1/dicom-web", tmp_path, tries=1) as backend:
        health = await backend.check()
        assert not health.ready and "cannot be reached" in health.detail

    async def slow(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    monkeypatch.setattr(room, "LOOK_SECONDS", 0.05)
    async with playing(slow, tmp_path) as backend:
        assert "did not answer" in (await backend.check()).detail


@pytest.mark.parametrize("own", [True, False])
async def test_a_refusal_of_callers_is_no_fault_of_the_origin(tmp_path: Path, own: bool) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=401)

    async with playing(handle, tmp_path, OURS, credentials=None if own else PassThrough()) as backend:
        assert (await backend.check()).ready is not own


async def test_closing_ends_a_look_that_is_under_way(tmp_path: Path) -> None:
    began = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        began.set()
        await asyncio.Event().wait()
        return web.Response()

    async with playing(slow, tmp_path) as backend:
        looking = asyncio.create_task(backend.check())
        await began.wait()
        await backend.aclose()
        with pytest.raises(asyncio.CancelledError):
            await looking
