"""Kept and made DICOM JSON documents."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gateway.backends.local import housekeeping, search
from gateway.backends.local.index import Row, instances, kept_metadata
from gateway.backends.local.store import LocalStore
from gateway.dicomweb.resources import Resource
from tests.backends.local.conftest import OpenStore
from tests.backends.made import dicom, query, store, study


def rows(opened: LocalStore, resource: Resource) -> list[Row]:
    return opened._readers.read(lambda db: instances(db, resource))


async def kept(opened: LocalStore) -> dict[int, bytes]:
    await opened._writer.run(lambda db: None)  # what was posted before is done
    return opened._readers.read(lambda db: kept_metadata(db, range(1, 20)))


async def test_what_is_made_is_kept(open_store: OpenStore) -> None:
    opened = open_store()
    await store(opened, *study("1.1"))
    found = rows(opened, Resource("1.1"))
    made = await asyncio.to_thread(opened._headers.documents, found)
    assert [json.loads(one)["00080018"]["Value"] for one in made] == [[row.sop] for row in found]
    assert await kept(opened) == {row.generation: one for row, one in zip(found, made, strict=True)}


async def test_what_another_writer_made_is_made_anew(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_store()
    await store(opened, dicom())
    await asyncio.to_thread(opened._headers.documents, rows(opened, Resource("1.1")))
    assert await kept(opened)
    await opened.aclose()
    same = open_store()
    assert await kept(same)
    await same.aclose()
    monkeypatch.setattr(housekeeping, "MODEL", "another")
    assert not await kept(open_store())


async def test_an_instance_whose_file_has_gone_is_left_out(open_store: OpenStore) -> None:
    opened = open_store()
    await store(opened, *study("1.1"))
    found = rows(opened, Resource("1.1"))
    Path(opened._files.path(found[1].generation)).unlink()
    generations = [row.generation for row in found]
    assert sorted(opened._headers.of([*generations, 99])) == [one for one in generations if one != found[1].generation]
    with pytest.raises(FileNotFoundError):
        opened._headers.documents(found)


async def test_headers_are_looked_through_chunk_by_chunk(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK", 3)
    monkeypatch.setattr(search, "BATCH", 2)
    opened = open_store()
    await store(opened, *(file for number in range(1, 5) for file in study(f"1.{number}", series=1, instances=4, KVP=str(number % 2))))
    matches = await opened.search(query("instance", KVP="1", limit="5", offset="1"))
    assert (len(matches.results), matches.remaining) == (5, 2)
    assert len((await opened.search(query("study", KVP="0"))).results) == 2


async def test_a_cancelled_search_gives_its_snapshot_up(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK", 1)
    opened = open_store()
    await store(opened, *(dicom(sop=f"1.1.1.{number}", KVP="1") for number in range(1, 30)))
    closed: list[int] = []
    close = search._Snapshot.close

    def watched(snapshot: search._Snapshot) -> None:
        closed.append(1)
        close(snapshot)

    monkeypatch.setattr(search._Snapshot, "close", watched)
    searching = asyncio.create_task(opened.search(query("instance", KVP="1")))
    await asyncio.sleep(0.01)
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    assert closed == [1]
