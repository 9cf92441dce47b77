"""Frames and bulk data cut out of an origin's instances."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from gateway.backends.base import View
from gateway.backends.caller import CALLER, Caller
from gateway.backends.upstream.origin import Origin
from gateway.dicomweb.media import parse_accept
from gateway.errors import Busy, NotFound, OriginFailed, TooLarge
from tests import samples
from tests.backends.made import FIRST, FRAME, FRAMES, dicom, parts, read, store, study, wants
from tests.backends.upstream.origins import gateway, playing
from tests.backends.upstream.scripted import DICOM, whole
from tests.web.gate import Gate

ANY = parse_accept(["*/*"])
MANY = dicom(NumberOfFrames="4", PixelData=samples.counted(128))


class Played:
    """An origin with one instance, which counts who asks and who leaves."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.counts: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.counts["asked"] += 1
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.counts["left"] += 1
            raise
        return web.Response(body=whole(self.data), headers={"Content-Type": DICOM})


async def frame(backend: Origin, number: int) -> bytes:
    return await read(await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST, frames=[number])))


async def test_an_instance_is_fetched_once_for_all_its_frames(tmp_path: Path) -> None:
    played = Played(MANY)
    async with playing(played.handle, tmp_path) as backend:
        for number in (1, 4, 2):
            assert await frame(backend, number) == samples.counted(128)[32 * number - 32 : 32 * number]
        body = await backend.retrieve(wants(View.BULKDATA, ANY, *FIRST, bulk="7FE00010"))
        assert body.etag and body.modified is None
        assert [data for _, data in await parts(body)] == [samples.counted(128)]
        assert played.counts["asked"] == 1


async def test_those_who_come_together_wait_for_the_same_bytes(tmp_path: Path) -> None:
    played = Played(MANY)
    played.go_on.clear()
    async with playing(played.handle, tmp_path) as backend:
        tasks = [asyncio.create_task(frame(backend, number)) for number in (1, 2, 3, 4)]
        while not played.counts["asked"]:
            await asyncio.sleep(0.001)
        tasks.pop().cancel()
        played.go_on.set()
        assert b"".join(await asyncio.gather(*tasks)) == samples.counted(128)[:96]
        assert played.counts == {"asked": 1}


async def test_when_nobody_waits_any_more_the_call_is_cancelled(tmp_path: Path) -> None:
    played = Played(MANY)
    played.go_on.clear()
    async with playing(played.handle, tmp_path) as backend:
        tasks = [asyncio.create_task(frame(backend, number)) for number in (1, 2)]
        while not played.counts["asked"]:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        while not played.counts["left"]:
            await asyncio.sleep(0.001)
        played.go_on.set()
        assert len(await frame(backend, 1)) == 32
        assert played.counts == {"asked": 2, "left": 1}


async def test_a_failure_is_kept_for_nobody(tmp_path: Path) -> None:
    played = Played(b"garbage" * 100)
    async with playing(played.handle, tmp_path) as backend:
        with pytest.raises(OriginFailed, match="cannot be read"):
            await frame(backend, 1)
        played.data = MANY
        assert len(await frame(backend, 1)) == 32


async def test_who_wants_it_fresh_gets_it_fresh(tmp_path: Path) -> None:
    played = Played(MANY)
    async with playing(played.handle, tmp_path) as backend:
        await frame(backend, 1)
        played.data = dicom(PixelData=bytes(32))
        assert await frame(backend, 1) == samples.counted(32)
        token = CALLER.set(Caller(fresh=True))
        assert await frame(backend, 1) == bytes(32)
        CALLER.reset(token)
        assert await frame(backend, 1) == bytes(32)


async def replaced(backend: Origin, there: Gate, data: bytes) -> None:
    await backend.delete(wants(View.INSTANCES, ANY, *FIRST).resource)
    assert (await store(backend, data)).stored


async def test_what_is_stored_or_deleted_through_us_is_seen_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (backend, there):
        await store(backend, dicom())
        assert await frame(backend, 1) == bytes(range(32))
        await replaced(backend, there, dicom(PixelData=bytes(32)))
        assert await frame(backend, 1) == bytes(32)


async def test_another_instance_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    async with playing(Played(dicom(sop="1.1.1.9")).handle, tmp_path) as backend:
        with pytest.raises(OriginFailed, match="another instance"):
            await frame(backend, 1)


async def test_what_is_larger_than_the_area_is_refused_by_its_name(tmp_path: Path) -> None:
    async with playing(Played(dicom(Rows=400, Columns=400, PixelData=bytes(320_000))).handle, tmp_path, area=200_000) as backend:
        with pytest.raises(TooLarge, match="area_bytes"):
            await frame(backend, 1)


async def test_a_body_that_is_being_read_keeps_its_place_in_the_area(tmp_path: Path) -> None:
    async with gateway(tmp_path, area=700_000) as (backend, _):
        await store(backend, *[dicom(sop=f"1.1.1.{number}", Rows=400, Columns=400, PixelData=bytes(320_000)) for number in (1, 2, 3)])
        held = [await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST[:2], f"1.1.1.{number}", frames=[1])) for number in (1, 2)]
        with pytest.raises(Busy, match="area_bytes"):
            await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST[:2], "1.1.1.3", frames=[1]))
        for body in held:
            assert len(await read(body)) == 320_000
        held.clear()
        assert len(await read(await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST[:2], "1.1.1.3", frames=[1])))) == 320_000


async def test_all_bulk_data_of_a_study_comes_in_order(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (backend, _):
        await store(backend, *study("1.1", PixelData=samples.counted(32)), *study("1.2"))
        found = await parts(await backend.retrieve(wants(View.PIXELDATA, ANY, "1.1")))
        assert [data for _, data in found] == [samples.counted(32)] * 4


@pytest.mark.parametrize("form", ["deflated", "big endian", "bits", "fragments"])
async def test_every_form_is_cut_as_a_local_store_cuts_it(tmp_path: Path, form: str) -> None:
    async with gateway(tmp_path) as (backend, there):
        await store(backend, samples.ALL[form]())
        path = f"/studies/{samples.STUDY}/series/{samples.SERIES}/instances/{samples.SOP}/frames/1"
        expected = await there.get(path, "application/octet-stream; transfer-syntax=*")
        retrieve = wants(View.FRAMES, FRAME, samples.STUDY, samples.SERIES, samples.SOP, frames=[1])
        assert await read(await backend.retrieve(retrieve)) == expected.body


async def test_frames_that_are_not_there_are_counted(tmp_path: Path) -> None:
    async with playing(Played(MANY).handle, tmp_path) as backend:
        with pytest.raises(NotFound, match="has 4 frames"):
            await backend.retrieve(wants(View.FRAMES, FRAMES, *FIRST, frames=[5]))
