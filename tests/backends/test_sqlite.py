from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from gateway.backends.sqlite import transaction


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("CREATE TABLE one (value INTEGER PRIMARY KEY)")
    yield db
    db.close()


def test_all_of_it_happens_and_its_result_comes_back(db: sqlite3.Connection) -> None:
    assert transaction(db, lambda db: db.execute("INSERT INTO one VALUES (1), (2)").rowcount) == 2
    assert not db.in_transaction and db.execute("SELECT count(*) FROM one").fetchone() == (2,)


def test_nothing_of_what_fails_stays(db: sqlite3.Connection) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO one VALUES (1)")
        db.execute("INSERT INTO one VALUES (1)")

    with pytest.raises(sqlite3.IntegrityError):
        transaction(db, half)
    assert not db.in_transaction and db.execute("SELECT count(*) FROM one").fetchone() == (0,)
