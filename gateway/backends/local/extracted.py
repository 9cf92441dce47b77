"""Values of attributes that were searched for and have no column: kept, so that the next such search reads no headers.

Nobody knows beforehand which of four thousand attributes a hospital searches for, and headers are ten kilobytes each. So the
first search for an attribute looks through headers, and leaves behind what it saw of it, instance by instance: some forty bytes.

1. What is kept is a fact about the bytes of one generation, so it never gets stale: it only goes with the instance, or when
   documents are written differently (`dicom.metadata.MODEL`).
2. An instance of which nothing is kept was not looked at. There is no other record of how far a search came, so nothing is
   lost when one is cut off, when a batch is dropped, or when two processes look at once.
3. It is written by the store's one writer in batches that nobody waits for; a store in which nobody searches like this has none.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

MOST_TAGS = 32
"""Attributes of which values are kept; the one that was not searched for the longest goes. Each costs some ten MiB in an index of
200,000 instances (of 2.5 GiB), and a step in the deletion of an instance."""

LARGEST = 512
"""Bytes of a value that is kept. Nobody searches by more than the text of a few values; what is longer is mostly a sequence of
functional groups, and stays in its header."""

LARGE = b"+"
"""In place of a value that is not kept: its header has to be read."""

BATCH = 5000
"""Values in one transaction, a few ten milliseconds: stores wait no longer for it than for each other's."""

WORTH = 500
"""Headers that a search must have read for it to leave anything behind: fewer are read again in the time that a write takes."""

FRESH_SECONDS = 3600.0
"""How exactly it is known when an attribute was last searched for: a search is to write nothing."""

Value = tuple[int, int, bytes]
"""Tag, generation, and the attribute's JSON object, `cutting.ABSENT` or `LARGE`."""


def kept_tags(db: sqlite3.Connection) -> dict[int, float]:
    """The attributes of which values are kept, and about when each was last searched for, in seconds since the epoch."""
    return dict(db.execute("SELECT tag, used FROM extracted_tag WHERE used > 0").fetchall())


def keep(db: sqlite3.Connection, values: Sequence[Value]) -> None:
    """Keeps values, but for those of instances that have gone meanwhile; within a write transaction."""
    use(db, {tag for tag, _, _ in values})
    db.executemany("INSERT OR IGNORE INTO extracted SELECT ?1, generation, ?3 FROM instance WHERE generation = ?2", values)
    _sweep(db)


def use(db: sqlite3.Connection, tags: Collection[int]) -> None:
    """Notes that attributes were searched for, and gives up those that were not for long; within a write transaction."""
    now = time.time()
    db.executemany(
        "INSERT INTO extracted_tag VALUES (?, ?) ON CONFLICT (tag) DO UPDATE SET used = excluded.used", [(tag, now) for tag in tags]
    )
    db.execute(
        "UPDATE extracted_tag SET used = 0 WHERE tag NOT IN (SELECT tag FROM extracted_tag ORDER BY used DESC LIMIT ?)", (MOST_TAGS,)
    )


def _sweep(db: sqlite3.Connection) -> None:
    """Removes values of what was given up, no more than come in with one batch. Until none is left the attribute stays known, so
    that `forget` finds them."""
    for (tag,) in db.execute("SELECT tag FROM extracted_tag WHERE used = 0 LIMIT 1").fetchall():
        some = "SELECT generation FROM extracted WHERE tag = ?1 LIMIT ?2"
        gone = db.execute(f"DELETE FROM extracted WHERE tag = ?1 AND generation IN ({some})", (tag, BATCH))  # noqa: S608 - a constant
        if gone.rowcount < BATCH:
            db.execute("DELETE FROM extracted_tag WHERE tag = ?", (tag,))


def forget(db: sqlite3.Connection, generation: int) -> None:
    """Removes all that is kept of an instance."""
    db.execute("DELETE FROM extracted WHERE tag IN (SELECT tag FROM extracted_tag) AND generation = ?", (generation,))


def forget_all(db: sqlite3.Connection) -> None:
    """Removes everything: it was cut out of documents that are written differently now."""
    db.execute("DELETE FROM extracted")
    db.execute("DELETE FROM extracted_tag")


class Keeper:
    """What one search leaves behind. Used by one thread at a time.

    :param post: `Writer.post`.
    """

    def __init__(self, post: Callable[[Callable[[sqlite3.Connection], Any]], None]) -> None:
        self._post = post
        self._values: dict[tuple[int, int], bytes] = {}
        self._worth = False

    def add(self, tag: int, generation: int, value: bytes) -> None:
        """A value that was cut out of a header."""
        self._values[tag, generation] = value if len(value) <= LARGEST else LARGE
        if len(self._values) >= BATCH:
            self._hand_over()

    def finish(self, used: dict[int, float]) -> None:
        """Hands over what is left.

        :param used: what the search found kept, and when that was last said to be searched for.
        """
        if self._values and (self._worth or len(self._values) >= WORTH):
            self._hand_over()
        elif old := [tag for tag, when in used.items() if when < time.time() - FRESH_SECONDS]:
            self._post(partial(use, tags=old))

    def _hand_over(self) -> None:
        values = sorted((tag, generation, value) for (tag, generation), value in self._values.items())
        self._values, self._worth = {}, True
        self._post(partial(keep, values=values))
