"""Findings that hang on the index's count of changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.local import recent, transactions
from gateway.backends.local.recent import Recent
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from tests.backends.local.ready import Index
from tests.backends.made import study


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path)
    made.store(*study("1.1"), *study("1.2"))
    yield made
    made.db.close()


class Finder:
    """Counts instances, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, db: sqlite3.Connection, resource: Resource) -> tuple[int, int]:
        self.asked += 1
        count: int = db.execute("SELECT instance_count FROM study WHERE uid = ?", (resource.study,)).fetchone()[0]
        return count, count


def test_what_has_not_changed_is_not_looked_for_again(index: Index) -> None:
    finder = Finder()
    found = Recent(finder)
    assert [found(index.db, Resource("1.1")) for _ in range(3)] == [4, 4, 4]
    assert found(index.db, Resource("1.2")) == 4
    assert finder.asked == 2


def test_any_change_makes_it_look_again(index: Index) -> None:
    finder = Finder()
    found = Recent(finder)
    found(index.db, Resource("1.1"))
    index.store(*study("1.1", series=3))
    assert found(index.db, Resource("1.1")) == 6
    tombstone = transactions.find(index.db, Resource("1.1", "1.1.3"))
    assert tombstone is not None
    transactions.delete(index.db, tombstone, index.reread, 0)
    assert found(index.db, Resource("1.1")) == 4
    assert finder.asked == 3


def test_what_changes_while_it_is_looked_for_is_looked_for_once_more(index: Index) -> None:
    def find(db: sqlite3.Connection, resource: Resource) -> tuple[int, int]:
        before = finder(db, resource)
        if finder.asked == 1:
            index.store(*study("1.1", series=3))
        return before

    finder = Finder()
    found = Recent(find)
    assert [found(index.db, Resource("1.1")) for _ in range(3)] == [4, 6, 6]


def test_what_was_not_asked_for_longest_goes_when_there_is_no_room(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "ROWS", 7)
    finder = Finder()
    found = Recent(finder)
    for study_uid in ("1.1", "1.2", "1.2", "1.1"):
        assert found(index.db, Resource(study_uid)) == 4
    assert finder.asked == 3
    monkeypatch.setattr(recent, "ROWS", 3)
    fresh = Recent(finder)
    assert [fresh(index.db, Resource("1.1")) for _ in range(2)] == [4, 4]
    assert finder.asked == 5


def test_errors_are_not_remembered(index: Index) -> None:
    def find(db: sqlite3.Connection, resource: Resource) -> tuple[int, int]:
        raise NotFound("not here")

    found = Recent(find)
    for _ in range(2):
        with pytest.raises(NotFound):
            found(index.db, Resource("9"))
