from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from gateway.backends.local.store import LocalStore
from gateway.backends.spool import deliveries
from gateway.backends.spool.deliveries import Failure
from gateway.dicomweb.resources import Resource
from tests.backends.made import dicom, sops, store, study
from tests.backends.spool.spools import Destination, letters, spooled


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalStore]:
    """A study of four instances, undecided."""
    opened = LocalStore(tmp_path, durable=False)
    await store(opened, *study("1.1"))
    await opened.write(partial(deliveries.reopen, destinations=["a", "b"]))
    yield opened
    await opened.aclose()


async def decided(local: LocalStore, *names: str) -> None:
    await local.write(partial(deliveries.decide, routed=dict.fromkeys((1, 2, 3, 4), names)))


async def fail(local: LocalStore, generation: int, *, dead: bool = False, due: float = 1.0) -> None:
    failure = Failure(generation, "x" * 1000, due, dead)
    await local.write(partial(deliveries.settle, local=local, destination="a", arrived=[], failed=[failure]))


async def waiting(local: LocalStore, destination: str = "a") -> list[int]:
    return [parcel.generation for parcel in await local.read(partial(deliveries.fresh, destination=destination, limit=10))]


async def test_what_has_no_row_is_routed_anew(local: LocalStore) -> None:
    assert await local.read(partial(deliveries.undecided, limit=3)) == [1, 2, 3]
    await decided(local, "a", "b")
    assert await local.read(partial(deliveries.undecided, limit=3)) == []
    assert await waiting(local, "a") == await waiting(local, "b") == [1, 2, 3, 4]


async def test_destinations_that_are_not_known_any_more_are_routed_anew(local: LocalStore) -> None:
    await decided(local, "a", "b")
    await local.write(partial(deliveries.reopen, destinations=["b", "c"]))
    assert await local.read(partial(deliveries.undecided, limit=9)) == [1, 2, 3, 4]
    assert await waiting(local, "a") == [] and await waiting(local, "b") == [1, 2, 3, 4]


async def test_a_batch_is_of_one_study(local: LocalStore) -> None:
    await store(local, dicom("1.2", "1.2.1", "1.2.1.1"), dicom("1.1", "1.1.3", "1.1.3.1"))
    await local.write(partial(deliveries.reopen, destinations=["a"]))
    await local.write(partial(deliveries.decide, routed={number: ["a"] for number in range(1, 7)}))
    assert await waiting(local) == [1, 2, 3, 4, 6]


async def test_what_failed_goes_alone_and_later(local: LocalStore) -> None:
    await decided(local, "a")
    await fail(local, 1, due=100.0)
    await fail(local, 2, due=50.0)
    assert await waiting(local) == [3, 4]
    due = await local.read(partial(deliveries.overdue, destination="a", now=time.time(), longest=1e12))
    assert [(parcel.generation, parcel.attempts) for parcel in due] == [(2, 1)]
    assert not await local.read(partial(deliveries.overdue, destination="a", now=49.0, longest=300.0))
    (letter, *_) = await local.read(deliveries.letters)
    assert len(letter.reason) == deliveries.REASON


async def test_nothing_waits_for_a_clock_that_was_wrong(local: LocalStore) -> None:
    await decided(local, "a")
    now = time.time()
    await fail(local, 1, due=now + 1e8)  # somebody had set it to another year
    await fail(local, 2, due=now + 200)
    for longest, expected in ((300.0, [1]), (1e9, [])):
        due = await local.read(partial(deliveries.overdue, destination="a", now=now, longest=longest))
        assert [parcel.generation for parcel in due] == expected


async def test_dead_letters_wait_for_people(local: LocalStore) -> None:
    await decided(local, "a", "b")
    await fail(local, 1, dead=True)
    await fail(local, 3, dead=True)
    assert not await local.read(partial(deliveries.overdue, destination="a", now=time.time(), longest=1e12))
    dead = await local.read(partial(deliveries.letters, dead=True))
    assert [(one.generation, one.destination, one.attempts) for one in dead] == [(1, "a", 1), (3, "a", 1)]
    assert await local.write(partial(deliveries.revive, generation=1, destination="b")) == 0
    assert await local.write(partial(deliveries.revive, generation=1)) == 1
    assert len(await local.read(partial(deliveries.overdue, destination="a", now=time.time(), longest=1e12))) == 1
    assert await local.write(lambda db: deliveries.drop(db, local, dead)) == 1
    assert len(await sops(local)) == 4  # it still has to go to b
    assert await waiting(local, "b") == [1, 2, 3, 4]


async def test_what_is_dropped_everywhere_is_gone(local: LocalStore) -> None:
    await decided(local, "a")
    await fail(local, 2, dead=True)
    everything = await local.read(deliveries.letters)
    assert await local.write(lambda db: deliveries.drop(db, local, everything)) == 1
    assert await sops(local) == ["1.1.1.1", "1.1.2.1", "1.1.2.2"]
    assert await local.read(deliveries.state) == (True, 1)


async def test_who_has_arrived_everywhere_departs(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await decided(local, "a", "b")
    for destination, arrived in (("a", [1, 2, 3, 4]), ("b", [2, 1])):
        await local.write(partial(deliveries.settle, local=local, destination=destination, arrived=arrived, failed=[]))
    assert await sops(local) == ["1.1.2.1", "1.1.2.2"]
    assert await local.read(deliveries.state) == (True, 1)
    monkeypatch.setattr(deliveries, "KNOWN", 2)
    await local.write(partial(deliveries.settle, local=local, destination="b", arrived=[3, 4], failed=[]))
    assert await local.read(deliveries.state) == (False, 2)
    known = await local.read(lambda db: db.execute("SELECT instance FROM delivered").fetchall())
    assert known == [("1.1.2.1",), ("1.1.2.2",)]


async def test_what_is_about_to_be_sent_is_only_what_is_left(local: LocalStore) -> None:
    await decided(local, "a")
    await local.delete(Resource("1.1", "1.1.1"))
    assert await local.write(partial(deliveries.send, destination="a", generations=[1, 2, 3, 4])) == {3: False, 4: False}
    await local.delete(Resource("1.1", "1.1.2", "1.1.2.1"))
    assert await local.read(partial(deliveries.withdrawals, destination="a", limit=9)) == [Resource("1.1", "1.1.2", "1.1.2.1")]
    for resource, expected in ((Resource("1.1"), True), (Resource("1.1", "1.1.2"), True), (Resource("1.1", "1.1.1"), False)):
        assert await local.read(partial(deliveries.is_withdrawing, resource=resource)) is expected
    await local.write(partial(deliveries.withdrawn, destination="a", instances=[Resource("1.1", "1.1.2", "1.1.2.1")]))
    assert not await local.read(partial(deliveries.is_withdrawing, resource=Resource("1.1")))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, 4), ({"uids": ["1.1.1"]}, 2), ({"uids": ["1.1.1.1", "1.1.2.2"]}, 2), ({"uids": ["9"]}, 0), ({"limit": 3}, 3), ({"dead": True}, 0),
     ({"destination": "other"}, 0), ({"dead": False, "destination": "default", "uids": ["1.1"]}, 4)],
)  # fmt: skip
async def test_letters_can_be_chosen(tmp_path: Path, chosen: dict[str, object], expected: int) -> None:
    spool = spooled(tmp_path, Destination(), delivers=False)
    await store(spool, *study("1.1"))
    assert len(await letters(spool, **chosen)) == expected
    depth = await spool._local.read(deliveries.depth)
    assert [(one.destination, one.dead, one.instances) for one in depth] == [("default", False, 4)]
    await spool.aclose()


async def test_what_was_there_before_is_remembered_from_try_to_try(local: LocalStore) -> None:
    """And told from what was delivered with equal bytes, and with others."""
    await decided(local, "a", "b")
    known = """INSERT INTO delivered SELECT i.generation + 100, '1.1', e.uid, i.uid, i.size, ? FROM instance i
        JOIN series e ON e.id = i.series WHERE i.generation = ?"""
    same = "SELECT checksum FROM instance WHERE generation = 1"
    await local.write(lambda db: db.execute(known, (db.execute(same).fetchone()[0], 1)))
    await local.write(lambda db: db.execute(known, (b"another", 2)))
    for preceded in ([1, 3], []):
        sent = partial(deliveries.send, destination="a", generations=[1, 2, 3, 4], preceded=preceded)
        assert await local.write(sent) == {1: False, 2: True, 3: True, 4: False}
    parcels = await local.read(partial(deliveries.fresh, destination="a", limit=9))
    assert [(one.sent, one.preceded) for one in parcels] == [(True, False), (True, True), (True, True), (True, False)]
    assert not any(one.sent for one in await local.read(partial(deliveries.fresh, destination="b", limit=9)))
