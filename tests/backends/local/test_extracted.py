"""Values that searches leave behind: what is kept of them, for how long, and what goes when."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.local import extracted, schema
from gateway.backends.local.extracted import LARGE, Keeper, forget, keep, kept_tags, use
from tests.backends.local.ready import Index
from tests.backends.made import study

KVP, LOCATION = 0x00180060, 0x00201041


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    """An index of four instances, generations 1 to 4."""
    index = Index(tmp_path)
    index.store(*study("1.1"))
    return index.db


def values(db: sqlite3.Connection) -> list[tuple[int, int, bytes]]:
    return db.execute("SELECT tag, generation, json FROM extracted").fetchall()


def test_values_are_kept_of_instances_that_are_there(db: sqlite3.Connection) -> None:
    keep(db, [(KVP, 1, b"{}"), (KVP, 5, b"{}"), (LOCATION, 4, b"")])
    assert values(db) == [(KVP, 1, b"{}"), (LOCATION, 4, b"")] and set(kept_tags(db)) == {KVP, LOCATION}


def test_two_searches_may_bring_the_same(db: sqlite3.Connection) -> None:
    keep(db, [(KVP, 1, b"{}")])
    keep(db, [(KVP, 1, b"{}"), (KVP, 2, b"{}")])
    assert values(db) == [(KVP, 1, b"{}"), (KVP, 2, b"{}")]


def test_who_dies_in_between_leaves_nothing(db: sqlite3.Connection) -> None:
    path = db.execute("PRAGMA database_list").fetchone()[2]
    child = os.fork()
    if child == 0:
        own = schema.connect(path)
        own.execute("BEGIN IMMEDIATE")
        keep(own, [(KVP, 1, b"{}")])
        os._exit(0 if values(own) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert values(db) == [] and kept_tags(db) == {}
    keep(db, [(KVP, 1, b"{}")])
    assert values(db) == [(KVP, 1, b"{}")]


def test_all_of_an_instance_goes_at_once_and_by_the_key(db: sqlite3.Connection) -> None:
    keep(db, [(tag, generation, b"{}") for tag in (KVP, LOCATION) for generation in (1, 2)])
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    forget(db, 1)
    db.set_trace_callback(None)
    assert values(db) == [(KVP, 2, b"{}"), (LOCATION, 2, b"{}")]
    steps = [detail for sql in seen for *_, detail in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert "SEARCH extracted USING PRIMARY KEY (tag=? AND generation=?)" in steps


def test_what_was_not_searched_for_the_longest_goes_bit_by_bit(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracted, "MOST_TAGS", 2)
    monkeypatch.setattr(extracted, "BATCH", 3)
    clock = iter(range(1, 100))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    keep(db, [(1, generation, b"") for generation in (1, 2, 3, 4)])
    keep(db, [(2, 1, b"")])
    use(db, [1])
    keep(db, [(3, 1, b"")])
    assert set(kept_tags(db)) == {1, 3} and {tag for tag, _, _ in values(db)} == {1, 3}
    keep(db, [(4, 1, b"")])  # more than a batch of what was given up
    assert set(kept_tags(db)) == {3, 4} and values(db) == [(1, 4, b""), (3, 1, b""), (4, 1, b"")]
    forget(db, 4)
    assert (1, 4, b"") not in values(db)
    use(db, [3])
    keep(db, [(3, 2, b"")])
    assert db.execute("SELECT tag FROM extracted_tag").fetchall() == [(3,), (4,)]


def test_what_was_given_up_may_come_back_before_it_has_gone(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracted, "MOST_TAGS", 1)
    keep(db, [(1, 1, b"")])
    use(db, [2])
    assert set(kept_tags(db)) == {2}
    use(db, [1])
    assert set(kept_tags(db)) == {1} and values(db) == [(1, 1, b"")]


class Posted:
    """A writer that does what is posted when it is told to."""

    def __init__(self) -> None:
        self.work: list[Callable[[sqlite3.Connection], Any]] = []

    def __call__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self.work.append(work)


def test_a_search_that_read_little_leaves_nothing_behind() -> None:
    posted = Posted()
    keeper = Keeper(posted)
    for generation in range(extracted.WORTH - 1):
        keeper.add(KVP, generation, b"")
    keeper.finish({})
    assert not posted.work


def test_batches_are_bounded_and_the_last_one_may_be_small(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracted, "BATCH", 3)
    posted = Posted()
    keeper = Keeper(posted)
    for generation in (4, 3, 2, 1):
        keeper.add(KVP, generation, b"{}")
    assert len(posted.work) == 1
    keeper.finish({})
    assert len(posted.work) == 2
    for work in posted.work:
        work(db)
    assert [generation for _, generation, _ in values(db)] == [1, 2, 3, 4]


def test_of_a_large_value_is_only_kept_that_it_is_large(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracted, "WORTH", 1)
    posted = Posted()
    keeper = Keeper(posted)
    keeper.add(KVP, 1, b"x" * extracted.LARGEST)
    keeper.add(KVP, 2, b"x" * (extracted.LARGEST + 1))
    keeper.finish({})
    posted.work[0](db)
    assert [value for _, _, value in values(db)] == [b"x" * extracted.LARGEST, LARGE]


def test_that_an_attribute_is_searched_for_is_noted_now_and_then(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 10_000.0)
    posted = Posted()
    Keeper(posted).finish({KVP: 9_000.0})
    assert not posted.work
    Keeper(posted).finish({KVP: 1_000.0, LOCATION: 9_000.0})
    posted.work[0](db)
    assert kept_tags(db) == {KVP: 10_000.0}
