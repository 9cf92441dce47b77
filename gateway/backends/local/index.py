"""Reading the index: which blobs a resource means, and what was kept of them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from gateway import metrics
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound

T = TypeVar("T")


class Row(NamedTuple):
    """One stored instance; offsets and sizes in bytes, `pixel_*` None where it has no pixel data."""

    generation: int
    study: str
    series: str
    sop: str
    sop_class: str
    syntax: str
    size: int
    stored_at: float
    pixel_tag: int | None
    pixel_start: int | None
    pixel_end: int | None

    @property
    def resource(self) -> Resource:
        """What it is called."""
        return Resource(self.study, self.series, self.sop)


_ROWS = """SELECT i.generation, s.uid, e.uid, i.uid, i.sop_class, i.syntax, i.size, i.stored_at, i.pixel_tag, i.pixel_start, i.pixel_end
    FROM study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id WHERE """

PARAMETERS = 500
"""Values in one statement; SQLite takes 999 at the least."""


def instances(db: sqlite3.Connection, resource: Resource) -> list[Row]:
    """The instances of a resource in the order in which they were stored.

    :raises NotFound: never stored here. :raises Gone: deleted.
    """
    sql, values = _ROWS + "s.uid = ?", [resource.study]
    for column, uid in (("e.uid", resource.series), ("i.uid", resource.instance)):
        if uid is not None:
            sql += f" AND {column} = ?"
            values.append(uid)
    if resource.instance is None:
        sql += " ORDER BY e.id, i.generation"
    rows = [Row._make(row) for row in db.execute(sql, values)]
    if not rows:
        raise missing(db, resource)
    return rows


def rows_of(db: sqlite3.Connection, generations: Sequence[int]) -> list[Row]:
    """The instances with these generations, without those that have gone; in no order."""
    found: list[Row] = []
    for start in range(0, len(generations), PARAMETERS):
        some = generations[start : start + PARAMETERS]
        found += map(Row._make, db.execute(f"{_ROWS}i.generation IN ({','.join('?' * len(some))})", some))
    return found


def missing(db: sqlite3.Connection, resource: Resource) -> NotFound | Gone:
    """Why a resource is not there: 410 when it was deleted, else 404."""
    uids = (resource.study, resource.series or "", resource.instance or "")
    if db.execute("SELECT 1 FROM deleted WHERE study = ? AND series = ? AND instance = ?", uids).fetchone():
        return Gone(f"this {resource.level} was deleted")
    return NotFound(f"there is no such {resource.level} here")


def frame_table(db: sqlite3.Connection, generation: int) -> bytes | None:
    """The serialised frame table of an instance, None where it has no pixel data.

    :raises FileNotFoundError: when the instance was replaced or deleted since it was looked up.
    """
    row: tuple[bytes | None] | None = db.execute("SELECT frames FROM instance WHERE generation = ?", (generation,)).fetchone()
    if row is None:
        raise FileNotFoundError(f"generation {generation} has gone")
    return row[0]


def kept_metadata(db: sqlite3.Connection, generations: Sequence[int]) -> dict[int, bytes]:
    """The DICOM JSON that was kept, by generation."""
    found: dict[int, bytes] = {}
    for start in range(0, len(generations), PARAMETERS):
        some = generations[start : start + PARAMETERS]
        marks = ",".join("?" * len(some))
        found.update(db.execute(f"SELECT generation, json FROM metadata WHERE generation IN ({marks})", some))  # noqa: S608 - question marks only
    return found


def keep_metadata(db: sqlite3.Connection, made: Iterable[tuple[int, bytes]]) -> None:
    """Keeps computed DICOM JSON, unless the instance has gone in the meantime."""
    db.executemany(
        "INSERT OR IGNORE INTO metadata SELECT generation, ?2 FROM instance WHERE generation = ?1",
        made,
    )


class Readers:
    """A connection a thread, opened when the thread first reads; closed together."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` on this thread's connection; blocks."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._all.append(connection)
        with metrics.INDEX_READ_SECONDS.time():
            return work(connection)

    def apart(self) -> sqlite3.Connection:
        """A connection of its own, on a snapshot that stays as it is; the caller closes it."""
        connection = self._connect()
        connection.execute("BEGIN")
        return connection

    def close(self) -> None:
        """Closes every connection; no thread may be reading."""
        for connection in self._all:
            connection.close()
        self._all.clear()
