from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.backends.operations.work import Job
from gateway.backends.registry.file import File, insert
from gateway.errors import Conflict, StoreUnavailable


def test_every_change_is_seen_by_others_at_once(tmp_path: Path) -> None:
    one, other = File(tmp_path), File(tmp_path)
    before = other.version
    with one.change() as db:
        insert(db, "INSERT INTO dataset VALUES (?, ?, ?)", ("n", "p", b"{}"), "dataset")
    assert other.version != before
    assert other.one("SELECT name FROM dataset WHERE parent = ?", "p") == ("n",)
    assert other.all("SELECT name FROM dataset WHERE parent = ?", "q") == []
    one.close()
    other.close()


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    file = File(tmp_path)
    row = ("n", "p", b"{}")

    def twice() -> None:
        with file.change() as db:
            insert(db, "INSERT INTO dataset VALUES (?, ?, ?)", row, "dataset")
            insert(db, "INSERT INTO dataset VALUES (?, ?, ?)", row, "dataset")

    with pytest.raises(Conflict, match="a dataset"):
        twice()
    assert file.all("SELECT name FROM dataset") == []
    file.close()


def test_it_outlives_the_process(tmp_path: Path) -> None:
    file = File(tmp_path)
    with file.change() as db:
        insert(db, "INSERT INTO dataset VALUES (?, ?, ?)", ("n", "p", b"{}"), "dataset")
    file.close()
    again = File(tmp_path)
    assert again.all("SELECT name FROM dataset") == [("n",)]
    again.close()


def test_one_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    File(tmp_path).close()
    with sqlite3.connect(tmp_path / "registry.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreUnavailable, match="newer"):
        File(tmp_path)


def test_deletions_that_version_1_had_begun_are_taken_along(tmp_path: Path) -> None:
    File(tmp_path).close()
    with sqlite3.connect(tmp_path / "registry.sqlite") as db:
        db.execute("ALTER TABLE operation DROP COLUMN reached")
        row = (1, "projects/p/locations/l/datasets/d", "m", '["projects/p/locations/l/datasets/d/dicomStores/s","1.1",null,null]', 0.0)
        db.execute("INSERT INTO operation (number, parent, method, target, created) VALUES (?, ?, ?, ?, ?)", row)
        db.execute("PRAGMA user_version=1")
    db.close()
    file = File(tmp_path)
    ((target, reached),) = file.all("SELECT target, reached FROM operation")
    job = Job.of(target)
    assert (job.kind, job.store.store, job.about, reached) == ("delete", "s", {"study": "1.1", "series": None}, "")
    file.close()


def test_what_is_forgotten_is_overwritten(tmp_path: Path) -> None:
    file = File(tmp_path)
    with file.change() as db:
        insert(db, "INSERT INTO dataset VALUES (?, ?, ?)", ("n", "p", b"Doe^John"), "dataset")
    with file.change() as db:
        db.execute("DELETE FROM dataset")
    file.close()
    assert b"Doe^John" not in (tmp_path / "registry.sqlite").read_bytes()
