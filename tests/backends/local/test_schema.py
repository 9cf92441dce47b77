"""The index as a database."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import cast

import pytest

from gateway.backends.local import schema, search
from gateway.backends.local.statements import plan_of
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import StoreUnavailable
from tests.backends.made import query


def value(db: sqlite3.Connection, pragma: str) -> object:
    return db.execute(f"PRAGMA {pragma}").fetchone()[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_commits_are_synced_unless_durability_is_relaxed(path: Path, durable: bool, synchronous: int) -> None:
    db = schema.connect(path, durable=durable)
    assert value(db, "journal_mode") == "wal" and value(db, "synchronous") == synchronous
    assert not db.in_transaction and db.isolation_level is None
    db.close()


def test_readers_cannot_write(path: Path) -> None:
    db = schema.connect(path)
    schema.migrate(db)
    reader = schema.connect(path, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("UPDATE meta SET value = 1")
    reader.close()
    db.close()


def test_a_fresh_database_gets_the_schema_once(path: Path) -> None:
    db = schema.connect(path)
    assert schema.version(db) == 0
    schema.migrate(db)
    assert schema.version(db) == schema.VERSION
    db.execute("UPDATE meta SET value = 7 WHERE key = 'next_generation'")
    schema.migrate(db)
    assert db.execute("SELECT value FROM meta WHERE key = 'next_generation'").fetchone() == (7,)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {
        *("meta", "study", "series", "instance", "metadata", "deleted", "garbage"),
        *("extracted", "extracted_tag", "delivery", "withdrawal", "delivered"),
    }
    db.close()


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match="rebuild-index"):
        schema.connect(path)


def test_there_is_a_step_from_every_version() -> None:
    assert sorted(schema._MIGRATIONS) == list(range(schema.VERSION))


def test_a_newer_database_is_refused_and_left_alone(path: Path) -> None:
    db = schema.connect(path)
    db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreUnavailable, match="version 99"):
        schema.migrate(db)
    assert list(db.execute("SELECT * FROM sqlite_master")) == []
    db.close()


def test_a_step_that_fails_leaves_nothing_half_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_MIGRATIONS", {0: "CREATE TABLE half (x); CREATE TABLE half (x);"})
    db = schema.connect(path)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        schema.migrate(db)
    db.close()
    monkeypatch.undo()
    db = schema.connect(path)
    schema.migrate(db)
    assert not list(db.execute("SELECT * FROM sqlite_master WHERE name = 'half'"))
    db.close()


def test_uids_are_unique_where_the_model_says_so(path: Path) -> None:
    db = schema.connect(path)
    schema.migrate(db)
    study = "INSERT INTO study (uid, source, attributes) VALUES (?, 1, '')"
    series = "INSERT INTO series (study, uid, source, attributes) VALUES (?, ?, 1, '')"
    db.execute(study, ("1",))
    db.execute(series, (1, "1.1"))
    db.execute(series, (2, "1.1"))  # the same Series Instance UID in another study: wrong, but met
    for sql, values in ((study, ("1",)), (series, (1, "1.1"))):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(sql, values)
    db.close()


def test_an_index_of_the_second_version_gets_tables_and_keeps_what_it_has(path: Path) -> None:
    db = schema.connect(path)
    db.executescript(f"BEGIN;{schema._MIGRATIONS[0]}{schema._MIGRATIONS[1].partition('UPDATE')[0]}PRAGMA user_version = 2;COMMIT;")
    db.execute("INSERT INTO metadata VALUES (1, x'7b7d')")
    before = set(db.execute("SELECT name, sql FROM sqlite_master"))
    schema.migrate(db)
    after = set(db.execute("SELECT name, sql FROM sqlite_master"))
    assert before < after and {name for name, _ in after - before} >= {"extracted", "extracted_tag"}
    assert schema.version(db) == schema.VERSION and list(db.execute("SELECT * FROM metadata")) == [(1, b"{}")]
    db.close()


def test_an_index_of_the_first_version_finds_the_same_after_its_migration(tmp_path: Path) -> None:
    db = schema.connect(tmp_path / "index.sqlite")
    db.executescript(f"BEGIN;{schema._MIGRATIONS[0]}PRAGMA user_version = 1;COMMIT;")
    db.execute("""INSERT INTO study VALUES (1, '1.1', 1, '{}', '2024.01.31', NULL, NULL, NULL, 'müller^jörg^=山田', 'P1', NULL, NULL,
        NULL, NULL, 1, 1)""")
    db.execute("INSERT INTO series VALUES (1, 1, '1.1.1', 1, '{}', 'CT', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1)")
    own = b'{"00080008":{"vr":"CS","Value":["AXIAL"]}}'
    db.execute("INSERT INTO instance VALUES (1, 1, '1.1.1.1', ?, '1.9', '7', '1.2.840', 5, x'00', 0.5, NULL, NULL, NULL, NULL)", (own,))
    schema.migrate(db)
    assert schema.version(db) == schema.VERSION
    for level, resource, params in (
        ("study", Resource(), {"PatientName": "MULLER^Jorg"}),
        ("study", Resource(), {"PatientName": "山田", "StudyDate": "20240131"}),
        ("instance", Resource("1.1", "1.1.1"), {"InstanceNumber": "7"}),
    ):
        [found] = search.answer(db, plan_of(query(cast(Level, level), resource, **params))).results
    shown = json.loads(found)
    assert [shown[key]["Value"][0] for key in ("00080008", "00080016", "00080018", "0020000D")] == ["AXIAL", "1.9", "1.1.1.1", "1.1"]
    db.close()
