"""A store that was filled: it has nothing that stores would not have made, and lacks nothing that they would."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.backends.local import repair
from gateway.backends.local.store import LocalStore
from gateway.backends.policy import OnDuplicate
from loadtests.scale import fill
from loadtests.scale.hospital import Hospital
from loadtests.scale.written import series_files
from tests.backends.made import store

INSTANCES = 100
WHEN = {"instance": ("stored_at",)}
"""What says when something was stored."""


def tables(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of an index but what says when and how often it was written."""
    with closing(sqlite3.connect(root / "index.sqlite")) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: _rows(db, name) for name in names}
    found["meta"] = [row for row in found["meta"] if row[0] in ("next_generation", "tombstone_bytes")]
    return found


def _rows(db: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    columns = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})") if name not in WHEN.get(table, ())]
    return db.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 - names of our own tables


def blobs(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("blobs/*/*"))}


async def test_rows_and_files_are_those_of_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "AT_ONCE", 17)  # studies and series that begin in one transaction and go on in the next
    told: list[int] = []
    fill.fill(tmp_path / "filled", INSTANCES, told.append)
    stored = LocalStore(tmp_path / "stored", on_duplicate=OnDuplicate.REJECT)
    for study in Hospital(INSTANCES).studies():
        for index in range(len(study.series)):
            result = await store(stored, *[data for _, data in series_files(study, index)])
            assert not result.failed
    await stored.aclose()
    filled = tables(tmp_path / "filled")
    assert filled == tables(tmp_path / "stored") and len(filled["instance"]) == INSTANCES
    assert blobs(tmp_path / "filled") == blobs(tmp_path / "stored")
    assert told == [17, 34, 51, 68, 85, INSTANCES]


async def test_a_filled_store_is_whole(tmp_path: Path) -> None:
    fill.fill(tmp_path, INSTANCES)
    found = repair.fsck(tmp_path)
    assert (found.checked, found.problems) == (INSTANCES, ())
    opened = LocalStore(tmp_path)
    tally = await opened.tally()
    await opened.aclose()
    assert (tally.studies, tally.instances) == (INSTANCES // 20, INSTANCES)
