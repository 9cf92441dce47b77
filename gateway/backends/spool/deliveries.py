"""The rows of what has to be delivered, and every statement about them. Each function runs where its caller says: reads on any
connection, changes inside a write transaction.

A row is an instance and a destination. The instance rests in the spool as long as it has a row:

    ('' )        ->  a row for each destination        routed
    due = 0      ->  sent = 1                          about to be sent: the destination may have it from now on
                 ->  sent = 2                          likewise, and it has something under the same UIDs already (`PRECEDED`)
    sent         ->  gone                              the destination named it stored, and returns it
                 ->  due = later, attempts + 1         it did not; why is in `reason`
                 ->  dead = 1                          it never will: stays readable until somebody says `retry` or `drop`

With its last row an instance departs: it leaves nothing behind that would say it was deleted, only what tells another version
of it (`delivered`), for the last `KNOWN` instances.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.backends.local.prepared import Prepared
from gateway.backends.local.store import LocalStore
from gateway.dicom.header import Instance
from gateway.dicomweb.resources import Resource

UNDECIDED = ""
"""The destination of an instance of which nobody has found out yet where it goes."""

KNOWN = 1_000_000
"""Delivered instances that can be told from other versions: some 200 MiB of index at most."""

PRECEDED = 2
"""`sent` where the destination had something under the same UIDs before this was first sent: an older version, unless it is equal."""

REASON = 300
"""Characters of a reason that are kept."""


class Parcel(NamedTuple):
    """An instance on its way to one destination.

    :param attempts: deliveries of it that failed. :param tried: whether it was in one that failed, through its fault or not.
    :param sent: whether the destination may have it. :param preceded: whether it had something under the same UIDs before.
    """

    generation: int
    attempts: int
    tried: bool
    instance: Instance
    sent: bool = False
    preceded: bool = False


class Failure(NamedTuple):
    """:param due: when it is tried again, seconds since the epoch. :param dead: whether it never is.
    :param counts: whether it may be the instance's fault.
    """

    generation: int
    reason: str
    due: float
    dead: bool
    counts: bool = True


class Depth(NamedTuple):
    """What waits for one destination. :param oldest: when the first of it came, seconds since the epoch."""

    destination: str
    dead: bool
    instances: int
    oldest: float


class Letter(NamedTuple):
    """A row, for people. Times in seconds since the epoch. :param attempts: deliveries that failed. :param reason: why the last one did."""

    generation: int
    destination: str
    study: str
    sop: str
    since: float
    due: float
    attempts: int
    dead: bool
    reason: str


_LETTER = """SELECT d.generation, d.destination, s.uid, i.uid, d.since, d.due, d.attempts, d.dead, d.reason FROM delivery d
    JOIN instance i ON i.generation = d.generation JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study WHERE"""

_PARCEL = """SELECT d.generation, d.attempts, d.due > 0, s.uid, e.uid, i.uid, i.sop_class, i.syntax, d.sent FROM delivery d
    JOIN instance i ON i.generation = d.generation JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
    WHERE d.destination = ? AND d.dead = 0 AND """


def _parcels(rows: Iterable[Sequence[str | int]]) -> list[Parcel]:
    return [
        Parcel(int(row[0]), int(row[1]), bool(row[2]), Instance(*map(str, row[3:-1])), bool(row[-1]), row[-1] == PRECEDED) for row in rows
    ]


# -- coming in


def add(db: sqlite3.Connection, generation: int, destinations: Iterable[str], now: float) -> None:
    """An instance has to go to these."""
    db.executemany(
        "INSERT OR IGNORE INTO delivery (generation, destination, since) VALUES (?, ?, ?)", [(generation, one, now) for one in destinations]
    )


def undecided(db: sqlite3.Connection, limit: int) -> list[int]:
    """Generations that have to be routed."""
    rows = db.execute("SELECT generation FROM delivery WHERE destination = ? AND dead = 0 ORDER BY generation LIMIT ?", (UNDECIDED, limit))
    return [generation for (generation,) in rows]


def decide(db: sqlite3.Connection, routed: Mapping[int, Iterable[str]]) -> None:
    """Where instances go; what was deleted meanwhile goes nowhere."""
    for generation, destinations in routed.items():
        row = db.execute("SELECT since FROM delivery WHERE generation = ? AND destination = ?", (generation, UNDECIDED)).fetchone()
        if row is not None:
            add(db, generation, destinations, row[0])
            db.execute("DELETE FROM delivery WHERE generation = ? AND destination = ?", (generation, UNDECIDED))


def reopen(db: sqlite3.Connection, destinations: Collection[str]) -> None:
    """Lets everything be routed anew whose destination the settings do not know any more, and what has no row at all, as after
    `rebuild-index`: a spool holds nothing that has arrived."""
    now = time.time()
    unknown = {name for (name,) in db.execute("SELECT DISTINCT destination FROM delivery")} - {*destinations, UNDECIDED}
    for name in unknown:
        db.execute(
            """INSERT OR IGNORE INTO delivery (generation, destination, since)
            SELECT generation, ?, since FROM delivery WHERE destination = ?""",
            (UNDECIDED, name),
        )
        db.execute("DELETE FROM delivery WHERE destination = ?", (name,))
    db.execute(
        "INSERT INTO delivery (generation, destination, since) SELECT generation, ?, ? FROM instance"
        " WHERE generation NOT IN (SELECT generation FROM delivery)",
        (UNDECIDED, now),
    )


# -- going out


def fresh(db: sqlite3.Connection, destination: str, limit: int) -> list[Parcel]:
    """What was never sent, in the order in which it came, of one study."""
    found = _parcels(db.execute(f"{_PARCEL} d.due = 0 ORDER BY d.generation LIMIT ?", (destination, limit)))
    return [parcel for parcel in found if parcel.instance.study == found[0].instance.study]


def overdue(db: sqlite3.Connection, destination: str, now: float, longest: float) -> list[Parcel]:
    """The one that waits the longest for another try: those that failed go alone, and harm no others.

    :param longest: seconds that anything waits. What is due later than that got its time from a clock that was wrong.
    """
    return _parcels(
        db.execute(f"{_PARCEL} (d.due > 0 AND d.due <= ? OR d.due > ?) ORDER BY d.due LIMIT 1", (destination, now, now + longest))
    )


def send(db: sqlite3.Connection, destination: str, generations: Sequence[int], preceded: Collection[int] = ()) -> dict[int, bool]:
    """Notes that instances are about to be sent.

    :param preceded: those of them that were never sent, and under whose UIDs the destination has something. What was delivered
        before is known as well: another version is `PRECEDED`, though it is not found there yet; an equal one is not.
    :returns: which of them still have to be sent, and whether they are `PRECEDED`.
    """
    marks = ",".join("?" * len(generations))
    equal = {one: _equals_delivered(db, one) for one in generations}
    older = {one for one in generations if equal[one] is False or (equal[one] is None and one in preceded)}
    db.executemany(
        "UPDATE delivery SET sent = max(sent, ?) WHERE destination = ? AND generation = ?",
        [(PRECEDED if one in older else 1, destination, one) for one in generations],
    )
    rows = db.execute(
        f"SELECT generation, sent FROM delivery WHERE destination = ? AND generation IN ({marks})",  # noqa: S608 - question marks only
        (destination, *generations),
    )
    return {generation: sent == PRECEDED for generation, sent in rows}


def _equals_delivered(db: sqlite3.Connection, generation: int) -> bool | None:
    """Whether the last version that was delivered has the same bytes; None where none is known."""
    known = """SELECT d.size = i.size AND d.checksum = i.checksum FROM instance i JOIN series e ON e.id = i.series
        JOIN study s ON s.id = e.study JOIN delivered d ON d.study = s.uid AND d.series = e.uid AND d.instance = i.uid
        WHERE i.generation = ?"""
    row = db.execute(known, (generation,)).fetchone()
    return None if row is None else bool(row[0])


def settle(db: sqlite3.Connection, local: LocalStore, destination: str, arrived: Sequence[int], failed: Iterable[Failure]) -> None:
    """What became of a batch. An instance that has arrived everywhere departs."""
    db.executemany("DELETE FROM delivery WHERE destination = ? AND generation = ?", [(destination, one) for one in arrived])
    db.executemany(
        "UPDATE delivery SET attempts = attempts + ?, reason = ?, due = ?, dead = ? WHERE destination = ? AND generation = ?",
        [(one.counts, one.reason[:REASON], one.due, one.dead, destination, one.generation) for one in failed],
    )
    departing = [one for one in arrived if not _has_rows(db, one)]
    if departing:
        depart(db, local, departing)


def depart(db: sqlite3.Connection, local: LocalStore, generations: Sequence[int]) -> None:
    """Instances leave the spool; they are known as delivered."""
    db.executemany(
        """INSERT OR REPLACE INTO delivered SELECT i.generation, s.uid, e.uid, i.uid, i.size, i.checksum
        FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study WHERE i.generation = ?""",
        [(one,) for one in generations],
    )
    db.execute("DELETE FROM delivered WHERE generation <= ?", (max(generations) - KNOWN,))
    _leave(db, local, generations)


def _leave(db: sqlite3.Connection, local: LocalStore, generations: Sequence[int]) -> None:
    local.depart(db, generations)
    db.execute("UPDATE meta SET value = value + 1 WHERE key = 'departures'")


# -- deletes


def withdrawals(db: sqlite3.Connection, destination: str, limit: int) -> list[Resource]:
    """Instances that were deleted while they were on their way there."""
    rows = db.execute("SELECT study, series, instance FROM withdrawal WHERE destination = ? LIMIT ?", (destination, limit))
    return [Resource(*row) for row in rows]


def withdrawn(db: sqlite3.Connection, destination: str, instances: Iterable[Resource]) -> None:
    """They are gone there as well."""
    db.executemany(
        "DELETE FROM withdrawal WHERE destination = ? AND study = ? AND series = ? AND instance = ?",
        [(destination, one.study, one.series, one.instance) for one in instances],
    )


def is_withdrawing(db: sqlite3.Connection, resource: Resource) -> bool:
    """Whether anything of a resource still has to be taken back."""
    where, values = _where(resource)
    return db.execute(f"SELECT 1 FROM withdrawal WHERE {where} LIMIT 1", values).fetchone() is not None  # noqa: S608 - constants only


def forget(db: sqlite3.Connection, resource: Resource) -> None:
    """What was deleted may come back in any version."""
    where, values = _where(resource)
    db.execute(f"DELETE FROM delivered WHERE {where}", values)  # noqa: S608 - constants only


def _where(resource: Resource) -> tuple[str, list[str]]:
    named = [("study", resource.study), ("series", resource.series), ("instance", resource.instance)]
    given = [(column, uid) for column, uid in named if uid is not None]
    return " AND ".join(f"{column} = ?" for column, _ in given), [uid for _, uid in given]


def delivered(db: sqlite3.Connection, instance: Instance) -> tuple[int, bytes] | None:
    """Size and checksum of an instance that was delivered; None where that is not known."""
    row: tuple[int, bytes] | None = db.execute(
        "SELECT size, checksum FROM delivered WHERE study = ? AND series = ? AND instance = ?",
        (instance.study, instance.series, instance.sop),
    ).fetchone()
    return row


def other_versions(db: sqlite3.Connection, prepared: Sequence[Prepared]) -> list[Instance]:
    """Those of which another version was delivered."""
    return [one.instance for one in prepared if (known := delivered(db, one.instance)) is not None and known != (one.size, one.checksum)]


# -- looking


def state(db: sqlite3.Connection) -> tuple[bool, int]:
    """Whether anything is in the spool, and how often something has departed."""
    waiting = db.execute("SELECT 1 FROM instance LIMIT 1").fetchone() is not None
    return waiting, db.execute("SELECT value FROM meta WHERE key = 'departures'").fetchone()[0]


def is_here(db: sqlite3.Connection, resource: Resource) -> bool:
    """Whether anything of a resource is in the spool."""
    sql, values = (
        "SELECT 1 FROM study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id WHERE s.uid = ?",
        [resource.study],
    )
    for column, uid in (("e.uid", resource.series), ("i.uid", resource.instance)):
        if uid is not None:
            sql += f" AND {column} = ?"
            values.append(uid)
    return db.execute(f"{sql} LIMIT 1", values).fetchone() is not None


def depth(db: sqlite3.Connection) -> list[Depth]:
    """What waits, by destination."""
    rows = db.execute("SELECT destination, dead, count(*), min(since) FROM delivery GROUP BY destination, dead")
    return [Depth(name, bool(dead), count, oldest) for name, dead, count, oldest in rows]


def letters(
    db: sqlite3.Connection, *, dead: bool | None = None, uids: Collection[str] = (), destination: str | None = None, limit: int = -1
) -> list[Letter]:
    """The rows for people, the oldest first.

    :param dead: only those that were set aside, or only those that were not.
    :param uids: only those of these studies, series and instances.
    :param limit: how many at most, -1 for all.
    """
    where, values = ["1"], list[str | int]()
    if dead is not None:
        where, values = [*where, "d.dead = ?"], [*values, int(dead)]
    if destination is not None:
        where, values = [*where, "d.destination = ?"], [*values, destination]
    if uids:
        marks = ",".join("?" * len(uids))
        where.append(" OR ".join(f"{column} IN ({marks})" for column in ("s.uid", "e.uid", "i.uid")).join("()"))
        values += [*uids] * 3
    rows = db.execute(f"{_LETTER} {' AND '.join(where)} ORDER BY d.generation, d.destination LIMIT ?", (*values, limit))
    return [Letter(*row) for row in rows]


def revive(db: sqlite3.Connection, generation: int, destination: str | None = None) -> int:
    """Lets a dead letter be tried again as if for the first time, to one destination or to all; how many rows that were."""
    only, values = ("", ()) if destination is None else (" AND destination = ?", (destination,))
    return db.execute(
        f"UPDATE delivery SET dead = 0, attempts = 0, due = 1, reason = '' WHERE dead = 1 AND generation = ?{only}",  # noqa: S608 - constants only
        (generation, *values),
    ).rowcount


def drop(db: sqlite3.Connection, local: LocalStore, letters: Sequence[Letter]) -> int:
    """Gives dead letters up; how many. Instances that have to go nowhere else leave the spool: if they arrived nowhere, they are
    lost."""
    count = sum(
        db.execute("DELETE FROM delivery WHERE generation = ? AND destination = ? AND dead = 1", (one.generation, one.destination)).rowcount
        for one in letters
    )
    bare = [one for one in {letter.generation for letter in letters} if not _has_rows(db, one)]
    if bare:
        _leave(db, local, bare)
    return count


def _has_rows(db: sqlite3.Connection, generation: int) -> bool:
    return db.execute("SELECT 1 FROM delivery WHERE generation = ?", (generation,)).fetchone() is not None
