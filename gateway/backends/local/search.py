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
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import orjson

from gateway.backends import needs
from gateway.backends.base import Matches
from gateway.backends.evaluate import all_match, needles
from gateway.backends.local.conditions import Condition, divided
from gateway.backends.local.headers import Headers
from gateway.backends.local.index import Readers, rows_of
from gateway.backends.results import Attributes, asked, attribute, instance_result, rendered, series_result, study_result
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level, Resource

T = TypeVar("T")

CHUNK = 200
"""Headers that are looked through in one hop: some milliseconds, or 60 when they have to be made."""

BATCH = 500
"""Results that are rendered in one hop when they were found by looking through headers, or show something of one."""

_TABLE: dict[Level, str] = {"study": "s", "series": "e", "instance": "i"}
_FROM: dict[Level, str] = {
    "study": "study s",
    "series": "study s JOIN series e ON e.study = s.id",
    "instance": "study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id",
}
_KEY: dict[Level, str] = {"study": "s.id", "series": "e.id", "instance": "i.generation"}
_SOURCE: dict[Level, str] = {"study": "s.source", "series": "e.source", "instance": "i.generation"}
"""The generation whose header stands for the row."""

_SORT: dict[Level, str] = {"study": "s.id", "series": "s.id, e.id", "instance": "s.id, e.id, i.generation"}
_MODALITIES = "(SELECT group_concat(DISTINCT m.modality) FROM series m WHERE m.study = s.id)"
_COLUMNS: dict[Level, str] = {
    "study": f"s.source, s.uid, s.attributes, s.series_count, s.instance_count, {_MODALITIES}",
    "series": "e.source, s.uid, s.attributes, s.series_count, s.instance_count, {modalities}, e.uid, e.attributes, e.instance_count",
    "instance": """i.generation, s.uid, s.attributes, s.series_count, s.instance_count, {modalities}, e.uid, e.attributes, e.instance_count,
        i.uid, i.attributes, i.sop_class, i.syntax""",
}
_BELOW: dict[Level, str] = {
    "study": "s.id IN (SELECT e.study FROM series e{join} WHERE {where})",
    "series": "e.id IN (SELECT i.series FROM instance i WHERE {where})",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered.

    :param rows: the level of what has to be looked at.
    :param where: what SQL can say, with the URL's own parents; those of studies first, of instances last.
    :param rest: filters for which rows or headers have to be looked at in Python.
    :param headers: whether `rest` needs headers. :param document: whether results show something of one.
    """

    query: Query
    rows: Level
    where: tuple[Condition, ...]
    rest: tuple[Filter, ...]
    headers: bool
    document: bool


def plan_of(query: Query) -> Plan:
    """What has to be done for a query."""
    conditions, rest = divided(needs.restricting(query.filters))
    named = (("s", "s.uid", query.resource.study), ("e", "e.uid", query.resource.series))
    parents = [Condition(table, f"{column} = ?", [uid]) for table, column, uid in named if uid is not None]
    where = sorted([*parents, *conditions], key=_rank)  # so that values stand in the order in which `_where` uses them
    headers = any(not needs.in_index(item.path[0]) for item in rest)
    return Plan(query, needs.rows(query), tuple(where), tuple(rest), headers, needs.document(query))


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
        rows = self._readers.read(partial(_rows, query=query, keys=keys))
        if not plan.document:
            return [_rendered(query, row, None) for row in rows]
        sources = self._readers.read(partial(rows_of, generations=[row[0] for row in rows]))
        documents = self._headers.of(sources)
        return [_rendered(query, row, documents.get(row[0])) for row in rows]


class _Snapshot:
    """The rows that SQL leaves, in order, looked at chunk by chunk. Blocks; used by one thread at a time."""

    def __init__(self, readers: Readers, plan: Plan) -> None:
        self._plan = plan
        self._needles = list(needles(item for item in plan.rest if not needs.in_index(item.path[0])))
        self._last: int | None = None
        self._db = readers.apart()
        level, where = plan.query.level, _where(plan.where, plan.rows)
        sql = f"SELECT {_KEY[level]}, {_SOURCE[plan.rows]} FROM {_from(plan, plan.rows)}{where} ORDER BY {_SORT[plan.rows]}"  # noqa: S608 - built of constants only
        try:
            self._candidates = self._db.execute(sql, _values(plan.where))
        except BaseException:
            self._db.close()
            raise

    def next(self, headers: Headers) -> list[int] | None:
        """The keys of the results that the next chunk holds; None at the end."""
        some = self._candidates.fetchmany(CHUNK)
        if not some:
            return None
        kept = _kept(self._db, self._plan.rows, [source for _, source in some])
        documents = headers.of(rows_of(self._db, list(kept))) if self._plan.headers else {}
        found: list[int] = []
        for key, source in some:
            if key != self._last and source in kept and self._matches(kept[source], documents.get(source)):
                found.append(key)
                self._last = key
        return found

    def _matches(self, kept: Sequence[bytes], document: bytes | None) -> bool:
        known: Attributes = {}
        if self._plan.headers:
            if document is None or not all(needle in document for needle in self._needles):
                return False
            known = orjson.loads(document)
        for level in kept:
            known |= orjson.loads(level)
        return all_match(known, self._plan.rest)

    def close(self) -> None:
        """Gives the snapshot up."""
        self._db.close()


def _kept(db: sqlite3.Connection, level: Level, generations: Sequence[int]) -> dict[int, list[bytes]]:
    """What the index keeps of each of some instances, and of what is above it, down to `level`; by generation."""
    columns = ", ".join(f"{_TABLE[each]}.attributes" for each in needs.RANK if needs.RANK[each] <= needs.RANK[level])
    sql = f"""SELECT i.generation, {columns} FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
        WHERE i.generation IN ({",".join("?" * len(generations))})"""  # noqa: S608 - built of constants only
    return {row[0]: list(row[1:]) for row in db.execute(sql, generations)}


# -- answers of the index alone


def answer(db: sqlite3.Connection, plan: Plan) -> Matches:
    """A query that SQL can answer whole."""
    query = plan.query
    sql = _page(plan, _columns(query))
    rows = db.execute(sql, (*_values(plan.where), query.limit, query.offset)).fetchall()
    results = tuple(_rendered(query, row, None) for row in rows)
    return Matches(results, _remaining(db, plan, len(rows)), changed_at(db))


def changed_at(db: sqlite3.Connection) -> float | None:
    """When the store last changed, in seconds since the epoch; None when it never did."""
    row = db.execute("SELECT value FROM meta WHERE key = 'changed_at'").fetchone()
    return row[0] if row else None


def _page_of_keys(db: sqlite3.Connection, plan: Plan) -> tuple[array[int], int]:
    query = plan.query
    found = db.execute(_page(plan, _KEY[query.level]), (*_values(plan.where), query.limit, query.offset))
    page = array("q", (key for (key,) in found))
    return page, _remaining(db, plan, len(page))


def _page(plan: Plan, columns: str) -> str:
    level = plan.query.level
    return f"SELECT {columns} FROM {_from(plan, level)}{_where(plan.where, level)} ORDER BY {_SORT[level]} LIMIT ? OFFSET ?"  # noqa: S608 - built of constants only


def _from(plan: Plan, level: Level) -> str:
    """The tables; from studies down, where nothing else says where to begin, so that rows come in order and need no sorting."""
    free = all(one.table == "s" for one in plan.where)
    return _FROM[level].replace(" JOIN ", " CROSS JOIN ") if free else _FROM[level]


def _remaining(db: sqlite3.Connection, plan: Plan, got: int) -> int:
    if got < plan.query.limit:
        return 0
    count = db.execute(_count(plan), _values(plan.where)).fetchone()[0]
    return max(0, int(count or 0) - plan.query.offset - got)


def _count(plan: Plan) -> str:
    """How many results there are, from the counts that studies and series carry where those are enough."""
    level = plan.query.level
    rank = max((needs.RANK[each] for each in _TABLE for one in plan.where if one.table == _TABLE[each]), default=-1)
    direct = min(rank, needs.RANK[level])
    where = _where(plan.where, level)
    if direct < 0:
        return f"SELECT count(*) FROM {level}"  # noqa: S608 - built of constants only
    if level == "study" or direct == needs.RANK[level]:
        return f"SELECT count(*) FROM {_FROM[level]}{where}"  # noqa: S608 - built of constants only
    if direct == 0:
        return f"SELECT sum(s.{level}_count) FROM study s{where}"  # noqa: S608 - built of constants only
    return f"SELECT sum(e.instance_count) FROM {_FROM['series']}{where}"  # noqa: S608 - built of constants only


def _where(conditions: Sequence[Condition], level: Level) -> str:
    """WHERE for the tables of `level`; conditions on those below ask whether there is a row that meets them together."""
    above = [one for one in conditions if needs.RANK[level] >= _rank(one)]
    below = [one for one in conditions if needs.RANK[level] < _rank(one)]
    parts = [one.sql for one in above]
    if below:
        join = " JOIN instance i ON i.series = e.id" if any(one.table == "i" for one in below) else ""
        parts.append(_BELOW[level].format(join=join, where=" AND ".join(one.sql for one in below)))
    return " WHERE " + " AND ".join(parts) if parts else ""


def _values(conditions: Sequence[Condition]) -> list[str]:
    return [value for one in conditions for value in one.values]


def _rank(condition: Condition) -> int:
    return "sei".index(condition.table)


def _rows(db: sqlite3.Connection, query: Query, keys: Sequence[int]) -> list[tuple[Any, ...]]:
    level = query.level
    sql = f"""SELECT {_columns(query)} FROM {_FROM[level]} WHERE {_KEY[level]} IN ({",".join("?" * len(keys))})
        ORDER BY {_SORT[level]}"""  # noqa: S608 - built of constants only
    return db.execute(sql, keys).fetchall()


# -- results


def _columns(query: Query) -> str:
    wanted = "00080061" in query.include or any(item.path == (0x00080061,) for item in query.filters)
    return _COLUMNS[query.level].replace("{modalities}", _MODALITIES if wanted else "NULL")


def _rendered(query: Query, row: tuple[Any, ...], document: bytes | None) -> bytes:
    """A row of `_COLUMNS` as DICOM JSON."""
    usual, kept = _RENDER[query.level](query, row)
    header = None if document is None else orjson.loads(document)
    return rendered(usual | asked(query, kept, header))


def _study(_: Query, row: tuple[Any, ...]) -> tuple[Attributes, Attributes]:
    usual = study_result(orjson.loads(row[2]), row[1], _modalities(row), row[3], row[4])
    return usual, usual


def _modalities(row: tuple[Any, ...]) -> Iterable[str]:
    return row[5].split(",") if row[5] else ()


def _above(row: tuple[Any, ...]) -> Attributes:
    """What is known of the study, for those who ask for it below one."""
    kept: Attributes = orjson.loads(row[2])
    return kept | {
        "00080056": attribute("CS", "ONLINE"),
        "00080061": attribute("CS", *sorted(_modalities(row))),
        "00201206": attribute("IS", row[3]),
        "00201208": attribute("IS", row[4]),
    }


def _series(query: Query, row: tuple[Any, ...]) -> tuple[Attributes, Attributes]:
    study, series = _above(row), orjson.loads(row[7])
    usual = series_result(series, orjson.loads(row[2]), query, Resource(row[1], row[6]), row[8])
    return usual, study | series | usual


def _instance(query: Query, row: tuple[Any, ...]) -> tuple[Attributes, Attributes]:
    study, series, own = _above(row), orjson.loads(row[7]), orjson.loads(row[10])
    usual = instance_result(own, orjson.loads(row[2]), series, query, Resource(row[1], row[6], row[9]), row[11], row[12])
    computed = {"00020010": attribute("UI", row[12]), "00201209": attribute("IS", row[8])}
    return usual, study | series | own | computed | usual


_RENDER: dict[Level, Callable[[Query, tuple[Any, ...]], tuple[Attributes, Attributes]]] = {
    "study": _study,
    "series": _series,
    "instance": _instance,
}
