"""The list of the disk tier's files: which was used when, and how much all of them take. Blocks: called in one thread.

A file has its row from before its first byte on, and loses it only after it is gone. So the rows never say less than the disk
holds, whoever is killed when; what was begun and never finished goes as the oldest does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON files (used);
CREATE TABLE IF NOT EXISTS sums (kind TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS came AFTER INSERT ON files BEGIN
    INSERT INTO sums VALUES (new.kind, new.size) ON CONFLICT (kind) DO UPDATE SET size = size + new.size;
END;
CREATE TRIGGER IF NOT EXISTS went AFTER DELETE ON files BEGIN
    UPDATE sums SET size = size - old.size WHERE kind = old.kind;
END;
"""

BUSY = 5.0
"""Seconds to wait for another worker; its transactions take a millisecond."""

SOME = 16
"""Files that are looked up at once to make room."""


class Index:
    """:param bound: bytes that all files take together.
    :param remove: takes a file off the disk; one that is gone already is no error.
    """

    def __init__(self, path: Path, bound: int, remove: Callable[[str], None]) -> None:
        self._bound = bound
        self._remove = remove
        self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        # Nothing here is worth an fsync: after a power cut the tier starts empty.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def claim(self, name: str, kind: str, size: int, used: float) -> int | None:
        """Makes room for a file, or for more of it; returns how many others had to go, None where it does not fit."""
        if size > self._bound:
            return None
        with closing(self._db.cursor()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                db.execute("DELETE FROM files WHERE name = ?", (name,))
                gone = self._make_room(db, size)
                db.execute("INSERT INTO files VALUES (?, ?, ?, ?)", (name, kind, size, used))
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        return gone

    def _make_room(self, db: sqlite3.Cursor, size: int) -> int:
        gone = 0
        while self._taken(db) + size > self._bound:
            oldest = db.execute("SELECT name FROM files ORDER BY used LIMIT ?", (SOME,)).fetchall()
            if not oldest:
                db.execute("DELETE FROM sums")
            for (name,) in oldest:
                self._remove(name)
                db.execute("DELETE FROM files WHERE name = ?", (name,))
                gone += 1
                if self._taken(db) + size <= self._bound:
                    break
        return gone

    def _taken(self, db: sqlite3.Cursor) -> int:
        return int(db.execute("SELECT total(size) FROM sums").fetchone()[0])

    def finish(self, part: str, name: str, size: int, rename: Callable[[], None]) -> None:
        """A file that was begun is whole and takes its name; an older one of that name is replaced.

        :raises FileNotFoundError: when it had to make room for others meanwhile.
        """
        with closing(self._db.cursor()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                rename()
                db.execute("DELETE FROM files WHERE name = ?", (name,))
                db.execute("INSERT INTO files SELECT ?, kind, ?, used FROM files WHERE name = ?", (name, size, part))
                db.execute("DELETE FROM files WHERE name = ?", (part,))
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def drop(self, name: str) -> None:
        """Takes a file away."""
        self._remove(name)
        self._db.execute("DELETE FROM files WHERE name = ?", (name,))

    def touch(self, used: Iterable[tuple[float, str]]) -> None:
        """Files that were used, each with the time of it."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("UPDATE files SET used = max(used, ?) WHERE name = ?", used)
        self._db.execute("COMMIT")

    def sums(self) -> dict[str, int]:
        """Bytes by kind."""
        return dict(self._db.execute("SELECT kind, size FROM sums"))

    def close(self) -> None:
        """Safe to call twice."""
        self._db.close()
