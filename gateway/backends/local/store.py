"""The local store: files and an SQLite index as a `Backend`.

Who does what:
    receive.py       socket pieces -> synced files in incoming/          worker threads (incoming.py, finishing.py, waiting.py)
    writer.py        synced files -> durable, visible instances          one thread a process, one process at a time
    search.py        queries                                             reader threads
    retrieve.py      reads in the representation that was asked for      reader threads
    housekeeping.py  start-up repair, garbage                            reader threads, writer thread
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.backends.base import Body, Failed, Health, Matches, Retrieve, Stored, StoreResult, Tally, Upload
from gateway.backends.local import housekeeping, schema, transactions
from gateway.backends.local.files import Files
from gateway.backends.local.finishing import Finisher
from gateway.backends.local.headers import Headers
from gateway.backends.local.incoming import Rules
from gateway.backends.local.index import Readers, missing
from gateway.backends.local.inspect import reread
from gateway.backends.local.outgoing import Beside
from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.local.receive import Receiver
from gateway.backends.local.retrieve import Retriever
from gateway.backends.local.search import Searcher
from gateway.backends.local.tallies import counted
from gateway.backends.local.threads import Threads
from gateway.backends.local.tombstones import Tombstones
from gateway.backends.local.waiting import Waiting
from gateway.backends.local.writer import Writer
from gateway.backends.policy import OnDuplicate
from gateway.dicom.elements import Limits
from gateway.dicomweb.query import Query
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.dicomweb.resources import Resource
from gateway.errors import OutOfStorage, StoreUnavailable

T = TypeVar("T")

READ_THREADS = 4
"""Threads that read index and blobs. Reads of one disk gain little beyond; each keeps an SQLite cache of up to 8 MiB."""

WRITE_THREADS = 8
"""Threads that write, walk and sync received files; most of their time is spent waiting for the disk."""

SPACE_CHECK_SECONDS = 1.0
"""How long a look at the free disk space holds."""

_REFUSALS = {
    Outcome.REJECTED: (
        Reason.PROCESSING_FAILURE,
        "an instance with the same UIDs and other content is stored already; the store is set to reject duplicates",
    ),
    Outcome.NO_ROOM: (Reason.OUT_OF_RESOURCES, "the store's disk is full"),
}

_UNCHANGED = (Outcome.IDENTICAL, Outcome.SKIPPED)


class LocalStore:
    """One folder of instances; several processes may open it at once.

    Opening repairs what a crash left behind, so the constructor blocks: call it in a thread.

    :param root: the folder, made when missing.
    :param on_duplicate: see `OnDuplicate`.
    :param durable: False leaves out every fsync (a power cut then loses what was acknowledged in the last seconds).
    :param min_free: free bytes of the disk below which stores are refused.
    :param limits: of an instance's structure.
    :param default_transfer_syntax: what a request gets that names none, ``*`` for as stored.
    :raises StoreUnavailable: when the folder is of a newer version or not a store.
    """

    def __init__(
        self,
        root: Path,
        *,
        on_duplicate: OnDuplicate = OnDuplicate.REJECT,
        durable: bool = True,
        min_free: int = 0,
        limits: Limits | None = None,
        default_transfer_syntax: str = "1.2.840.10008.1.2.1",
    ) -> None:
        self._files = Files(root, durable=durable)
        self._limits = limits or Limits()
        self._min_free = min_free
        self._space = (0.0, True)
        self._tombstones = Tombstones(self._files.root)
        connect = partial(schema.connect, self._files.root / "index.sqlite", durable=durable)
        self._reread = partial(reread, self._files, self._limits)
        finish_deletes = partial(housekeeping.finish_deletes, tombstones=self._tombstones, reread=self._reread)
        try:
            housekeeping.repair(self._files, connect, finish_deletes)
        except BaseException:
            self._files.close()
            raise
        self._readers = Readers(partial(connect, read_only=True))
        self._reads = Threads(READ_THREADS, "store-read")
        self._writes = ThreadPoolExecutor(WRITE_THREADS, "store-write")
        self._writer = Writer(self._files, connect, on_duplicate, self._reread, finish_deletes)
        self._finisher = Finisher(self._writes)
        self._waiting = Waiting()
        self._rules = Rules(self._limits, self._room, self._writer.refuse)
        self._headers = Headers(self._files, self._readers, self._writer, self._limits)
        self._searcher = Searcher(self._readers, self._headers, self._writer, self._reads)
        self._retriever = Retriever(self._files, self._readers, self._reads, self._headers, self._limits, default_transfer_syntax)
        self._garbage: asyncio.Task[None] | None = None

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`."""
        if self._writer.broken is not None:
            raise StoreUnavailable(self._writer.broken)
        if not await self._has_room():
            raise OutOfStorage("the store's disk has less free space than stores.NAME.min_free_bytes asks for")
        self._start_collecting()
        receiver = Receiver(self._files, self._writes, self._finisher, self._rules, self._waiting)
        try:
            await receiver.receive(uploads)
            stored, rejected = await self._commit(receiver)
        finally:
            receiver.release()
        return StoreResult(tuple(stored), tuple(receiver.failed + rejected))

    async def _commit(self, receiver: Receiver) -> tuple[list[Stored], list[Failed]]:
        if not receiver.prepared:
            return [], []
        if self._writer.beside is not None:
            try:
                await self._writer.beside.screen(receiver.prepared)
            except BaseException:
                await receiver.abandon()
                raise
        # Once handed over, the commit happens whether or not the client waits for it: the files must stay until then.
        commit = asyncio.ensure_future(self._writer.commit(receiver.prepared))
        try:
            outcomes = await asyncio.shield(commit)
        except asyncio.CancelledError:
            await asyncio.wait([commit])
            await receiver.abandon()  # what was committed has been renamed away already
            raise
        except BaseException:
            await receiver.abandon()
            raise
        if any(outcome not in (Outcome.STORED, Outcome.REPLACED) for outcome in outcomes):
            await receiver.abandon()
        return _results(receiver.prepared, outcomes)

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        return await self._searcher.search(query)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        return await self._retriever.retrieve(retrieve)

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        count = await self._writer.run(partial(self._delete, resource=resource))
        self._start_collecting()
        return count

    def _delete(self, db: sqlite3.Connection, resource: Resource) -> int:
        tombstone = transactions.find(db, resource)
        if tombstone is None:
            raise missing(db, resource)
        applied = self._tombstones.append(tombstone)
        transactions.delete(db, tombstone, self._reread, applied)
        return len(tombstone.instances)

    # -- for a spool, which is built upon a store

    @property
    def root(self) -> Path:
        """The folder."""
        return self._files.root

    @property
    def on_duplicate(self) -> OnDuplicate:
        """What happens to another version of a stored instance."""
        return self._writer.policy

    def accompany(self, beside: Beside) -> None:
        """From now on `beside` has a word in what is committed; called before the first store."""
        self._writer.beside = beside

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` reads of the index, in a reader thread."""
        return await self._reads.run(partial(self._readers.read, work))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` does in a write transaction of its own.

        :raises StoreUnavailable: the store takes no writes. :raises Busy: it will again in a moment.
        """
        return await self._writer.run(work)

    def depart(self, db: sqlite3.Connection, generations: Sequence[int]) -> None:
        """See `transactions.depart`; inside `write`."""
        transactions.depart(db, generations, self._reread)

    async def documents(self, generations: Sequence[int]) -> dict[int, bytes]:
        """The DICOM JSON of instances by generation, without those that have gone."""
        return await self._reads.run(partial(self._headers.of, generations))

    def path(self, generation: int) -> str:
        """The file of an instance."""
        return self._files.path(generation)

    # --

    async def check(self) -> Health:
        """See `Backend.check`."""
        if self._writer.broken is not None:
            return Health(ready=False, writable=False, detail=self._writer.broken)
        room = await self._has_room()
        return Health(ready=True, writable=room, detail="" if room else "too little free disk space")

    async def tally(self) -> Tally:
        """See `Countable.tally`."""
        return await self.read(counted)

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        if self._garbage is not None:
            self._garbage.cancel()
            await asyncio.wait([self._garbage])
        await self._writer.aclose()
        await asyncio.to_thread(self._reads.close)
        await asyncio.to_thread(self._writes.shutdown)
        await asyncio.to_thread(self._readers.close)  # the last connection to go writes SQLite's log back, and syncs
        await asyncio.to_thread(self._files.close)

    async def _has_room(self) -> bool:
        """As `_room`; a thread is only woken when it is time to look again."""
        known = self._known_room()
        return known if known is not None else await self._reads.run(self._room)

    def _known_room(self) -> bool | None:
        """What the last look at the disk said, None when that is too long ago."""
        looked, room = self._space
        return room if time.monotonic() - looked <= SPACE_CHECK_SECONDS else None

    def _room(self) -> bool:
        """Whether the disk has room for more; blocks when the last look is too old."""
        room = self._known_room()
        if room is None:
            room = self._files.free_bytes() >= self._min_free
            self._space = (time.monotonic(), room)
        return room

    def _start_collecting(self) -> None:
        """Unlinks garbage in the background from the first change on: a store that is only read never writes."""
        if self._garbage is None:
            self._garbage = asyncio.create_task(housekeeping.collect(self._files, self._writer, self._reads, self._readers, self._room))


def _failure(one: Prepared, reason: Reason, detail: str) -> Failed:
    return Failed(one.part, reason, detail, one.instance.sop_class, one.instance.sop)


def _results(prepared: list[Prepared], outcomes: list[Outcome]) -> tuple[list[Stored], list[Failed]]:
    pairs = list(zip(prepared, outcomes, strict=True))
    stored = [
        Stored(one.instance, WarningReason.COERCED if outcome is Outcome.SKIPPED else None, known=outcome in _UNCHANGED)
        for one, outcome in pairs
        if outcome not in _REFUSALS
    ]
    return stored, [_failure(one, *_REFUSALS[outcome]) for one, outcome in pairs if outcome in _REFUSALS]
