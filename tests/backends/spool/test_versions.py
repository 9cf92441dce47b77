"""Nothing that was acknowledged is shadowed by an older version of it: not while it waits, not on its way, not when it leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import Backend, Body, Retrieve, View
from gateway.backends.policy import OnDuplicate
from gateway.backends.spool import deliveries
from gateway.backends.spool.comparing import KEPT
from gateway.backends.spool.spooled import Spooled
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from tests import samples
from tests.backends.made import AS_STORED, JSON, content, dicom, found, located, parts, read, sops, store, study, wants
from tests.backends.spool.spools import Destination, is_empty, letters, settled, spooled, until
from tests.backends.test_contract_bulk import ANY

OLD = dicom(PatientID="P1", StudyDate="20240101", ContentLabel="OLD", PixelData=bytes(32))
NEW = dicom(PatientID="P2", StudyDate="20250101", ContentLabel="NEW", PixelData=b"\1" * 32)
BESIDE = dicom(sop="1.1.1.2", PatientID="P1", StudyDate="20240101", ContentLabel="BESIDE", PixelData=b"\2" * 32)
UIDS = ("1.1", "1.1.1", "1.1.1.1")

Open = Callable[..., Spooled]


@pytest.fixture
async def open_spool(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Spooled] = []

    def one(origin: Destination, **chosen: Any) -> Spooled:
        opened.append(spooled(tmp_path / f"spool{len(opened)}", origin, on_duplicate=OnDuplicate.REPLACE, **chosen))
        return opened[-1]

    yield one
    for spool in opened:
        await spool.aclose()


async def shows(backend: Backend, *files: bytes) -> None:
    """Every read at every level gives these, each once."""
    for depth in (1, 2):
        assert sorted(data for _, data in await parts(await backend.retrieve(wants(View.INSTANCES, AS_STORED, *UIDS[:depth])))) == sorted(
            files
        )
        pixels = [data for _, _, data in await located(await backend.retrieve(wants(View.PIXELDATA, ANY, *UIDS[:depth])))]
        assert sorted(pixels) == sorted(file[-32:] for file in files)
        documents = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, *UIDS[:depth]))))
        labels = [one["00700080"]["Value"][0].encode() for one in documents]
        assert len(labels) == len(files) and all(sum(label in file for label in labels) == 1 for file in files)
    assert await content(backend) == files[0]


@pytest.mark.parametrize("others", [[], [BESIDE]], ids=["alone", "beside another"])
async def test_while_the_new_version_waits(open_spool: Open, others: list[bytes]) -> None:
    origin = Destination(OnDuplicate.REPLACE)
    await store(origin, OLD, *others)
    spool = open_spool(origin, delivers=False)
    await store(spool, NEW)
    await shows(spool, NEW, *others)


async def test_searches_find_the_version_that_waits(open_spool: Open) -> None:
    origin = Destination(OnDuplicate.REPLACE)
    await store(origin, OLD)
    spool = open_spool(origin, delivers=False)
    await store(spool, NEW)
    assert await found(spool, "study", "00080020") == ["20250101"]
    for level in ("study", "series", "instance"):
        assert len(await found(spool, level, "00100020", Resource(), PatientID="P2")) == 1
        assert not await found(spool, level, "00100020", Resource(), PatientID="P1")
    below = Resource("1.1", "1.1.1")
    assert await found(spool, "instance", "00700080", below, includefield="ContentLabel") == ["NEW"]
    assert await found(spool, "instance", "00700080", below, ContentLabel="NEW") == ["NEW"]
    assert await found(spool, "instance", "00700080", below, ContentLabel="OLD") == []


async def test_while_the_old_version_is_being_delivered(open_spool: Open) -> None:
    """The delivery of the old one is held after it has landed; its end says nothing of the new one, which goes out itself."""
    origin = Destination(OnDuplicate.REPLACE)
    spool = open_spool(origin)
    origin.gate.clear()
    await store(spool, OLD)
    await origin.landed.wait()
    await store(spool, NEW)
    await shows(spool, NEW)
    origin.landed.clear()
    origin.gate.set()
    await origin.landed.wait()
    assert len(origin.requests) == 2
    await shows(spool, NEW)
    await settled(spool)
    await shows(spool, NEW)
    assert await content(origin) == NEW


@pytest.mark.parametrize("moment", ["delivered", "on its way"])
async def test_a_destination_that_keeps_the_first_version_loses_no_other(open_spool: Open, moment: str) -> None:
    """It says "stored" all the same, and returns something under these UIDs."""
    origin = Destination(OnDuplicate.SKIP)
    spool = open_spool(origin)
    origin.gate.clear()
    await store(spool, OLD)
    await origin.landed.wait()
    if moment == "delivered":
        origin.gate.set()
        await settled(spool)
    await store(spool, NEW)
    origin.gate.set()
    await until(lambda: _dead(spool))
    (letter,) = await letters(spool)
    assert letter.reason == KEPT and await content(origin) == OLD
    await shows(spool, NEW)
    await store(spool, NEW)  # sent again: it is tried again, and refused again
    await until(lambda: _dead(spool))
    await shows(spool, NEW)


async def _dead(spool: Spooled) -> bool:
    return [one.dead for one in await letters(spool)] == [True]


async def test_a_version_that_somebody_else_delivered_is_found_out_as_well(open_spool: Open) -> None:
    origin = Destination(OnDuplicate.SKIP)
    await store(origin, OLD, BESIDE)
    spool = open_spool(origin)
    await store(spool, NEW, BESIDE, dicom(sop="1.1.1.3"))
    await until(lambda: _dead(spool))
    assert [one.sop for one in await letters(spool)] == ["1.1.1.1"]
    assert await sops(origin) == ["1.1.1.1", "1.1.1.2", "1.1.1.3"]


class Held(Destination):
    """A destination of which the next read, or listing, waits until something has happened."""

    def __init__(self) -> None:
        super().__init__(OnDuplicate.REPLACE)
        self.first: Callable[[], Any] | None = None

    async def retrieve(self, retrieve: Retrieve) -> Body:
        if (act := self.first) is not None:
            self.first = None
            await act()
        return await super().retrieve(retrieve)


def departing(spool: Spooled, origin: Destination, *files: bytes) -> Callable[[], Any]:
    """Delivers all that waits."""

    async def depart() -> None:
        await store(origin.inner, *files)
        await spool._local.write(
            lambda db: deliveries.depart(db, spool._local, [one for (one,) in db.execute("SELECT generation FROM instance")])
        )

    return depart


@pytest.mark.parametrize("looks", [1, 3])
@pytest.mark.parametrize("others", [[], [BESIDE]], ids=["alone", "beside another"])
@pytest.mark.parametrize("view", [View.INSTANCES, View.PIXELDATA, View.METADATA])
async def test_when_the_new_version_leaves_in_the_middle_of_a_read(open_spool: Open, view: View, others: list[bytes], looks: int) -> None:
    """It was listed here; when the origin's body is opened it is there, and nothing is here any more."""
    origin = Held()
    await store(origin, OLD, *others)
    spool = open_spool(origin, delivers=False, looks=looks)
    await store(spool, NEW)
    accept = {View.INSTANCES: AS_STORED, View.PIXELDATA: ANY, View.METADATA: JSON}[view]
    origin.first = departing(spool, origin, NEW)
    data = await read(await spool.retrieve(wants(view, accept, "1.1")))
    wanted, unwanted = {View.INSTANCES: (NEW, OLD), View.PIXELDATA: (NEW[-32:], OLD[-32:]), View.METADATA: (b'"NEW"', b'"OLD"')}[view]
    assert data.count(wanted) == 1 and unwanted not in data


@pytest.mark.parametrize("looks", [0, 3])
async def test_that_there_is_no_bulk_data_is_said_while_things_move(open_spool: Open, looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The origin has none; when the spool is asked the instance has just left. Who lost it does not say that there is no such study."""
    origin = Destination(OnDuplicate.REPLACE)
    await store(origin, samples.report())
    spool = open_spool(origin, delivers=False, looks=looks)
    await store(spool, samples.report())
    reading = spool._local.retrieve

    async def moved(retrieve: Retrieve) -> Body:
        if not await is_empty(spool):
            await departing(spool, origin)()
        return await reading(retrieve)

    monkeypatch.setattr(spool._local, "retrieve", moved)
    with pytest.raises(NotFound, match="no bulk data"):
        await spool.retrieve(wants(View.BULKDATA, ANY, samples.STUDY))


async def test_what_leaves_in_the_middle_of_a_look_is_not_missed(open_spool: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seen here and leaves before anything else is read of the index."""
    origin = Destination(OnDuplicate.REPLACE)
    spool = open_spool(origin, delivers=False)
    await store(spool, NEW)
    await store(origin, NEW)
    loop, is_here = asyncio.get_running_loop(), deliveries.is_here

    def seen(db: Any, resource: Resource) -> bool:
        found = is_here(db, resource)
        if found:
            asyncio.run_coroutine_threadsafe(departing(spool, origin)(), loop).result()
        return found

    monkeypatch.setattr(deliveries, "is_here", seen)
    assert await content(spool) == NEW and await is_empty(spool)


async def test_an_instance_is_read_alone_however_much_moves(open_spool: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every look something else has departed."""
    origin = Destination(OnDuplicate.REPLACE)
    spool = open_spool(origin, delivers=False)
    await store(spool, *study("1.1"))
    await store(origin, *study("1.1"))
    reading = spool._local.retrieve

    async def moved(retrieve: Retrieve) -> Body:
        body = await reading(retrieve)
        await spool._local.write(lambda db: db.execute("UPDATE meta SET value = value + 1 WHERE key = 'departures'"))
        return body

    monkeypatch.setattr(spool._local, "retrieve", moved)
    assert [data for _, data in await parts(await spool.retrieve(wants(View.INSTANCES, AS_STORED, *UIDS)))] == study("1.1")[:1]
    assert len(await parts(await spool.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))) == 4


async def test_a_reader_sees_each_new_version_at_once_while_all_is_delivered(open_spool: Open) -> None:
    origin = Destination(OnDuplicate.REPLACE)
    spool = open_spool(origin, looks=50)
    for number in range(20):
        new = dicom(PixelData=bytes([number]) * 32)
        await store(spool, new)
        for _ in range(number % 4):
            assert [data for _, data in await parts(await spool.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))] == [new]
            await asyncio.sleep(0)
    await settled(spool)
    assert await content(origin) == new
