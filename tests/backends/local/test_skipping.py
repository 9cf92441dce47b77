"""Where a page far in begins: whatever has come, grown and gone, pages are what they would be if all before them were passed over."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.local import schema, search, skipping
from gateway.backends.local.statements import plan_of
from gateway.dicomweb.resources import Level
from tests.backends.made import query

STUDIES = 5 << schema.BLOCK_BITS
_IDS: dict[Level, str] = {"study": "s.id", "series": "s.id, e.id", "instance": "s.id, e.id, i.generation"}
_UID: dict[Level, str] = {"study": "s.uid", "series": "e.uid", "instance": "i.uid"}
_KEY: dict[Level, str] = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}
_LEFT = "study s LEFT JOIN series e ON e.study = s.id LEFT JOIN instance i ON i.series = e.id"


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """More than a thousand studies of up to three series; one block has gone whole, others in parts, and some studies grew."""
    made = schema.connect(tmp_path_factory.mktemp("skipping") / "index.sqlite", durable=False)
    schema.migrate(made)
    chance = random.Random(1)
    made.execute("BEGIN")
    for study in range(1, STUDIES + 1):
        _study(made, chance, study)
    block = range(2 << schema.BLOCK_BITS, 3 << schema.BLOCK_BITS)
    for study in {*block, *chance.sample(range(1, STUDIES), STUDIES // 5)}:
        _forget(made, study)
    made.execute("COMMIT")
    yield made
    made.close()


def _study(db: sqlite3.Connection, chance: random.Random, study: int) -> None:
    db.execute("INSERT INTO study (id, uid, source, attributes) VALUES (?, ?, 0, '{}')", (study, f"1.{study}"))
    for number in range(chance.randint(1, 3)):
        values = (study, f"1.{study}.{number}")
        series = db.execute("INSERT INTO series (study, uid, source, attributes) VALUES (?, ?, 0, '{}')", values).lastrowid
        count = chance.randint(1, 4)
        for instance in range(count):
            db.execute(
                """INSERT INTO instance (series, uid, attributes, sop_class, syntax, size, checksum, stored_at)
                VALUES (?, ?, ?, '1.2', '1.2', 0, '', 0)""",
                (series, f"1.{study}.{number}.{instance}", f'{{"00080018":{{"vr":"UI","Value":["1.{study}.{number}.{instance}"]}}}}'),
            )
        db.execute("UPDATE series SET instance_count = ? WHERE id = ?", (count, series))
        db.execute("UPDATE study SET series_count = series_count + 1, instance_count = instance_count + ? WHERE id = ?", (count, study))


def _forget(db: sqlite3.Connection, study: int) -> None:
    db.execute("DELETE FROM instance WHERE series IN (SELECT id FROM series WHERE study = ?)", (study,))
    db.execute("DELETE FROM series WHERE study = ?", (study,))
    db.execute("DELETE FROM study WHERE id = ?", (study,))


def everything(db: sqlite3.Connection, level: Level) -> list[str]:
    found = db.execute(f"SELECT DISTINCT {_UID[level]}, {_IDS[level]} FROM {_LEFT} ORDER BY {_IDS[level]}")  # noqa: S608 - built of constants only
    return [uid for uid, *_ in found]


def page(db: sqlite3.Connection, level: Level, offset: int, limit: int) -> tuple[list[str], int | None]:
    matches = search.answer(db, plan_of(query(level, offset=str(offset), limit=str(limit))))
    marks = [result.split(b'"%s":{"vr":"UI","Value":["' % _KEY[level].encode())[1] for result in matches.results]
    return [mark.split(b'"')[0].decode() for mark in marks], matches.remaining


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_pages_are_what_passing_over_all_before_them_would_give(db: sqlite3.Connection, level: Level) -> None:
    whole = everything(db, level)
    chance = random.Random(2)
    edges = [0, 1, 254, 255, 256, 257, len(whole) - 1, len(whole), len(whole) + 1, 10 * len(whole)]
    for offset in [*edges, *(chance.randrange(len(whole)) for _ in range(200))]:
        limit = chance.randint(1, 40)
        expected = whole[offset : offset + limit]
        left = max(0, len(whole) - offset - limit) if len(expected) == limit else 0
        assert page(db, level, offset, limit) == (expected, left), offset


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_everything_is_counted_by_blocks(db: sqlite3.Connection, level: Level) -> None:
    assert skipping.total(db, level) == len(everything(db, level)) > 0
    assert db.execute("SELECT count(*) FROM block WHERE study = 0").fetchone() == (0,)
    [(blocks,)] = db.execute("SELECT count(*) FROM block")
    assert blocks == 5  # ids begin at 1 and end in a sixth; one block has gone


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_page_begins_few_rows_before_itself(db: sqlite3.Connection, level: Level) -> None:
    for offset in range(0, len(everything(db, level)), 97):
        _, left = skipping.begin(db, level, offset)
        assert left < 1 << schema.BLOCK_BITS


def test_an_empty_index_has_pages_too(tmp_path: Path) -> None:
    empty = schema.connect(tmp_path / "index.sqlite", durable=False)
    schema.migrate(empty)
    assert [skipping.begin(empty, "study", 1000), skipping.total(empty, "study")] == [(0, 1000), 0]
    assert page(empty, "instance", 1000, 10) == ([], 0)
    empty.close()
