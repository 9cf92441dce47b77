"""Searches of a local store: a `Query` over the index, and headers where the index does not know (PS3.18 10.6).

1. What the index holds is answered in one hop to a reader thread, by one statement and a count.
2. Keys that it does not hold are looked for in what earlier searches left behind and in headers, some milliseconds a hop, over
   one snapshot of the index (`looking`). Only the numbers of what was found are kept meanwhile.
3. Results come in the order in which studies, series and instances were first stored: stable while nothing is stored or
   deleted.
"""

from __future__ import annotations

import asyncio
import sqlite3
from array import array
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from gateway.backends.base import Matches
from gateway.backends.local.extracted import Keeper
from gateway.backends.local.headers import Headers
from gateway.backends.local.index import Readers
from gateway.backends.local.looking import Snapshot
from gateway.backends.local.shown import page, shown
from gateway.backends.local.statements import KEY, Count, Plan, columns_for, page_statement, plan_of, rows_of_keys
from gateway.backends.local.threads import Threads
from gateway.backends.local.writer import Writer
from gateway.dicomweb.query import Query

T = TypeVar("T")

BATCH = 500
"""Results that are rendered in one hop when they were found by looking through headers, or show something of one."""


class Searcher:
    """:param writer: keeps what was read of headers.
    :param threads: those that read.
    """

    def __init__(self, readers: Readers, headers: Headers, writer: Writer, threads: Threads) -> None:
        self._readers = readers
        self._headers = headers
        self._writer = writer
        self._threads = threads

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        plan = plan_of(query)
        if not plan.rest and not plan.document:
            return await self._run(partial(self._readers.read, partial(answer, plan=plan)))
        if plan.rest:
            found, remaining = await self._looked_through(plan)
        else:
            found, remaining = await self._run(partial(self._readers.read, partial(_page_of_keys, plan=plan)))
        results: list[bytes] = []
        for start in range(0, len(found), BATCH):
            results += await self._run(partial(self._render, plan, found[start : start + BATCH]))
        modified = await self._run(partial(self._readers.read, changed_at))
        return Matches(tuple(results), remaining, modified)

    def _run(self, work: Callable[[], T]) -> Awaitable[T]:
        return self._threads.run(work)

    # -- looking through what the index does not know

    async def _looked_through(self, plan: Plan) -> tuple[array[int], int]:
        """The keys of the page that is asked for, and how many results come behind it."""
        first, last = plan.query.offset, plan.query.offset + plan.query.limit
        page, count = array("q"), 0
        snapshot = await self._settled(partial(Snapshot, self._readers, self._headers, Keeper(self._writer.post), plan), Snapshot.close)
        try:
            while (found := await self._settled(snapshot.next)) is not None:
                page.extend(found[max(0, first - count) : max(0, last - count)])
                count += len(found)
        finally:
            await self._settled(snapshot.close)
        return page, max(0, count - max(last, 0)) if page else max(0, count - first)

    async def _settled(self, work: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
        """As `_run`, but a search that is cancelled waits for its thread: the snapshot must not be closed under it.

        :param undo: what to do with a result that nobody takes any more.
        """
        future = asyncio.ensure_future(self._run(work))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if undo is not None and future.exception() is None:
                await self._run(partial(undo, future.result()))
            raise

    def _render(self, plan: Plan, keys: Sequence[int]) -> list[bytes]:
        query = plan.query
        rows = self._readers.read(partial(rows_of_keys, query=query, keys=keys))
        if not plan.document:
            return [shown(query, row, None) for row in rows]
        documents = self._headers.of([row[0] for row in rows])
        return [shown(query, row, documents.get(row[0])) for row in rows]


# -- answers of the index alone


def answer(db: sqlite3.Connection, plan: Plan) -> Matches:
    """A query that SQL can answer whole."""
    query = plan.query
    count = Count(db, plan)
    # The moment comes with each row: a statement of its own would cost a small search a sixth of its time here.
    columns = f"{columns_for(query)}, {CHANGED_AT}"
    rows = db.execute(*page_statement(count, columns)).fetchall()
    return Matches(page(query, rows), count.behind(len(rows)), rows[0][-1] if rows else changed_at(db))


CHANGED_AT = "(SELECT value FROM meta WHERE key = 'changed_at')"
"""See `changed_at`; a column like any other, which SQLite works out once for all rows."""


def changed_at(db: sqlite3.Connection) -> float | None:
    """When the store last changed, in seconds since the epoch; None when it never did."""
    moment: float | None = db.execute(f"SELECT {CHANGED_AT}").fetchone()[0]
    return moment


def _page_of_keys(db: sqlite3.Connection, plan: Plan) -> tuple[array[int], int]:
    query = plan.query
    count = Count(db, plan)
    found = db.execute(*page_statement(count, KEY[query.level]))
    keys = array("q", (key for (key,) in found))
    return keys, count.behind(len(keys))
