"""The file in which notifications wait, shared by all workers of a gateway.

1. It is made when there is first something to keep; a gateway whose stores tell nobody has none.
2. What was written down is durable: WAL with synchronous=FULL. One thread a process writes; whatever waits when it comes
   round shares one transaction and one sync.
3. Work that fails in company is done again by itself, so that it costs its neighbours nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gateway.backends.notifying import rows
from gateway.backends.sqlite import transaction
from gateway.errors import Busy, GatewayError, OutOfStorage, StoreUnavailable

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]

FILE = "outbox.sqlite"

GROUP = 256
"""Pieces of work that share a transaction at most: it bounds how long the file is locked for other workers."""

PATIENCE = 10.0
"""Seconds that a transaction waits for those of other workers."""


class _Job(NamedTuple):
    work: Work[Any]
    done: Callable[[Any, BaseException | None], None]


class Outbox:
    """:param folder: of the file; made when something is first written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._closed = False

    @property
    def exists(self) -> bool:
        """Whether anything was ever written. Blocks."""
        return (self.folder / FILE).exists()

    @property
    def begun(self) -> bool:
        """Whether this process has written."""
        return self._thread is not None

    def run(self, work: Work[T]) -> asyncio.Future[T]:
        """What `work` does in a transaction; resolved when that is durable.

        :raises StoreUnavailable: the file cannot be written. :raises OutOfStorage: its disk is full.
        """
        if self._closed:
            raise StoreUnavailable("the outbox of notifications is closing")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, partial(_tell, loop, future)))
        return future

    async def read(self, work: Work[T]) -> T:
        """What `work` reads, in a thread.

        :raises StoreUnavailable: the file cannot be read.
        """
        return await asyncio.to_thread(self._read, work)

    def _read(self, work: Work[T]) -> T:
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = connect(self.folder)
                return work(self._reader)
            except sqlite3.Error as error:
                raise _ours(error) from error

    async def aclose(self) -> None:
        """Ends after what was handed over before."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
        with self._reading:
            if self._reader is not None:
                await asyncio.to_thread(self._reader.close)

    # -- in the thread

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        try:
            while (group := self._group()) is not None:
                try:
                    db = db or connect(self.folder)
                except (GatewayError, sqlite3.Error, OSError) as error:
                    for job in group:
                        job.done(None, _ours(error))
                    continue
                self._commit(db, group)
        finally:
            if db is not None:
                db.close()

    def _group(self) -> list[_Job] | None:
        """The next work and what waits behind it; None at the end."""
        job = self._jobs.get()
        if job is None:
            return None
        group = [job]
        while len(group) < GROUP:
            try:
                more = self._jobs.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._jobs.put(None)  # nothing comes behind the end, which is met again next time
                break
            group.append(more)
        return group

    def _commit(self, db: sqlite3.Connection, group: list[_Job]) -> None:
        try:
            results = transaction(db, lambda db: [job.work(db) for job in group])
        except Exception as error:
            if len(group) > 1:
                for job in group:
                    self._commit(db, [job])
            else:
                group[0].done(None, _ours(error))
            return
        for job, result in zip(group, results, strict=True):
            job.done(result, None)


def connect(folder: Path) -> sqlite3.Connection:
    """The file, made when it is not there. Blocks.

    :raises StoreUnavailable: when a newer version of the gateway wrote it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    with _alone(folder):
        db = sqlite3.connect(folder / FILE, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                db.execute(f"PRAGMA {pragma}")
            if _version(db) != rows.VERSION:
                transaction(db, _migrate)
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: SQLite waits for nobody while it turns a new file into one with a log."""
    lock = os.open(folder / "open.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _migrate(db: sqlite3.Connection) -> None:
    if _version(db) > rows.VERSION:
        raise StoreUnavailable("the outbox of notifications was written by a newer version of the gateway")
    rows.make(db)


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _ours(error: Exception) -> Exception:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return OutOfStorage("the disk of the outbox of notifications is full")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Busy("another program keeps the outbox of notifications locked")
        return StoreUnavailable(f"the outbox of notifications failed: {getattr(error, 'sqlite_errorname', type(error).__name__)}")
    if isinstance(error, OSError):
        return StoreUnavailable(f"the outbox of notifications cannot be opened: {error.strerror}")
    return error


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    def resolve() -> None:
        if future.done():  # nobody waits any more
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    loop.call_soon_threadsafe(resolve)
