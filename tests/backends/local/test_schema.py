"""The index as a database."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.backends.local import schema, search
from gateway.backends.local.statements import plan_of
from gateway.backends.local.store import LocalStore
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import StoreUnavailable
from tests.backends.local.ready import twenty_studies
from tests.backends.made import query, store, study


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
        *("extracted", "extracted_tag", "delivery", "withdrawal", "delivered", "block", "term"),
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


Rows = list[tuple[Any, ...]]


def counters(db: sqlite3.Connection) -> tuple[Rows, Rows]:
    return list(db.execute("SELECT * FROM block ORDER BY id")), list(db.execute("SELECT * FROM term ORDER BY field, text"))


def recounted(db: sqlite3.Connection) -> tuple[Rows, Rows]:
    """What the tables of blocks and terms have to say, by the rows themselves."""
    blocks = f"""SELECT s.id >> {schema.BLOCK_BITS}, count(DISTINCT s.id), count(DISTINCT e.id), count(*)
        FROM study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id GROUP BY 1 ORDER BY 1"""  # noqa: S608 - a constant
    terms = [
        (column, *row)
        for column in sorted(schema.TERMS)
        for row in db.execute(f"SELECT {column}, count(*) FROM study WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1")  # noqa: S608 - constants
    ]
    return list(db.execute(blocks)), terms


def test_an_index_of_the_third_version_is_counted_when_it_migrates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    monkeypatch.setattr(schema, "VERSION", 3)
    old = twenty_studies(tmp_path / "old")
    assert schema.version(old.db) == 3
    monkeypatch.undo()
    schema.migrate(old.db)
    new = twenty_studies(tmp_path)
    assert counters(old.db) == counters(new.db) == recounted(new.db)
    names = "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2"
    assert list(old.db.execute(names)) == list(new.db.execute(names))
    for index in (old, new):
        index.db.close()


async def test_blocks_and_terms_follow_what_comes_changes_and_goes(tmp_path: Path) -> None:
    backend = LocalStore(tmp_path, on_duplicate=OnDuplicate.REPLACE)
    reader = schema.connect(tmp_path / "index.sqlite", read_only=True)
    for number in range(6):
        names: dict[str, Any] = {
            "PatientName": f"Doe^{number % 2}",
            "ReferringPhysicianName": "Ray^X",
            "StudyDescription": f"Chest {number % 3}",
        }
        await store(backend, *study(f"1.{number}", **names))
    assert counters(reader) == recounted(reader) and len(counters(reader)[1]) == 6
    await store(backend, *study("1.0", PatientName="Roe^A", StudyDescription=""))  # the first instances are others now
    assert ("patient_name", "roe^a", 1) in counters(reader)[1]
    assert counters(reader) == recounted(reader)
    await backend.delete(Resource("1.1", "1.1.1"))
    await backend.delete(Resource("1.2"))
    assert counters(reader) == recounted(reader)
    for number in (0, 1, 3, 4, 5):
        await backend.delete(Resource(f"1.{number}"))
    assert counters(reader) == ([], []), "what was deleted is still named"
    reader.close()
    await backend.aclose()
