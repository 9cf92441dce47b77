from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from gateway.backends.notifying import outbox as module
from gateway.backends.notifying import rows
from gateway.backends.notifying.outbox import FILE, Outbox, connect
from gateway.backends.sqlite import transaction
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy, OutOfStorage, StoreUnavailable


def adding(sop: str) -> module.Work[int]:
    return lambda db: rows.add(db, "store", ["a"], [Resource("1.1", "1.2", sop)], "StoreInstances")


async def test_nothing_is_made_before_something_is_written(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    assert not outbox.exists and not outbox.begun
    await outbox.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_what_was_written_is_there_for_others(tmp_path: Path) -> None:
    one, other = Outbox(tmp_path), Outbox(tmp_path)
    await asyncio.gather(*(box.run(adding(f"1.{number}")) for number in range(50) for box in (one, other)))
    assert len(await other.read(rows.letters)) == 100
    assert one.exists and one.begun
    await one.aclose()
    await other.aclose()
    with pytest.raises(StoreUnavailable):
        one.run(adding("1.1"))


async def test_what_comes_together_shares_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(tmp_path)
    await outbox.run(adding("1.1"))
    sizes: list[int] = []
    commit = Outbox._commit

    def counted(self: Outbox, db: sqlite3.Connection, group: list[module._Job]) -> None:
        sizes.append(len(group))
        commit(self, db, group)

    monkeypatch.setattr(Outbox, "_commit", counted)
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    waiting = outbox.run(lambda db: asyncio.run_coroutine_threadsafe(held.wait(), loop).result())
    some = [outbox.run(adding(f"1.{number}")) for number in range(module.GROUP + 10)]
    held.set()
    await asyncio.gather(waiting, *some)
    assert sum(sizes) == module.GROUP + 11 and max(sizes) == module.GROUP and len(sizes) <= 3
    await outbox.aclose()


async def test_who_fails_costs_the_neighbours_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)

    def broken(db: sqlite3.Connection) -> None:
        adding("1.9")(db)
        raise ValueError("mine")

    found = await asyncio.gather(outbox.run(adding("1.1")), outbox.run(broken), outbox.run(adding("1.2")), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (1, ValueError, 1)
    assert [one.message.resource.instance for one in await outbox.read(rows.letters)] == ["1.1", "1.2"]
    await outbox.aclose()


async def test_a_file_that_cannot_be_used_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outbox = Outbox(tmp_path / "file" / "below")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await outbox.run(adding("1.1"))
    await outbox.aclose()
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    outbox = Outbox(tmp_path)
    with pytest.raises(StoreUnavailable, match="SQLITE_NOTADB"):
        await outbox.run(adding("1.1"))
    with pytest.raises(StoreUnavailable, match="SQLITE_NOTADB"):
        await outbox.read(rows.letters)
    await outbox.aclose()


async def test_a_full_disk_is_no_room(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)

    def fill(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(10_000):
            adding(f"1.{number}")(db)

    with pytest.raises(OutOfStorage):
        await outbox.run(fill)
    await outbox.aclose()


async def test_a_file_that_somebody_keeps_locked_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    db = connect(tmp_path)
    db.execute("BEGIN IMMEDIATE")
    outbox = Outbox(tmp_path)
    with pytest.raises(Busy):
        await outbox.run(adding("1.1"))
    db.execute("ROLLBACK")
    assert await outbox.run(adding("1.1")) == 1
    await outbox.aclose()
    db.close()


async def test_many_may_open_a_new_one_at_once(tmp_path: Path) -> None:
    for number in range(5):
        opened = await asyncio.gather(*(asyncio.to_thread(connect, tmp_path / str(number)) for _ in range(6)))
        for db in opened:
            db.close()


def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    db = connect(tmp_path)
    db.execute(f"PRAGMA user_version = {rows.VERSION + 1}")
    db.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        connect(tmp_path)


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    db = connect(tmp_path)

    def half(db: sqlite3.Connection) -> None:
        adding("1.1")(db)
        raise KeyError

    with pytest.raises(KeyError):
        transaction(db, half)
    assert rows.letters(db) == []
    assert (db.execute("PRAGMA journal_mode").fetchone()[0], db.execute("PRAGMA synchronous").fetchone()[0]) == ("wal", 2)
    db.close()
