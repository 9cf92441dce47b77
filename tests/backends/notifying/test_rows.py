from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

import pytest

from gateway.backends.notifying import rows
from gateway.backends.notifying.rows import Intent, Refused
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy

FIRST, SECOND = Resource("1.1", "1.2", "1.3"), Resource("1.1", "1.2", "1.4")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    rows.make(made)
    yield made
    made.close()


def intent(number: int, *resources: Resource, targets: tuple[str, ...] = ("a",)) -> Intent:
    return Intent(number, 5, "store", targets, "StoreInstances", resources or (FIRST,))


def added(db: sqlite3.Connection, count: int, target: str = "a") -> list[int]:
    rows.add(db, "store", [target], [Resource("1.1", "1.2", f"1.3.{i}") for i in range(count)], "StoreInstances")
    return [one.message.number for one in rows.letters(db, target=target)][-count:]


def dead(db: sqlite3.Connection, *numbers: int) -> None:
    rows.told(db, [], [Refused(number, "no", 0.0, dead=True) for number in numbers])


def tally(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT messages FROM tally").fetchone()[0])


def test_an_intent_becomes_a_message_for_each_resource_and_receiver(db: sqlite3.Connection) -> None:
    rows.intend(db, intent(1, FIRST, SECOND, targets=("a", "b")), 100)
    assert rows.intents(db) == [intent(1, FIRST, SECOND, targets=("a", "b"))]
    assert rows.settle(db, 1, [SECOND]) == 2
    assert rows.intents(db) == []
    assert [(one.message.target, one.message.resource, one.message.action) for one in rows.letters(db)] == [
        ("a", SECOND, "StoreInstances"),
        ("b", SECOND, "StoreInstances"),
    ]
    assert rows.settle(db, 1, [SECOND]) == 0  # somebody else was first
    assert tally(db) == 2


def test_numbers_begin_with_the_moment_and_versions_grow_whatever_the_clock_does(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = added(db, 1)
    assert abs(first - time.time() * 1e6) < 60e6
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    versions = []
    for _ in range(20):
        (number,) = added(db, 1)
        versions.append(int(rows.fresh(db, "a", 10)[-1].attributes["versionId"]))
        rows.told(db, [number], [])  # nothing is left to compare with
    assert versions == sorted(set(versions)) and versions[0] > first - 60e6


def test_room_is_kept_for_what_is_intended(db: sqlite3.Connection) -> None:
    rows.intend(db, intent(1, FIRST, SECOND), 3)
    with pytest.raises(Busy):
        rows.intend(db, intent(2, FIRST, SECOND), 3)
    rows.settle(db, 1, [])
    rows.intend(db, intent(2, FIRST, SECOND), 3)


def test_more_than_fits_at_all_is_taken_by_an_empty_outbox(db: sqlite3.Connection) -> None:
    assert rows.intend(db, intent(1, FIRST, SECOND), 1) == 0


def test_what_was_set_aside_makes_room_the_oldest_first(db: sqlite3.Connection) -> None:
    numbers = added(db, 4)
    dead(db, *numbers[1:])
    assert rows.intend(db, intent(1, FIRST, SECOND), 4) == 2
    assert [one.message.number for one in rows.letters(db)] == [numbers[0], numbers[3]]
    assert tally(db) == 2
    with pytest.raises(Busy):
        rows.intend(db, intent(2, FIRST, SECOND), 4)


def test_what_is_new_and_what_was_refused_are_found_in_order(db: sqlite3.Connection) -> None:
    numbers = added(db, 5)
    rows.told(db, [numbers[0]], [Refused(numbers[1], "x" * 999, 50.0, dead=False), Refused(numbers[2], "", 10.0, dead=False)])
    assert [one.number for one in rows.fresh(db, "a", 10)] == numbers[3:]
    assert [one.number for one in rows.fresh(db, "a", 1)] == [numbers[3]]
    assert rows.fresh(db, "b", 10) == []
    assert [one.number for one in rows.overdue(db, "a", 20.0, 100.0, 10)] == [numbers[2]]
    assert [one.number for one in rows.overdue(db, "a", 60.0, 100.0, 10)] == numbers[1:3]
    assert [one.attempts for one in rows.overdue(db, "a", 60.0, 100.0, 10)] == [1, 1]
    assert rows.next_due(db, "a") == 10.0 and rows.next_due(db, "b") is None
    assert len(rows.letters(db)[0].reason) == rows.REASON


def test_a_clock_that_was_wrong_puts_nothing_off_for_years(db: sqlite3.Connection) -> None:
    (number,) = added(db, 1)
    rows.told(db, [], [Refused(number, "", 1e12, dead=False)])
    assert len(rows.overdue(db, "a", 1000.0, 600.0, 10)) == 1


def test_those_who_wait_are_known(db: sqlite3.Connection) -> None:
    for target in ("c", "a", "b"):
        numbers = added(db, 3, target)
    dead(db, *numbers)
    rows.told(db, [], [Refused(number, "", 1.0, dead=False) for number in added(db, 1, "d")])
    assert rows.waiting(db) == ["a", "c", "d"]


def test_the_looks_of_every_second_go_by_indexes(db: sqlite3.Connection) -> None:
    for sql in (
        "SELECT min(target) FROM message WHERE dead = 0 AND attempts = 0 AND target > ''",
        "SELECT min(target) FROM message WHERE dead = 0 AND attempts > 0 AND target > ''",
        "SELECT id FROM message WHERE dead = 0 AND attempts = 0 AND target = 'a' ORDER BY id LIMIT 5",
        "SELECT min(due) FROM message WHERE dead = 0 AND attempts > 0 AND target = 'a'",
    ):
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}"))
        assert "USING" in plan and "INDEX message_" in plan and "SCAN" not in plan and "TEMP" not in plan, plan


def test_what_is_too_old_goes_and_is_counted(db: sqlite3.Connection) -> None:
    added(db, 3)
    rows.intend(db, intent(1), 100)
    assert rows.expire(db, time.time() - 60) == 0
    assert rows.expire(db, time.time() + 60) == 4
    assert rows.letters(db) == [] and rows.intents(db) == []


def test_why_something_waits_is_kept(db: sqlite3.Connection) -> None:
    numbers = added(db, 2)
    rows.explain(db, numbers[:1], "it is down")
    assert [(one.reason, one.message.attempts) for one in rows.letters(db)] == [("it is down", 0), ("", 0)]


def test_people_see_it_try_it_again_and_give_it_up(db: sqlite3.Connection) -> None:
    numbers = [*added(db, 3), *added(db, 2, "b")]
    assert rows.set_aside(db, "b", "gone") == 2
    dead(db, numbers[0])
    assert [(one.target, one.dead, one.messages) for one in rows.depth(db)] == [("a", False, 2), ("a", True, 1), ("b", True, 2)]
    assert [one.message.number for one in rows.letters(db, dead=True, target="b", limit=1)] == [numbers[3]]
    assert rows.revive(db, numbers[:2]) == 1
    assert rows.drop(db, numbers[1:2]) == 0  # it waits
    assert rows.drop(db, (), "a") == 0
    assert rows.drop(db, (), "b") == 2
    assert tally(db) == 3 and [one.attempts for one in rows.fresh(db, "a", 10)] == [0, 0, 0]
