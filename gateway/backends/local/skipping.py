"""Where a page of everything begins: found by what blocks of studies hold, not by passing over all that comes before."""

from __future__ import annotations

import sqlite3

from gateway.backends.local.schema import BLOCK_BITS
from gateway.dicomweb.resources import Level

_HELD: dict[Level, str] = {"study": "1", "series": "series_count", "instance": "instance_count"}
"""How many rows of a level a study has."""


def total(db: sqlite3.Connection, level: Level) -> int:
    """How many studies, series or instances there are."""
    found: int = db.execute(f"SELECT coalesce(sum({level}), 0) FROM block").fetchone()[0]  # noqa: S608 - built of constants only
    return found


def begin(db: sqlite3.Connection, level: Level, offset: int) -> tuple[int, int]:
    """The study with which a page begins, and how many rows from it on come before the page.

    Takes time by the number of blocks, and of studies in one. Behind the end it is the last study of all.
    """
    if offset < 1 << BLOCK_BITS:  # to pass over so many takes no longer than to look where they end
        return 0, offset
    block, left = _passed(db.execute(f"SELECT id, {level} FROM block ORDER BY id"), offset)  # noqa: S608 - built of constants only
    first = block << BLOCK_BITS
    if level == "study" or not left:
        return first, left
    held = db.execute(
        f"SELECT id, {_HELD[level]} FROM study WHERE id >= ? AND id < ? ORDER BY id",  # noqa: S608 - built of constants only
        (first, first + (1 << BLOCK_BITS)),
    )
    return _passed(held, left)


def _passed(rows: sqlite3.Cursor, offset: int) -> tuple[int, int]:
    """The last row that begins at the offset or before it, and how far into it that is."""
    at, before, here = 0, 0, 0
    for key, count in rows:
        if here > offset:
            break
        at, before = key, here
        here += count
    return at, offset - before
