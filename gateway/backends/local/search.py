"""Searches of a local store: a `Query` over the index, and headers where the index does not know (PS3.18 10.6).

1. What the index holds is answered in one hop to a reader thread, by one statement and a count.
2. Keys that it does not hold are looked for in headers, a chunk a hop, over one snapshot of the index. Only the numbers of
   what was found are kept meanwhile.
3. Results come in the order in which studies, series and instances were first stored: stable while nothing is stored or
   deleted.
"""

from __future__ import annotations

import asyncio
import sqlite3
from array import array
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import orjson

from gateway.backends import needs
from gateway.backends.base import Matches
from gateway.backends.evaluate import all_match, may_match
from gateway.backends.local.headers import Headers
from gateway.backends.local.index import Readers
from gateway.backends.local.shown import parsed, shown
from gateway.backends.local.statements import (
    KEY,
    TABLE,
    Count,
    Plan,
    candidates_statement,
    columns_for,
    page_statement,
    parameters,
    plan_of,
    rows_of_keys,
)
from gateway.backends.results import RANK, Attributes
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level

T = TypeVar("T")

CHUNK = 200
"""Headers that are looked through in one hop: some milliseconds, or 60 when they have to be made."""

BATCH = 500
"""Results that are rendered in one hop when they were found by looking through headers, or show something of one."""


class Searcher:
    """:param pool: threads that read."""

    def __init__(self, readers: Readers, headers: Headers, pool: ThreadPoolExecutor) -> None:
        self._readers = readers
        self._headers = headers
        self._pool = pool

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
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    # -- looking through headers

    async def _looked_through(self, plan: Plan) -> tuple[array[int], int]:
        """The keys of the page that is asked for, and how many results come behind it."""
        first, last = plan.query.offset, plan.query.offset + plan.query.limit
        page, count = array("q"), 0
        snapshot = await self._settled(partial(_Snapshot, self._readers, plan))
        try:
            while (found := await self._settled(partial(snapshot.next, self._headers))) is not None:
                page.extend(found[max(0, first - count) : max(0, last - count)])
                count += len(found)
        finally:
            await self._settled(snapshot.close)
        return page, max(0, count - max(last, 0)) if page else max(0, count - first)

    async def _settled(self, work: Callable[[], T]) -> T:
        """As `_run`, but a search that is cancelled waits for its thread: the snapshot must not be closed under it."""
        future = asyncio.ensure_future(self._run(work))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _render(self, plan: Plan, keys: Sequence[int]) -> list[bytes]:
        query = plan.query
        rows = self._readers.read(partial(rows_of_keys, query=query, keys=keys))
        if not plan.document:
            return [shown(query, row, None) for row in rows]
        documents = self._headers.of([row[0] for row in rows])
        return [shown(query, row, documents.get(row[0])) for row in rows]


class _Snapshot:
    """The rows that SQL leaves, in order, looked at chunk by chunk. Blocks; used by one thread at a time."""

    def __init__(self, readers: Readers, plan: Plan) -> None:
        self._plan = plan
        self._of_headers = [item for item in plan.rest if not needs.in_index(item.path[0])]
        self._levels = {needs.level_of_key(item) for item in plan.rest if needs.in_index(item.path[0])}
        self._last: int | None = None
        self._db = readers.apart()
        try:
            self._candidates = self._db.execute(candidates_statement(plan), parameters(plan.where))
        except BaseException:
            self._db.close()
            raise

    def next(self, headers: Headers) -> list[int] | None:
        """The keys of the results that the next chunk holds; None at the end."""
        some = self._candidates.fetchmany(CHUNK)
        if not some:
            return None
        sources = [source for _, source in some]
        kept = _kept(self._db, self._levels, sources) if self._levels else {}
        documents = headers.of(sources) if self._of_headers else {}
        found: list[int] = []
        for key, source in some:
            if key != self._last and self._matches(kept.get(source, ()), documents.get(source)):
                found.append(key)
                self._last = key
        return found

    def _matches(self, kept: Sequence[bytes], document: bytes | None) -> bool:
        known: Attributes = {}
        if self._of_headers:
            if document is None or not may_match(document, self._of_headers):
                return False
            known = orjson.loads(document)
        for level in kept:
            known = known | parsed(level)
        return all_match(known, self._plan.rest)

    def close(self) -> None:
        """Gives the snapshot up."""
        self._db.close()


def _kept(db: sqlite3.Connection, levels: Collection[Level], generations: Sequence[int]) -> dict[int, Sequence[bytes]]:
    """What the index keeps of some instances at some levels, by generation."""
    columns = ", ".join(f"{TABLE[each]}.attributes" for each in RANK if each in levels)
    sql = f"""SELECT i.generation, {columns} FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
        WHERE i.generation IN ({",".join("?" * len(generations))})"""  # noqa: S608 - built of constants only
    return {row[0]: row[1:] for row in db.execute(sql, generations)}


# -- answers of the index alone


def answer(db: sqlite3.Connection, plan: Plan) -> Matches:
    """A query that SQL can answer whole."""
    query = plan.query
    count = Count(db, plan)
    rows = db.execute(page_statement(count, columns_for(query)), (*parameters(plan.where), query.limit, query.offset)).fetchall()
    results = tuple(shown(query, row, None) for row in rows)
    return Matches(results, count.behind(len(rows)), changed_at(db))


def changed_at(db: sqlite3.Connection) -> float | None:
    """When the store last changed, in seconds since the epoch; None when it never did."""
    row = db.execute("SELECT value FROM meta WHERE key = 'changed_at'").fetchone()
    return row[0] if row else None


def _page_of_keys(db: sqlite3.Connection, plan: Plan) -> tuple[array[int], int]:
    query = plan.query
    count = Count(db, plan)
    found = db.execute(page_statement(count, KEY[query.level]), (*parameters(plan.where), query.limit, query.offset))
    keys = array("q", (key for (key,) in found))
    return keys, count.behind(len(keys))
