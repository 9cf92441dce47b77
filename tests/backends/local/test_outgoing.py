"""What a spool adds to the transactions of a store, with the least of spools."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.backends.local import schema
from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.local.store import LocalStore
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.resources import Resource
from tests.backends.local.conftest import OpenStore
from tests.backends.made import dicom, sops, store, study


class Note:
    """Notes what it is told. :ivar unwanted: SOP Instance UIDs that are refused."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.unwanted: set[str] = set()

    async def screen(self, prepared: Sequence[Prepared]) -> None:
        self.told += [f"screen {one.instance.sop}" for one in prepared]

    def refusal(self, db: sqlite3.Connection, new: Prepared, policy: OnDuplicate) -> Outcome | None:
        return Outcome.REJECTED if new.instance.sop in self.unwanted else None

    def inserted(self, db: sqlite3.Connection, generation: int, now: float) -> None:
        self.told.append(f"inserted {generation}")
        db.execute("INSERT INTO delivery (generation, destination, since, sent) VALUES (?, 'x', ?, ?)", (generation, now, generation % 2))

    def again(self, db: sqlite3.Connection, generation: int) -> None:
        self.told.append(f"again {generation}")


def rows(local: LocalStore, sql: str) -> list[tuple[object, ...]]:
    db = schema.connect(local.root / "index.sqlite", read_only=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


async def test_each_instance_is_told_in_its_own_transaction(open_store: OpenStore) -> None:
    local, note = open_store(), Note()
    local.accompany(note)
    await store(local, dicom())
    await store(local, dicom())
    assert note.told == ["screen 1.1.1.1", "inserted 1", "screen 1.1.1.1", "again 1"]
    assert rows(local, "SELECT generation FROM delivery") == [(1,)]


async def test_what_is_refused_leaves_no_rows(open_store: OpenStore) -> None:
    local, note = open_store(), Note()
    local.accompany(note)
    note.unwanted.add("1.2.1.1")
    result = await store(local, dicom(), dicom("1.2", "1.2.1", "1.2.1.1"))
    assert [failed.sop for failed in result.failed] == ["1.2.1.1"] and len(result.stored) == 1
    assert rows(local, "SELECT uid FROM study") == [("1.1",)] and rows(local, "SELECT generation FROM delivery") == [(1,)]


async def test_a_delete_takes_back_what_was_sent_and_nothing_else(open_store: OpenStore) -> None:
    local = open_store()
    local.accompany(Note())
    await store(local, *study("1.1", series=1, instances=4))
    await local.delete(Resource("1.1"))
    assert rows(local, "SELECT * FROM withdrawal") == [("x", "1.1", "1.1.1", "1.1.1.1"), ("x", "1.1", "1.1.1", "1.1.1.3")]
    assert rows(local, "SELECT * FROM delivery") == []


async def test_a_replaced_version_is_not_delivered(open_store: OpenStore) -> None:
    local = open_store(on_duplicate=OnDuplicate.REPLACE)
    local.accompany(Note())
    await store(local, dicom())
    await store(local, dicom(PatientID="P2"))
    assert rows(local, "SELECT generation FROM delivery") == [(2,)] and rows(local, "SELECT * FROM withdrawal") == []


async def test_who_departs_was_not_deleted(open_store: OpenStore) -> None:
    local = open_store()
    await store(local, *study("1.1"), *study("1.2"))
    await local.write(lambda db: local.depart(db, [1, 2, 3, 5, 99]))
    assert await sops(local) == ["1.1.2.2", "1.2.1.2", "1.2.2.1", "1.2.2.2"]
    await local.write(lambda db: local.depart(db, [4]))
    assert rows(local, "SELECT uid, series_count, instance_count FROM study") == [("1.2", 2, 3)]
    assert rows(local, "SELECT * FROM deleted") == []
    assert rows(local, "SELECT count(*) FROM garbage") == [(5,)]
