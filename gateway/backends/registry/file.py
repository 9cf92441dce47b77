"""The file of a registry, shared by all workers of a gateway.

1. What was answered is durable: WAL with synchronous=FULL, one short transaction a change.
2. Every change moves a counter in shared memory, before and after: workers keep what they looked up as long as it stands still.

Everything here blocks for a disk, apart from `version`: call it in a thread.
"""

from __future__ import annotations

import mmap
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from gateway.errors import Conflict, StoreUnavailable

VERSION = 2
"""Of the schema."""

PATIENCE = 10.0
"""Seconds that a change waits for those of other workers."""

_COUNTER = 8

_SCHEMA = """
CREATE TABLE dataset (name TEXT PRIMARY KEY, parent TEXT NOT NULL, fields BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_parent ON dataset (parent, name);
CREATE TABLE store (
    name TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES dataset ON DELETE CASCADE, folder TEXT NOT NULL UNIQUE, fields BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX store_parent ON store (parent, name);
CREATE TABLE operation (
    number INTEGER PRIMARY KEY, parent TEXT NOT NULL, method TEXT NOT NULL, target TEXT NOT NULL, created REAL NOT NULL, ended REAL,
    success INTEGER NOT NULL DEFAULT 0, failure INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0,
    response BLOB NOT NULL DEFAULT x'7B7D', response_type TEXT NOT NULL DEFAULT 'google.protobuf.Empty', error BLOB,
    cancelled INTEGER NOT NULL DEFAULT 0, owner INTEGER NOT NULL DEFAULT 0, reached TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE storage_class (
    store TEXT NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL, sop TEXT NOT NULL, class TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (store, study, series, sop)
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_parent ON operation (parent, number);
CREATE INDEX operation_open ON operation (ended) WHERE ended IS NULL;
"""

_STEPS = {
    1: (
        "ALTER TABLE operation ADD COLUMN reached TEXT NOT NULL DEFAULT ''",
        """
UPDATE operation SET target = json_object(
    'kind', 'delete', 'store', target ->> 0, 'about', json_object('study', target ->> 1, 'series', target ->> 2)
) WHERE target <> '' """,
    )
}
"""From an older version of the schema to this one. Of version 1 deletions were the only kind of work."""

Row = tuple[Any, ...]


class File:
    """:param folder: holds its files; made when missing.

    :raises StoreUnavailable: when a newer version of the gateway wrote it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._lock = Lock()
        self._db = sqlite3.connect(folder / "registry.sqlite", timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        self._counter = _counter(folder / "registry.counter")
        try:
            # Changes of metadata stand in it while they are made: what is forgotten is overwritten.
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._migrate()
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        with self.change() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StoreUnavailable("the registry of datasets was written by a newer version of the gateway")
            if version == VERSION:
                return
            for statement in _SCHEMA.split(";\n") if version == 0 else _STEPS[version]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version={VERSION}")

    @property
    def version(self) -> int:
        """Changes with every change, in whichever worker. Does not block."""
        return int.from_bytes(self._counter[:_COUNTER], "little")

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes; all of it happens, or nothing."""
        with self._lock:
            self._move()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            self._move()

    def _move(self) -> None:
        self._counter[:_COUNTER] = secrets.token_bytes(_COUNTER)  # not the next number: two workers may be at it

    def one(self, sql: str, *values: str | int) -> Row | None:
        """The first row."""
        with self._lock:
            row: Row | None = self._db.execute(sql, values).fetchone()
            return row

    def all(self, sql: str, *values: str | int) -> Sequence[Row]:
        """All rows."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()
            self._counter.close()


def _counter(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if os.fstat(descriptor).st_size < _COUNTER:
            os.ftruncate(descriptor, _COUNTER)
        return mmap.mmap(descriptor, _COUNTER)
    finally:
        os.close(descriptor)


def insert(db: sqlite3.Connection, sql: str, row: Row, what: str) -> None:
    """:raises Conflict: when it is there."""
    try:
        db.execute(sql, row)
    except sqlite3.IntegrityError:
        raise Conflict(f"already exists: a {what} of that name") from None
