"""Reads of a local store, while it is being changed."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, JPEGBaseline8Bit

from gateway.backends.base import FileSlice, Retrieve, View
from gateway.backends.local import retrieve as reading
from gateway.backends.local.files import Files
from gateway.backends.local.index import Row, frame_table, instances
from gateway.backends.local.store import LocalStore
from gateway.backends.policy import OnDuplicate
from gateway.backends.representations import close_pieces
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotAcceptable
from tests import samples
from tests.backends.local.conftest import OpenStore
from tests.backends.made import AS_STORED, FIRST, FRAME, FRAMES, JSON, SINGLE, content, dicom, located, parts, read, store, study, wants
from tests.backends.resting import open_below

ANY = parse_accept(["*/*"])


async def metadata(backend: LocalStore, *uids: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, *uids))))
    return found


async def kept(backend: LocalStore) -> list[int]:
    """Generations whose metadata is kept, once the writer has come to it."""

    def look(db: sqlite3.Connection) -> list[int]:
        return [generation for (generation,) in db.execute("SELECT generation FROM metadata ORDER BY generation")]

    return await backend._writer.run(look)


def blob_of(backend: LocalStore, generation: int) -> Path:
    return Path(backend._files.path(generation))


# -- by the cheapest way


async def test_whole_instances_go_out_as_slices_of_their_files(open_store: OpenStore) -> None:
    backend, data = open_store(), dicom()
    await store(backend, data)
    body = await backend.retrieve(wants(View.INSTANCES, SINGLE, *FIRST))
    (piece,) = [piece async for piece in body.pieces]
    assert isinstance(piece, FileSlice) and (piece.offset, piece.length) == (0, len(data))
    close_pieces([piece])
    assert body.length == len(data) and body.etag is not None and body.modified is not None


async def test_one_frame_is_one_read_of_its_bytes(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets were found when it was stored: the file is not walked again."""
    backend = open_store()
    await store(backend, dicom(Rows=256, Columns=256, NumberOfFrames=50, PixelData=samples.counted(50 << 17)))
    reads: list[tuple[int, int]] = []
    pread = os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        reads.append((length, offset))
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    got = await read(await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST, frames=[50])))
    assert got == samples.counted(50 << 17)[49 << 17 :]
    assert [length for length, _ in reads] == [1 << 17]


async def test_a_table_is_read_from_the_index_once(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_store()
    await store(backend, dicom(NumberOfFrames=2, PixelData=bytes(64)))
    asked: list[int] = []

    def counted(db: sqlite3.Connection, generation: int) -> bytes | None:
        asked.append(generation)
        return frame_table(db, generation)

    monkeypatch.setattr("gateway.backends.local.retrieve.frame_table", counted)
    for number in (1, 2, 1):
        await read(await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST, frames=[number])))
    assert asked == [1]


async def test_the_default_transfer_syntax_of_the_store_is_kept_to(open_store: OpenStore) -> None:
    data = dicom(syntax=ImplicitVRLittleEndian)
    plain = parse_accept(["application/dicom"])
    stored, explicit = open_store(default_transfer_syntax="*"), open_store()
    await store(stored, data)
    assert await content(stored, accept=plain) == data
    assert await content(explicit, accept=plain) != data


@pytest.mark.parametrize("view", [View.METADATA, View.INSTANCES, View.FRAMES])
async def test_what_nobody_can_take_is_refused_and_nothing_stays_open(open_store: OpenStore, root: Path, view: View) -> None:
    backend = open_store()
    await store(backend, dicom())
    with pytest.raises(NotAcceptable):
        await backend.retrieve(Retrieve(Resource(*FIRST, (1,)), view, parse_accept(["text/plain"])))
    assert open_below(root / "blobs") == 0


# -- metadata


async def test_metadata_is_made_once_and_kept(open_store: OpenStore) -> None:
    backend = open_store()
    await store(backend, *study("1.1"))
    first = await metadata(backend, "1.1", "1.1.1")
    assert await kept(backend) == [1, 2]
    for generation in (1, 2):
        blob_of(backend, generation).unlink()
    assert await metadata(backend, "1.1", "1.1.1") == first
    assert len(await metadata(backend, "1.1", "1.1.2")) == 2
    assert await kept(backend) == [1, 2, 3, 4]


async def test_a_large_study_comes_in_batches_the_first_one_small(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FIRST_BATCH", 2)
    monkeypatch.setattr(reading, "BATCH", 5)
    backend = open_store(durable=False)
    await store(backend, *study("1.1", series=1, instances=13))
    body = await backend.retrieve(wants(View.METADATA, JSON, "1.1"))
    pieces = [piece async for piece in body.pieces]
    assert [piece.count(b'"00080018"') for piece in pieces if isinstance(piece, bytes)] == [2, 5, 5, 1, 0]
    assert [one["00080018"]["Value"] for one in json.loads(b"".join(map(bytes, pieces)))] == [[f"1.1.1.{n}"] for n in range(1, 14)]  # type: ignore[arg-type]  # all of them are bytes


async def test_metadata_of_an_instance_that_went_meanwhile_is_not_kept(open_store: OpenStore) -> None:
    backend = open_store()
    await store(backend, dicom())
    body = await backend.retrieve(wants(View.METADATA, JSON, *FIRST))
    await backend.delete(Resource("1.1"))
    assert len(json.loads(await read(body))) == 1
    assert await kept(backend) == []


async def test_large_values_before_the_pixels_are_not_read_for_metadata(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    lut = Dataset()
    lut.LUTData = bytes(4 << 20)
    lut["LUTData"].VR = "OW"
    backend = open_store()
    await store(backend, dicom(ModalityLUTSequence=[lut]))
    lengths: list[int] = []
    pread = os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        lengths.append(length)
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    (model,) = await metadata(backend, *FIRST)
    assert "BulkDataURI" in model["00283000"]["Value"][0]["00283006"]
    assert max(lengths) < 1 << 20


# -- versions


def version(number: int) -> bytes:
    """Versions differ in everything: length of the header, number, size and bytes of the frames."""
    return dicom(
        PatientID="P" * (number + 1),
        PatientComments=f"version {number}",
        Rows=number + 1,
        NumberOfFrames=number + 1,
        PixelData=bytes([number]) * (8 * (number + 1) ** 2),
    )


async def look(backend: LocalStore, number: int) -> None:
    """All that can be read is of this version."""
    assert await content(backend) == version(number)
    (model,) = await metadata(backend, *FIRST)
    assert model["00104000"]["Value"] == [f"version {number}"]
    body = await backend.retrieve(wants(View.FRAMES, FRAMES, *FIRST, frames=range(1, number + 2)))
    assert [frame for _, frame in await parts(body)] == [bytes([number]) * (8 * (number + 1))] * (number + 1)
    bulk = await read(await backend.retrieve(wants(View.BULKDATA, FRAME, *FIRST, bulk="7FE00010")))
    assert bulk == bytes([number]) * (8 * (number + 1) ** 2)


async def test_a_replaced_instance_is_never_read_with_the_old_ones_offsets(open_store: OpenStore) -> None:
    backend = open_store(on_duplicate=OnDuplicate.REPLACE)
    other = open_store()
    for number in (3, 0, 5, 1):
        await store(backend, version(number))
        for _ in range(2):  # the second time from what is kept
            await look(backend, number)
            await look(other, number)


async def test_readers_in_the_middle_of_a_replacement_see_one_version_or_the_other(open_store: OpenStore) -> None:
    backend = open_store(on_duplicate=OnDuplicate.REPLACE, durable=False)
    await store(backend, version(0))
    ended = asyncio.Event()
    seen: set[int] = set()

    async def reader(view: View) -> None:
        while not ended.is_set():
            got = await read(await backend.retrieve(wants(view, SINGLE if view is View.INSTANCES else JSON, *FIRST)))
            number = next(n for n in range(6) if f"version {n}".encode() in got)
            seen.add(number)
            if view is View.INSTANCES:
                assert got == version(number)
            else:
                assert json.loads(got)[0]["00280010"]["Value"] == [number + 1]

    async def framed() -> None:
        while not ended.is_set():
            got = await read(await backend.retrieve(wants(View.FRAMES, FRAME, *FIRST, frames=[1])))
            assert len(set(got)) == 1 and len(got) == 8 * (got[0] + 1)

    readers = [asyncio.ensure_future(one) for one in (reader(View.INSTANCES), reader(View.METADATA), framed())]
    for number in [*range(6), *range(6)]:
        await store(backend, version(number))
        await asyncio.sleep(0)
    ended.set()
    await asyncio.gather(*readers)
    assert len(seen) > 1


async def test_a_body_that_was_begun_goes_on_with_its_version(open_store: OpenStore) -> None:
    backend = open_store(on_duplicate=OnDuplicate.REPLACE)
    await store(backend, version(1), *study("1.1", series=1, instances=3)[1:])
    body = await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    single = await backend.retrieve(wants(View.INSTANCES, SINGLE, *FIRST))
    await store(backend, version(4))
    assert (await parts(body))[0][1] == version(1)
    assert await read(single) == version(1)
    assert await content(backend) == version(4)


# -- deletes


async def test_a_study_that_is_deleted_while_it_is_sent_arrives_whole(open_store: OpenStore, root: Path) -> None:
    files = study("1.1", series=1, instances=40)
    backend = open_store(durable=False)
    await store(backend, *files)
    body = await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    first = await anext(body.pieces)
    assert await backend.delete(Resource("1.1")) == 40
    assert isinstance(first, bytes) and body.length is not None
    rest = await read(type(body)(body.media_type, body.pieces, body.length - len(first)))
    assert all(data in rest for data in files)
    with pytest.raises(Gone):
        await backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    assert open_below(root / "blobs") == 0


async def test_a_blob_that_goes_between_index_and_file_is_looked_for_again(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_store()
    await store(backend, dicom())
    loop = asyncio.get_running_loop()
    looked: list[int] = []

    def stale(db: sqlite3.Connection, resource: Resource) -> list[Row]:
        """The first look is overtaken by a delete."""
        rows = instances(db, resource)
        if not looked:
            asyncio.run_coroutine_threadsafe(backend.delete(Resource("1.1")), loop).result(30)
            blob_of(backend, rows[0].generation).unlink()
        looked.append(len(rows))
        return rows

    monkeypatch.setattr("gateway.backends.local.retrieve.instances", stale)
    with pytest.raises(Gone):
        await backend.retrieve(wants(View.INSTANCES, SINGLE, *FIRST))


# -- readers who leave


@pytest.mark.parametrize("view", [View.INSTANCES, View.FRAMES, View.BULKDATA])
async def test_a_reader_that_leaves_while_a_file_is_opened_leaves_nothing_open(
    open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch, view: View
) -> None:
    backend = open_store()
    await store(backend, dicom(Rows=512, Columns=512, PixelData=bytes(1 << 19)))
    reached, go = threading.Event(), threading.Event()
    path = Files.path

    def slow(self: Files, generation: int) -> str:
        reached.set()
        go.wait(30)
        return path(self, generation)

    monkeypatch.setattr(Files, "path", slow)
    accept = SINGLE if view is View.INSTANCES else FRAME
    asking = asyncio.ensure_future(backend.retrieve(wants(view, accept, *FIRST, frames=[1], bulk="7FE00010")))
    await asyncio.to_thread(reached.wait, 30)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go.set()
    await backend._reads.run(str)
    async with asyncio.timeout(10):
        while open_below(root / "blobs"):
            await asyncio.sleep(0.01)


# -- all bulk data


async def everything(backend: LocalStore, view: View = View.BULKDATA) -> list[tuple[str, str | None, bytes]]:
    return await located(await backend.retrieve(wants(view, ANY, "1.1")))


def compressed(number: int) -> bytes:
    ds = samples.pictured(samples.identified(study="1.1", series="1.1.1", sop=f"1.1.1.{number}"), b"", bits=8, frames=2)
    ds.PixelData = encapsulate(samples.codestreams(2, 30 + number), 2)
    ds["PixelData"].is_undefined_length = True
    return samples.written(ds, JPEGBaseline8Bit)


async def test_instances_whose_metadata_is_kept_and_names_no_bulk_data_are_not_opened(open_store: OpenStore) -> None:
    backend = open_store()
    report = samples.identified(study="1.1", series="1.1.2", sop="1.1.2.1")
    await store(backend, samples.written(report), dicom())
    found = await everything(backend)
    assert await kept(backend) == [1, 2]
    blob_of(backend, 1).unlink()
    assert await everything(backend) == found and len(found) == 1


@pytest.mark.parametrize("make", [lambda number: dicom(sop=f"1.1.1.{number}"), compressed], ids=["native", "compressed"])
async def test_bulk_data_that_is_deleted_while_it_is_sent_arrives_whole(
    open_store: OpenStore, root: Path, make: Callable[[int], bytes]
) -> None:
    backend = open_store(durable=False)
    await store(backend, *map(make, range(60)))
    expected = await everything(backend)
    backend._retriever._table.cache_clear()
    body = await backend.retrieve(wants(View.BULKDATA, ANY, "1.1"))
    first = await anext(body.pieces)
    await backend.delete(Resource("1.1"))
    assert isinstance(first, bytes)
    rest = await read(body)
    assert all(content in first + rest for _, _, content in expected)
    assert (first + rest).count(b"Content-Location") == len(expected)
    assert open_below(root / "blobs") == 0


async def test_bulk_data_of_a_blob_that_goes_between_index_and_file_is_looked_for_again(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_store(on_duplicate=OnDuplicate.REPLACE)
    await store(backend, version(1))
    await everything(backend)
    loop = asyncio.get_running_loop()
    looked: list[int] = []

    def stale(db: sqlite3.Connection, resource: Resource) -> list[Row]:
        """The first look is overtaken by another version."""
        rows = instances(db, resource)
        if not looked:
            asyncio.run_coroutine_threadsafe(store(backend, version(2)), loop).result(30)
            blob_of(backend, rows[0].generation).unlink()
        looked.append(rows[0].generation)
        return rows

    monkeypatch.setattr("gateway.backends.local.retrieve.instances", stale)
    ((_, _, content),) = await everything(backend)
    assert content == bytes([2]) * (8 * 3**2)
    assert looked == [1, 2]


async def test_large_values_go_out_as_slices_of_their_files(open_store: OpenStore) -> None:
    backend = open_store()
    await store(backend, dicom(Rows=512, Columns=512, PixelData=bytes(1 << 19)))
    for uids in (FIRST, FIRST[:1]):
        body = await backend.retrieve(wants(View.PIXELDATA, ANY, *uids))
        assert (body.length is not None) == (uids is FIRST)
        slices = [piece async for piece in body.pieces if isinstance(piece, FileSlice)]
        assert [piece.length for piece in slices] == [1 << 19]
        close_pieces(slices)


@pytest.mark.parametrize("view", [View.BULKDATA, View.PIXELDATA])
async def test_a_reader_that_leaves_while_bulk_data_is_looked_for_leaves_nothing_open(
    open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch, view: View
) -> None:
    backend = open_store()
    await store(backend, dicom(Rows=512, Columns=512, PixelData=bytes(1 << 19)))
    reached, go = threading.Event(), threading.Event()
    path = Files.path

    def slow(self: Files, generation: int) -> str:
        if threading.current_thread().name.startswith("store-read"):
            reached.set()
            go.wait(30)
        return path(self, generation)

    monkeypatch.setattr(Files, "path", slow)
    asking = asyncio.ensure_future(backend.retrieve(wants(view, ANY, *FIRST)))
    await asyncio.to_thread(reached.wait, 30)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go.set()
    async with asyncio.timeout(10):
        while open_below(root / "blobs"):
            await asyncio.sleep(0.01)
