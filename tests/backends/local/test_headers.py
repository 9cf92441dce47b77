"""Kept and made DICOM JSON documents."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

from gateway.backends.local import extracted, headers, housekeeping
from gateway.backends.local.index import Row, instances, kept_metadata
from gateway.backends.local.store import LocalStore
from gateway.dicomweb.resources import Resource
from tests.backends.local.conftest import OpenStore
from tests.backends.made import dicom, store, study


def rows(opened: LocalStore, resource: Resource) -> list[Row]:
    return opened._readers.read(lambda db: instances(db, resource))


async def kept(opened: LocalStore) -> dict[int, bytes]:
    await opened._writer.run(lambda db: None)  # what was posted before is done
    return opened._readers.read(lambda db: kept_metadata(db, range(1, 20)))


def values_kept(opened: LocalStore) -> dict[int, float]:
    return opened._readers.read(extracted.kept_tags)


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
    await opened._writer.run(partial(extracted.keep, values=[(0x00180060, 1, b"{}")]))
    assert await kept(opened) and values_kept(opened)
    await opened.aclose()
    same = open_store()
    assert await kept(same)
    await same.aclose()
    monkeypatch.setattr(housekeeping, "MODEL", "another")
    anew = open_store()
    assert not await kept(anew) and not values_kept(anew)


async def test_an_instance_whose_file_has_gone_is_left_out(open_store: OpenStore) -> None:
    opened = open_store()
    await store(opened, *study("1.1"))
    found = rows(opened, Resource("1.1"))
    Path(opened._files.path(found[1].generation)).unlink()
    generations = [row.generation for row in found]
    assert sorted(opened._headers.of([*generations, 99])) == [one for one in generations if one != found[1].generation]
    with pytest.raises(FileNotFoundError):
        opened._headers.documents(found)


async def through(opened: LocalStore, generations: list[int]) -> dict[int, bytes]:
    shown: dict[int, bytes] = {}
    await asyncio.to_thread(opened._headers.through, generations, shown.__setitem__)
    return shown


async def test_what_is_made_in_passing_is_kept_and_then_read(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "KEPT_AT_ONCE", 1000)  # each document is larger
    opened = open_store()
    await store(opened, *study("1.1"))
    first = await through(opened, [1, 2, 3, 4, 99])
    assert sorted(first) == [1, 2, 3, 4] and await kept(opened) == first
    for blob in range(1, 5):
        Path(opened._files.path(blob)).unlink()
    assert await through(opened, [4, 1, 2, 3]) == first
