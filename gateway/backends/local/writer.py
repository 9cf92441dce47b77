"""The one thread of a process that writes to the index, and its group commit.

Requests hand over what they have received; whatever is waiting when the thread comes round shares one lock, one folder
sync and one transaction. Nobody waits for a timer: while one commit syncs, the next one gathers.

A commit, in this order (200 means durable):
1. the data of each file was synced by the thread that received it;
2. the store's write lock, then BEGIN IMMEDIATE;
3. duplicates are decided, rows inserted, files renamed to their generations, folders synced;
4. COMMIT (SQLite syncs its log), then the lock is given back and the callers answer.

A commit that fails renames its files back. Dying before 4 leaves renamed files without rows; `repair` sweeps them.
A failed sync is never tried again: the kernel may have dropped the pages that it could not write. The writer refuses work
from then on, and reads go on.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from gateway import metrics
from gateway.backends.local import transactions
from gateway.backends.local.files import Files, storage_error
from gateway.backends.local.outgoing import Beside
from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.local.transactions import Reread
from gateway.backends.policy import OnDuplicate
from gateway.backends.sqlite import transaction
from gateway.errors import Busy, GatewayError, OutOfStorage, StoreUnavailable

T = TypeVar("T")

GROUP = 512
"""Instances that one transaction takes at most: it bounds how long the lock is held (about a tenth of a second)."""

POSTED = 64
"""Pieces of work that nobody waits for which may wait; no more are taken then, and half of them are enough to begin."""

GATHER = 0.05
"""Seconds that such work waits for more of its kind: a commit of its own costs more than what most of it writes."""


@dataclass(slots=True)
class _Job:
    """Work and whom to tell. `prepared` is None for work that is not a store and runs in a transaction of its own."""

    prepared: Sequence[Prepared] | None
    work: Callable[[sqlite3.Connection], Any] | None
    done: Callable[[Any, BaseException | None], None]


_POSTED = _Job(None, lambda _: None, lambda result, error: None)
"""Says that there is work that nobody waits for."""


class Writer:
    """:param connect: opens the connection that only this thread uses.
    :param reread: the index attributes of a stored generation, for a study whose first instance goes.
    :param first: what every transaction begins with.
    """

    def __init__(
        self,
        files: Files,
        connect: Callable[[], sqlite3.Connection],
        policy: OnDuplicate,
        reread: Reread,
        first: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._files = files
        self.policy = policy
        self._reread = reread
        self._first = first
        self.beside: Beside | None = None
        """Who has a word in the commits."""
        self._closed = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._posted: list[Callable[[sqlite3.Connection], Any]] = []
        self._posting = threading.Lock()
        self._due: float | None = None  # when what was posted has waited for long enough; the thread's own
        self._db = connect()
        self.broken: str | None = None
        """Why no more is written, None as long as all is well."""
        self._thread = threading.Thread(target=self._run, name="index-writer", daemon=True)
        self._thread.start()

    async def commit(self, prepared: Sequence[Prepared]) -> list[Outcome]:
        """Makes received instances durable and visible, together with those of other requests.

        :raises StoreUnavailable: the store takes no writes. :raises Busy: it will again in a moment.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(prepared), GROUP):
            some = prepared[start : start + GROUP]
            try:
                outcomes += await self._submit(some, None)
            except OutOfStorage:
                outcomes += [Outcome.NO_ROOM] * len(some)
        return outcomes

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` under the write lock in a transaction of its own."""
        result: T = await self._submit(None, work)
        return result

    def post(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        """Runs `work` like `run`, with nobody waiting: for what can be made again, such as kept metadata."""
        with self._posting:
            if len(self._posted) < POSTED:
                self._posted.append(work)
                if len(self._posted) in (1, POSTED // 2):
                    self._jobs.put(_POSTED)

    def _submit(self, prepared: Sequence[Prepared] | None, work: Callable[[sqlite3.Connection], Any] | None) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreUnavailable("the store is closing")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(prepared, work, partial(_tell, loop, future)))
        return future

    async def aclose(self) -> None:
        """Ends after what was handed over before."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # -- in the thread

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                if job.prepared is None:
                    self._alone(job)
                elif not self._grouped(job):
                    break
            self._do_posted()
        finally:
            self._db.close()

    def _next(self) -> _Job | None:
        """The next job that somebody waits for. What was posted is done when it has waited for long enough, or is much."""
        while True:
            if self._due is not None and self._due <= time.monotonic():
                self._do_posted()
            try:
                job = self._jobs.get(timeout=None if self._due is None else max(0.0, self._due - time.monotonic()))
            except queue.Empty:
                continue
            if job is not _POSTED:
                return job
            if len(self._posted) >= POSTED // 2:
                self._do_posted()
            elif self._due is None:
                self._due = time.monotonic() + GATHER

    def _do_posted(self) -> None:
        """All of it in one transaction; where that fails, each piece gets one, and what fails then can be made again."""
        self._due = None
        with self._posting:
            posted, self._posted = self._posted, []
        try:
            if posted:
                self._transaction(lambda db: [work(db) for work in posted])
        except Exception:
            for work in posted if len(posted) > 1 else ():
                with suppress(Exception):
                    self._transaction(work)

    def _grouped(self, first: _Job) -> bool:
        """Commits `first` and the stores that wait behind it; False when the end was met among them."""
        assert first.prepared is not None  # noqa: S101 - the caller looked; narrows the type
        group, size, last = [first], len(first.prepared), True
        other: _Job | None = None
        while size < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                last = False
                break
            if job.prepared is None:
                other = job
                break
            group.append(job)
            size += len(job.prepared)
        self._commit(group)
        if other is not None:
            self._alone(other)
        return last

    def _commit(self, group: list[_Job]) -> None:
        started = time.perf_counter()
        everything = [one for job in group for one in job.prepared or ()]
        try:
            outcomes = self._transaction(
                lambda db: transactions.store(db, everything, self.policy, self._files.publish, self._reread, self.beside)
            )
        except GatewayError as error:
            for job in group:
                job.done(None, error)
            return
        except Exception as error:
            if len(group) == 1:
                group[0].done(None, error)
            else:  # one odd instance must not cost its neighbours' requests
                for job in group:
                    self._commit([job])
            return
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - started)
        metrics.COMMIT_INSTANCES.observe(len(everything))
        position = 0
        for job in group:
            count = len(job.prepared or ())
            job.done(outcomes[position : position + count], None)
            position += count

    def _alone(self, job: _Job) -> None:
        self._do_posted()  # what was posted before is done before
        if job is _POSTED:
            return
        assert job.work is not None  # noqa: S101 - a job is one or the other; narrows the type
        try:
            result = self._transaction(job.work)
        except Exception as error:  # whatever it is belongs to the caller
            job.done(None, error)
        else:
            job.done(result, None)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self.broken is not None:
            raise StoreUnavailable(self.broken)
        try:
            with self._files.write_lock():
                return self._locked(work)
        except OSError as error:
            raise self._note(storage_error(error, "writing to the store")) from error
        except sqlite3.DatabaseError as error:
            if (ours := _index_error(error)) is None:
                raise
            raise self._note(ours) from error

    def _locked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def whole(db: sqlite3.Connection) -> T:
            self._first(db)
            return work(db)

        try:
            result = transaction(self._db, whole)
        except Exception as error:
            if _certain(error):
                self._files.take_back()
            self._files.keep()
            raise
        self._files.keep()
        return result

    def _note(self, error: GatewayError) -> GatewayError:
        if isinstance(error, StoreUnavailable):
            self.broken = f"the store takes no writes since {error.message}; check the disk, run `dicomweb-gateway fsck`, then restart"
        return error

    def refuse(self, error: OSError) -> GatewayError:
        """The error for a failed write of a received file; one that is not about room ends all writing."""
        return self._note(storage_error(error, "writing a received file"))


_FAILURES = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
"""What says that the database or its disk is not well."""


def _certain(error: Exception) -> bool:
    """Whether a failed transaction surely left nothing. After a failed write or sync its rows may come back, with the blobs."""
    ours = _index_error(error) if isinstance(error, sqlite3.DatabaseError) else None
    return not isinstance(ours, StoreUnavailable)


def _index_error(error: sqlite3.DatabaseError) -> GatewayError | None:
    """The error of ours, None for one that only concerns the statement."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # Python's own complaints have none
    if code == sqlite3.SQLITE_FULL:
        return OutOfStorage("the store's disk is full; free space, or give the store another folder")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy("another program keeps the index locked")
    if code in _FAILURES:
        return StoreUnavailable(f"the index failed: {error.sqlite_errorname}")
    return None


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    def settle() -> None:
        if future.done():  # the client left while its instances were being committed
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    loop.call_soon_threadsafe(settle)
