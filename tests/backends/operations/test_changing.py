"""One instance with other metadata, in a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backends.base import Backend, Body, Piece, Retrieve
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.operations import changing
from gateway.backends.operations.changing import changed
from gateway.dicom.patching import Patched
from gateway.dicomweb.resources import Resource
from gateway.errors import InstanceError, NotFound
from gateway.healthcare.jsonpatch import Patch
from tests.backends.made import FIRST, content, dicom, found, read, store

INSTANCE = Resource(*FIRST)
LARGE = dicom(Rows=1024, Columns=1024, PixelData=bytes(2 << 20))


def named(name: str) -> Patch:
    return Patch([{"op": "add", "path": "/00100010", "value": {"vr": "PN", "Value": [{"Alphabetic": name}]}}])


@pytest.fixture(params=["local", "memory"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    made: Backend = MemoryBackend() if request.param == "memory" else await asyncio.to_thread(LocalStore, tmp_path)
    yield made
    await made.aclose()


@pytest.mark.parametrize("data", [dicom(PatientName="Old"), LARGE])
async def test_it_takes_the_place_of_the_old_one(backend: Backend, data: bytes) -> None:
    await store(backend, data)
    result = await changed(backend, INSTANCE, named("New"))
    assert [one.instance.sop for one in result.stored] == [FIRST[2]] and not result.failed
    new = await content(backend, *FIRST)
    assert b"New" in new and data.endswith(new[-32:])
    assert await found(backend, "study", "00100010", PatientName="New") == [{"Alphabetic": "New"}]
    assert len(await found(backend, "instance", "00080018")) == 1


async def test_what_is_so_already_is_left_alone(backend: Backend) -> None:
    await store(backend, dicom(PatientName="New"))
    told: list[Patched] = []

    async def before(made: Patched) -> bool:
        told.append(made)
        return False

    (one,) = (await changed(backend, INSTANCE, named("New"), before)).stored
    assert one.known and told == []
    (one,) = (await changed(backend, INSTANCE, named("Other"), before)).stored
    assert one.known and len(told) == 1
    assert b"Other" not in await content(backend, *FIRST)


async def test_what_cannot_be_changed_stays(backend: Backend) -> None:
    data = dicom()
    await store(backend, data)
    for patch in (Patch([{"op": "remove", "path": "/00104000"}]), Patch([{"op": "add", "path": "/00100010", "value": 1}])):
        with pytest.raises(InstanceError):
            await changed(backend, INSTANCE, patch)
    with pytest.raises(NotFound):
        await changed(backend, Resource("9", "9", "9"), named("x"))
    assert await content(backend, *FIRST) == data


async def test_changes_at_the_same_moment_leave_one_of_them(backend: Backend) -> None:
    await store(backend, dicom())
    await asyncio.gather(*(changed(backend, INSTANCE, named(f"Name{number}")) for number in range(8)))
    (name,) = await found(backend, "study", "00100010")
    assert name["Alphabetic"].startswith("Name") and f"{name['Alphabetic']}".encode() in await content(backend, *FIRST)


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an instance comes in pieces and lies in no file."""
    monkeypatch.setattr(changing, "LARGEST", 100)

    class InPieces(MemoryBackend):
        async def retrieve(self, retrieve: Retrieve) -> Body:
            body = await super().retrieve(retrieve)
            data = await read(body)

            async def pieces() -> AsyncGenerator[Piece, None]:
                for start in range(0, len(data), 50):
                    yield data[start : start + 50]

            return replace(body, pieces=pieces())

    backend = InPieces()
    await store(backend, dicom())
    with pytest.raises(InstanceError, match="lie in files"):
        await changed(backend, INSTANCE, named("x"))
    monkeypatch.setattr(changing, "LARGEST", 1 << 20)
    assert (await changed(backend, INSTANCE, named("x"))).stored
