"""What a local store does besides requests: start-up repair, and unlinking blobs that nothing names any more."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gateway.backends.local import extracted, schema, transactions
from gateway.backends.local.files import Files
from gateway.backends.local.index import Readers
from gateway.backends.local.threads import Threads
from gateway.backends.local.tombstones import Tombstones
from gateway.backends.local.transactions import Reread
from gateway.backends.local.writer import GROUP, Writer
from gateway.backends.sqlite import transaction
from gateway.dicom.metadata import MODEL
from gateway.errors import GatewayError, StoreUnavailable

GRACE_SECONDS = 60.0
"""How long a deleted blob stays: a study that is being sent opens its files as it gets to them."""

COLLECT_SECONDS = 15.0
"""How often garbage is looked for."""

COLLECT_AT_ONCE = 1000
"""Blobs that one round unlinks, so that a large delete does not keep the disk busy for minutes."""


MOST_UNCOMMITTED = 2 * GROUP
"""Blobs that a crash can leave renamed but not committed: those of one transaction."""


def repair(files: Files, connect: Callable[[], sqlite3.Connection], finish: Callable[[sqlite3.Connection], None]) -> None:
    """Brings a folder into order before it is used: finishes what a crash cut off, forgets what was never acknowledged.

    :param finish: `finish_deletes` of this folder.
    :raises StoreUnavailable: when the index cannot be the one that belongs to the blobs: sweeping by it would destroy them.

    1. The index gets its tables, or the changes of a newer schema.
    2. Files that dead processes were receiving go.
    3. Deletes that are in the tombstones but not in the index are done.
    4. Blobs that were renamed but never committed go.
    5. Kept DICOM JSON, and values that were cut out of it, go when another version of its writer made it.
    """
    files.sweep_dead()
    with files.write_lock():
        db = connect()
        try:
            if not schema.version(db) and any(files.generations()):
                raise StoreUnavailable("the index is gone, its instances are not; run `dicomweb-gateway rebuild-index`")
            schema.migrate(db)
            transaction(db, finish)
            _sweep_uncommitted(files, db)
            transaction(db, _forget_old_documents)
        finally:
            db.close()


def finish_deletes(db: sqlite3.Connection, tombstones: Tombstones, reread: Reread) -> None:
    """Does the deletes that are in the tombstones but not in the index. Every transaction begins so: a delete whose commit
    failed must not come back later, and take an instance that was stored again in the meantime."""
    applied: int = db.execute("SELECT value FROM meta WHERE key = 'tombstone_bytes'").fetchone()[0]
    for tombstone, offset in tombstones.since(applied):
        transactions.delete(db, tombstone, reread, offset)


def _forget_old_documents(db: sqlite3.Connection) -> None:
    known = db.execute("SELECT value FROM meta WHERE key = 'model'").fetchone()
    if known != (MODEL,):
        db.execute("DELETE FROM metadata")
        extracted.forget_all(db)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('model', ?)", (MODEL,))


def _sweep_uncommitted(files: Files, db: sqlite3.Connection) -> None:
    """The write lock is held, so no living process is between rename and commit."""
    following: int = db.execute("SELECT value FROM meta WHERE key = 'next_generation'").fetchone()[0]
    uncommitted = [generation for generation in files.generations(first=following) if generation >= following]
    if len(uncommitted) > MOST_UNCOMMITTED:
        raise StoreUnavailable("the index is older than the instances beside it; run `dicomweb-gateway rebuild-index`")
    for generation in uncommitted:
        files.remove(generation)


async def collect(files: Files, writer: Writer, threads: Threads, readers: Readers, room: Callable[[], bool]) -> None:
    """Unlinks garbage until it is cancelled; without grace while the disk is full."""
    while True:
        await asyncio.sleep(COLLECT_SECONDS)
        if writer.broken is None:
            with suppress(GatewayError, OSError, sqlite3.Error):  # the next round tries again
                await _collect_once(files, writer, threads, readers, room)


async def _collect_once(files: Files, writer: Writer, threads: Threads, readers: Readers, room: Callable[[], bool]) -> None:
    grace = GRACE_SECONDS if await threads.run(room) else 0
    old = await threads.run(partial(readers.read, partial(_garbage, before=time.time() - grace)))
    if old:
        await threads.run(partial(_unlink, files, old))
        await writer.run(partial(_forget, generations=old))


def _garbage(db: sqlite3.Connection, before: float) -> list[int]:
    rows = db.execute("SELECT generation FROM garbage WHERE since < ? LIMIT ?", (before, COLLECT_AT_ONCE))
    return [generation for (generation,) in rows]


def _unlink(files: Files, generations: list[int]) -> None:
    for generation in generations:
        files.remove(generation)


def _forget(db: sqlite3.Connection, generations: list[int]) -> None:
    db.executemany("DELETE FROM garbage WHERE generation = ?", [(generation,) for generation in generations])
