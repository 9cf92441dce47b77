"""What has to be told, row by row: each function runs inside a transaction that its caller opened, or reads.

intent    what is about to be changed, with everybody who has to hear of it: written before, taken away after
message   one change and one receiver: leaves when it was told

(intent)       ->  messages                       the change was made
               ->  nothing                        it was not
attempts = 0   ->  gone                           told
               ->  due = later, attempts + 1      refused; why is in `reason`
               ->  dead = 1                       refused too often: waits for people, until `expire` takes it
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from gateway.backends.notifying.events import Message
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy

VERSION = 1

RETRY_AFTER = 30
"""Seconds that are asked for when the outbox is full: whoever is down does not come back within one."""


class Full(Busy):
    """No more can be kept for those who do not listen."""

    def __init__(self) -> None:
        super().__init__("nobody takes the notifications of this store, and no more can be kept (notifications.waiting)", RETRY_AFTER)


REASON = 300
"""Characters of a reason that are kept."""

STEP = 2e-6
"""Seconds between two changes at least: their versions are microseconds, and a float of this century is good for a quarter of one."""

EXPIRED_AT_ONCE = 10_000
"""Rows that one transaction takes away: some tens of milliseconds."""

SCHEMA = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, store TEXT NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL,
    sop TEXT NOT NULL, action TEXT NOT NULL, changed REAL NOT NULL, extra TEXT NOT NULL, due REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX message_waiting ON message (target, id) WHERE dead = 0 AND attempts = 0;
CREATE INDEX message_failed ON message (target, due) WHERE dead = 0 AND attempts > 0;
CREATE INDEX message_dead ON message (id) WHERE dead = 1;
CREATE TABLE intent (
    id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, store TEXT NOT NULL, targets TEXT NOT NULL, action TEXT NOT NULL,
    began REAL NOT NULL, resources BLOB NOT NULL, messages INTEGER NOT NULL
) STRICT;
CREATE TABLE tally (messages INTEGER NOT NULL, changed REAL NOT NULL) STRICT;
INSERT INTO tally VALUES (0, 0);
CREATE TRIGGER message_in AFTER INSERT ON message BEGIN UPDATE tally SET messages = messages + 1; END;
CREATE TRIGGER message_out AFTER DELETE ON message BEGIN UPDATE tally SET messages = messages - 1; END;
"""

_COLUMNS = "id, target, store, study, series, sop, action, changed, extra, attempts"

Row = Sequence[str | int | float]


class Intent(NamedTuple):
    """A change that is about to be made. :param owner: the process that makes it (`registry.owners`)."""

    number: int
    owner: int
    store: str
    targets: tuple[str, ...]
    action: str
    resources: tuple[Resource, ...]


class Refused(NamedTuple):
    """A message that was not taken. :param due: when it is tried again, seconds since the epoch. :param dead: whether it never is."""

    number: int
    reason: str
    due: float
    dead: bool


class Depth(NamedTuple):
    """What there is for one receiver. :param oldest: when the first of it was changed, seconds since the epoch."""

    target: str
    dead: bool
    messages: int
    oldest: float


class Letter(NamedTuple):
    """A row, for people. Times in seconds since the epoch."""

    message: Message
    due: float
    dead: bool
    reason: str


# -- coming in


def make(db: sqlite3.Connection) -> None:
    """The tables. Numbers begin with the microseconds of now: those of a lost outbox are never given again."""
    for statement in SCHEMA.split(";\n"):
        db.execute(statement)
    db.execute("INSERT INTO sqlite_sequence VALUES ('message', ?)", (int(time.time() * 1_000_000),))
    db.execute(f"PRAGMA user_version = {VERSION}")


def intend(db: sqlite3.Connection, intent: Intent, bound: int) -> int:
    """Notes a change before it is made, and keeps room for what will be told of it.

    :param bound: rows that there may be. Where there is no room those that were set aside make some, the oldest first.
    :returns: how many of those were given up.
    :raises Full: there is no room.
    """
    count = len(intent.resources) * len(intent.targets)
    (there,) = db.execute("SELECT messages + (SELECT coalesce(sum(messages), 0) FROM intent) FROM tally").fetchone()
    over = there + count - bound
    given_up = 0
    if over > 0 and there:
        given_up = _drop_oldest_dead(db, over)
        if given_up < min(over, there):
            raise Full
    resources = orjson.dumps([_uids(one) for one in intent.resources])
    row = (intent.number, intent.owner, intent.store, "\n".join(intent.targets), intent.action, time.time(), resources, count)
    db.execute("INSERT INTO intent VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return given_up


def _drop_oldest_dead(db: sqlite3.Connection, count: int) -> int:
    return db.execute("DELETE FROM message WHERE id IN (SELECT id FROM message WHERE dead = 1 ORDER BY id LIMIT ?)", (count,)).rowcount


def settle(db: sqlite3.Connection, number: int, resources: Collection[Resource]) -> int:
    """A change was made, of these resources; how many messages become of it: none when somebody else has settled it."""
    row = db.execute("DELETE FROM intent WHERE id = ? RETURNING store, targets, action", (number,)).fetchone()
    return 0 if row is None else add(db, row[0], row[1].split("\n"), resources, row[2])


def add(
    db: sqlite3.Connection,
    store: str,
    targets: Iterable[str],
    resources: Collection[Resource],
    action: str,
    extra: Mapping[str, str] | None = None,
) -> int:
    """What has to be told, to each receiver; how many messages that are."""
    (last,) = db.execute("SELECT changed FROM tally").fetchone()
    now = max(time.time(), last + STEP)  # versions grow, whatever the clock does
    db.execute("UPDATE tally SET changed = ?", (now,))
    written = orjson.dumps(dict(extra or {})).decode()
    rows = [(target, store, *_uids(one), action, now, written) for one in resources for target in targets]
    db.executemany("INSERT INTO message (target, store, study, series, sop, action, changed, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return len(rows)


def _uids(resource: Resource) -> tuple[str, str, str]:
    return resource.study or "", resource.series or "", resource.instance or ""


def intents(db: sqlite3.Connection) -> list[Intent]:
    """Those that are not settled."""
    rows = db.execute("SELECT id, owner, store, targets, action, resources FROM intent ORDER BY began").fetchall()
    return [
        Intent(number, owner, store, tuple(targets.split("\n")), action, tuple(_resource(*one) for one in orjson.loads(resources)))
        for number, owner, store, targets, action, resources in rows
    ]


def _resource(study: str, series: str, sop: str) -> Resource:
    return Resource(study or None, series or None, sop or None)


# -- going out


def waiting(db: sqlite3.Connection) -> list[str]:
    """Receivers for which something waits: a few looks at two indexes, however much that is."""
    found: set[str] = set()
    for which in ("attempts = 0", "attempts > 0"):
        after = ""
        while (row := db.execute(f"SELECT min(target) FROM message WHERE dead = 0 AND {which} AND target > ?", (after,)).fetchone())[0]:  # noqa: S608 - one of two words
            found.add(after := row[0])
    return sorted(found)


def fresh(db: sqlite3.Connection, target: str, limit: int) -> list[Message]:
    """What was never refused, in the order in which it was acknowledged."""
    sql = f"SELECT {_COLUMNS} FROM message WHERE dead = 0 AND attempts = 0 AND target = ? ORDER BY id LIMIT ?"  # noqa: S608 - columns
    return [_message(row) for row in db.execute(sql, (target, limit))]


def overdue(db: sqlite3.Connection, target: str, now: float, longest: float, limit: int) -> list[Message]:
    """What was refused and is due. :param longest: seconds that anything waits: later is due what a clock that was wrong put off."""
    sql = f"SELECT {_COLUMNS} FROM message WHERE dead = 0 AND attempts > 0 AND target = ? AND (due <= ? OR due > ?) ORDER BY due LIMIT ?"  # noqa: S608 - columns
    return sorted((_message(row) for row in db.execute(sql, (target, now, now + longest, limit))), key=lambda one: one.number)


def next_due(db: sqlite3.Connection, target: str) -> float | None:
    """When the next of those is due that were refused."""
    found = db.execute("SELECT min(due) FROM message WHERE dead = 0 AND attempts > 0 AND target = ?", (target,)).fetchone()[0]
    return None if found is None else float(found)


def _message(row: Row) -> Message:
    number, target, store, study, series, sop, action, changed, extra, attempts = row
    resource = _resource(str(study), str(series), str(sop))
    told = orjson.loads(str(extra))
    return Message(int(number), str(target), str(store), resource, str(action), float(changed), told, int(attempts))


def told(db: sqlite3.Connection, sent: Iterable[int], refused: Iterable[Refused]) -> None:
    """What became of messages."""
    db.executemany("DELETE FROM message WHERE id = ?", [(number,) for number in sent])
    db.executemany(
        "UPDATE message SET attempts = attempts + 1, due = ?, dead = ?, reason = ? WHERE id = ?",
        [(one.due, one.dead, one.reason[:REASON], one.number) for one in refused],
    )


def explain(db: sqlite3.Connection, numbers: Iterable[int], reason: str) -> None:
    """Why messages still wait, when that is not their fault."""
    db.executemany("UPDATE message SET reason = ? WHERE id = ?", [(reason[:REASON], number) for number in numbers])


def set_aside(db: sqlite3.Connection, target: str, reason: str) -> int:
    """Everything for a receiver that there is not any more."""
    return db.execute("UPDATE message SET dead = 1, reason = ? WHERE dead = 0 AND target = ?", (reason, target)).rowcount


def expire(db: sqlite3.Connection, before: float) -> int:
    """Gives up what was changed before a moment, some at a time; how many that were.

    Intents of that age are those of stores that nobody could ask; they go as well.
    """
    gone = db.execute("DELETE FROM intent WHERE began < ?", (before,)).rowcount
    oldest = "SELECT id, changed FROM message ORDER BY id LIMIT ?"
    last = db.execute(f"SELECT max(id) FROM ({oldest}) WHERE changed < ?", (EXPIRED_AT_ONCE, before)).fetchone()[0]  # noqa: S608 - as above
    return gone if last is None else gone + db.execute("DELETE FROM message WHERE id <= ? AND changed < ?", (last, before)).rowcount


# -- for people


def depth(db: sqlite3.Connection) -> list[Depth]:
    """How much there is for each receiver."""
    rows = db.execute("SELECT target, dead, count(*), min(changed) FROM message GROUP BY target, dead ORDER BY target, dead")
    return [Depth(target, bool(dead), messages, oldest) for target, dead, messages, oldest in rows]


def letters(db: sqlite3.Connection, *, dead: bool | None = None, target: str | None = None, limit: int = -1) -> list[Letter]:
    """Rows, the oldest first. :param target: a part of the key of their receiver is enough."""
    sql = f"SELECT {_COLUMNS}, due, dead, reason FROM message WHERE (?1 IS NULL OR dead = ?1) AND (?2 IS NULL OR instr(target, ?2))"  # noqa: S608 - columns
    rows = db.execute(sql + " ORDER BY id LIMIT ?3", (dead, target, limit))
    return [Letter(_message(row[:-3]), row[-3], bool(row[-2]), row[-1]) for row in rows]


def revive(db: sqlite3.Connection, numbers: Collection[int], target: str | None = None) -> int:
    """Sends after all what was set aside, as if it had never been tried; without numbers all of it."""
    return _each(db, "UPDATE message SET dead = 0, attempts = 0, due = 0, reason = ''", numbers, target)


def drop(db: sqlite3.Connection, numbers: Collection[int], target: str | None = None) -> int:
    """Gives up what was set aside; without numbers all of it."""
    return _each(db, "DELETE FROM message", numbers, target)


def _each(db: sqlite3.Connection, change: str, numbers: Collection[int], target: str | None) -> int:
    sql = f"{change} WHERE dead = 1 AND (?1 IS NULL OR instr(target, ?1))"
    if not numbers:
        return db.execute(sql, (target,)).rowcount
    return sum(db.execute(sql + " AND id = ?2", (target, number)).rowcount for number in numbers)
