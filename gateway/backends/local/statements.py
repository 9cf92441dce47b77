"""A search of the index as SQL statements: the page, the count, and the rows that are looked at (PS3.18 10.6).

In statements s is a study, e a series, i an instance. What varies in them is built of constants; values are parameters.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.backends import needs
from gateway.backends.local import skipping
from gateway.backends.local.conditions import Condition, chained, divided
from gateway.backends.results import RANK, fields
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level

TABLE: dict[Level, str] = {"study": "s", "series": "e", "instance": "i"}
_FROM: dict[Level, str] = {
    "study": "study s",
    "series": "study s JOIN series e ON e.study = s.id",
    "instance": "study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id",
}
_BY_KEYS = "study s INDEXED BY study_keys"
"""Studies in order, by the narrow index of all their keys."""

KEY: dict[Level, str] = {"study": "s.id", "series": "e.id", "instance": "i.generation"}
SOURCE: dict[Level, str] = {"study": "s.source", "series": "e.source", "instance": "i.generation"}
"""The generation whose header stands for the row."""

_SORT: dict[Level, str] = {"study": "s.id", "series": "s.id, e.id", "instance": "s.id, e.id, i.generation"}
_MODALITIES = "(SELECT group_concat(m.modality) FROM series m WHERE m.study = s.id)"
"""With repetitions: to leave them out SQLite builds a tree for each row, which makes lists of studies half as dear again."""

_COLUMNS: dict[Level, str] = {
    "study": f"s.source, s.uid, s.attributes, s.series_count, s.instance_count, {_MODALITIES}",
    "series": "e.source, s.uid, s.attributes, s.series_count, s.instance_count, {modalities}, e.uid, e.attributes, e.instance_count",
    "instance": """i.generation, s.uid, s.attributes, s.series_count, s.instance_count, {modalities}, e.uid, e.attributes, e.instance_count,
        i.attributes, i.syntax""",
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
    :param document: whether results show something of a header.
    """

    query: Query
    rows: Level
    where: tuple[Condition, ...]
    rest: tuple[Filter, ...]
    document: bool

    @property
    def of_studies(self) -> bool:
        """Whether nothing below studies is asked for: going from studies down then brings rows in order."""
        return all(one.table == "s" for one in self.where)


def plan_of(query: Query) -> Plan:
    """What has to be done for a query."""
    conditions, rest = divided(needs.restricting(query.filters))
    named = (("s", "s.uid", query.resource.study), ("e", "e.uid", query.resource.series))
    parents = [Condition(table, f"{column} = ?", [uid]) for table, column, uid in named if uid is not None]
    where = sorted([*parents, *conditions], key=_rank)  # so that values stand in the order in which `where_clause` uses them
    return Plan(query, needs.rows(query), tuple(where), tuple(rest), needs.document(query))


def page_statement(count: Count, columns: str) -> tuple[str, list[str | int]]:
    """The page of results that a query asks for, and its parameters.

    What has to be sorted is sorted as numbers, and only the page is read whole: SQLite would else carry all columns of all that
    is found through its sorter, and work out Modalities in Study for each.
    """
    query, level = count.plan.query, count.plan.query.level
    order = f" ORDER BY {_SORT[level]}"
    values: list[str | int] = [*parameters(count.where), query.limit, query.offset]
    if not count.where:
        first, left = count.begin()
        sql = f"SELECT {columns} FROM {_in_order(level)} WHERE s.id >= ?{order} LIMIT ? OFFSET ?"  # noqa: S608 - built of constants only
        return sql, [first, query.limit, left]
    if count.keys is not None:
        sql = f"SELECT {columns} FROM study s WHERE s.id IN (SELECT value FROM json_each(?)){order}"  # noqa: S608 - built of constants only
        return sql, [json.dumps(count.keys[query.offset : query.offset + query.limit])]
    if query.resource.study is not None:
        source = _in_order(level) if count.wants_order() else _FROM[level]
        return f"SELECT {columns} FROM {source}{where_clause(count.where, level)}{order} LIMIT ? OFFSET ?", values  # noqa: S608 - built of constants only
    keys = _keys_of_studies(count) if level == "study" else _keys(count)
    return f"SELECT {columns} FROM {_FROM[level]} WHERE {KEY[level]} IN ({keys} LIMIT ? OFFSET ?){order}", values  # noqa: S608 - built of constants only


def _keys(count: Count) -> str:
    level = count.plan.query.level
    source = _in_order(level) if count.wants_order() else _FROM[level]
    return f"SELECT {KEY[level]} FROM {source}{where_clause(count.where, level)} ORDER BY {_SORT[level]}"  # noqa: S608 - built of constants only


def _keys_of_studies(count: Count) -> str:
    if ids := count.ids:
        return ids
    ordered = any(one.ids for one in count.where) or count.wants_order()
    source, sort = (_BY_KEYS, "s.id") if ordered else (_FROM["study"], "+s.id")
    return f"SELECT s.id FROM {source}{where_clause(count.where, 'study')} ORDER BY {sort}"  # noqa: S608 - built of constants only


def rows_of_keys(db: sqlite3.Connection, query: Query, keys: Sequence[int]) -> list[tuple[Any, ...]]:
    """Rows of `columns_for` in the order of results."""
    level = query.level
    sql = f"""SELECT {columns_for(query)} FROM {_FROM[level]} WHERE {KEY[level]} IN ({",".join("?" * len(keys))})
        ORDER BY {_SORT[level]}"""  # noqa: S608 - built of constants only
    return db.execute(sql, keys).fetchall()


def columns_for(query: Query) -> str:
    """What `shown.shown` needs of a row. Modalities in Study are worked out where they are shown."""
    wanted = query.resource.study is None or 0x00080061 in fields(query)
    return _COLUMNS[query.level].format(modalities=_MODALITIES if wanted else "NULL")


@dataclass(frozen=True, slots=True)
class Lookup:
    """An attribute that has no column, and where its value is for a row that is looked at.

    :param level: of which the index keeps it among other attributes; None where it stands in headers only.
    :param source: the column with the generation that has it.
    :param kept: whether values of it are kept, see `extracted`.
    :param worth_keeping: whether those that are read shall be.
    """

    tag: int
    level: Level | None
    source: str
    kept: bool
    worth_keeping: bool


def candidates_statement(plan: Plan, lookups: Sequence[Lookup]) -> str:
    """What has to be looked at: the key of the result, the generation that stands for the row, and for each lookup the generation
    that has the value, and the value if it is kept; in the order of results. Parameters: `lookup_parameters`, then the conditions'."""
    columns, joins = [KEY[plan.query.level], SOURCE[plan.rows]], ""
    for number, one in enumerate(lookups):
        columns += [one.source, f"x{number}.json" if one.kept else "NULL"]
        if one.kept:
            joins += f" LEFT JOIN extracted x{number} ON x{number}.tag = ? AND x{number}.generation = {one.source}"
    tables = _in_order(plan.rows) if plan.of_studies else _FROM[plan.rows]
    where = where_clause(plan.where, plan.rows)
    return f"SELECT {', '.join(columns)} FROM {tables}{joins}{where} ORDER BY {_SORT[plan.rows]}"  # noqa: S608 - built of constants only


def lookup_parameters(lookups: Sequence[Lookup]) -> list[int]:
    """Those of the lookups in `candidates_statement`."""
    return [one.tag for one in lookups if one.kept]


def _in_order(level: Level) -> str:
    """The tables from studies down, so that rows come in order and need no sorting."""
    return _FROM[level].replace(" JOIN ", " CROSS JOIN ")


PROBED = 10_000
"""Studies of which each is asked for its modalities, at a quarter of a microsecond, rather than all studies of the modality listed."""


class Count:
    """How many results a plan has; counted when somebody asks, and once.

    :ivar where: the plan's conditions, as they are best asked.
    :ivar keys: all studies that are found, in order, where they had to be looked at one by one.
    """

    def __init__(self, db: sqlite3.Connection, plan: Plan) -> None:
        self.plan = plan
        self._db = db
        self._found: int | None = None
        self.where, self.keys = plan.where, self._probed()
        if self.keys is not None:
            self._found = len(self.keys)

    def _probed(self) -> list[int] | None:
        """What is found by asking each study for its modalities, where other keys leave few."""
        where = self.plan.where
        others = [one for one in where if not one.probe]
        if self.plan.query.level != "study" or len(others) in (0, len(where)) or not self.plan.of_studies:
            return None
        some = f"SELECT 1 FROM study s{where_clause(others, 'study')} LIMIT {PROBED}"  # noqa: S608 - built of constants only
        left: int = self._db.execute(f"SELECT count(*) FROM ({some})", parameters(others)).fetchone()[0]  # noqa: S608 - built of constants only
        if left == PROBED:
            return None
        probing = where_clause([one._replace(sql=one.probe or one.sql) for one in where], "study")
        return sorted(key for (key,) in self._db.execute(f"SELECT s.id FROM study s{probing}", parameters(where)))  # noqa: S608 - built of constants only

    @property
    def ids(self) -> str:
        """A statement that finds the studies in order, where the only condition brings one."""
        return self.where[0].ids if len(self.where) == 1 and self.plan.query.level == "study" else ""

    def begin(self) -> tuple[int, int]:
        """See `skipping.begin`."""
        return skipping.begin(self._db, self.plan.query.level, self.plan.query.offset)

    def wants_order(self) -> bool:
        """Whether going through the tables in order reaches the end of the page sooner than sorting all that is found.

        What is found lies as far apart as there are others between.
        """
        query = self.plan.query
        if self.plan.of_studies and query.level != "study":
            return True
        if query.resource.study is not None or any(one.few for one in self.where):
            return False
        if query.level == "study" and not self.plan.of_studies:
            return False
        everything: int = self._db.execute(f"SELECT max({_ROWID[query.level]}) FROM {query.level}").fetchone()[0] or 0  # noqa: S608 - built of constants only
        return (query.offset + query.limit) * everything < self.found**2

    def behind(self, got: int) -> int:
        """How many results there are beyond a page that has `got`."""
        return 0 if got < self.plan.query.limit else max(0, self.found - self.plan.query.offset - got)

    @property
    def found(self) -> int:
        """How many there are at all."""
        if self._found is None:
            level = self.plan.query.level
            self._found = self._counted() if self.where else skipping.total(self._db, level)
        return self._found

    def _counted(self) -> int:
        return int(self._db.execute(self._statement(), parameters(self.where)).fetchone()[0] or 0)

    def _statement(self) -> str:
        """From the counts that studies and series carry where those are enough, and over no more tables than it takes."""
        level, ranks = self.plan.query.level, [_rank(one) for one in self.where]
        lowest, highest = min(max(ranks), RANK[level]), min(ranks)
        where = where_clause(self.where, level)
        if level == "study" and any(one.ids for one in self.where):
            return f"SELECT count(*) FROM ({self.ids})" if self.ids else f"SELECT count(*) FROM {_BY_KEYS}{where}"  # noqa: S608 - built of constants only
        if lowest == RANK[level]:
            return f"SELECT count(*) FROM {_CHAIN[min(highest, lowest)][lowest]}{where}"  # noqa: S608 - built of constants only
        counted = f"s.{level}_count" if lowest == 0 else "e.instance_count"
        return f"SELECT sum({counted}) FROM {_CHAIN[0 if lowest == 0 else highest][lowest]}{where}"  # noqa: S608 - built of constants only


_ROWID: dict[Level, str] = {"study": "id", "series": "id", "instance": "generation"}
_CHAIN = (
    ("study s", "study s JOIN series e ON e.study = s.id", _FROM["instance"]),
    ("", "series e", "series e JOIN instance i ON i.series = e.id"),
    ("", "", "instance i"),
)
"""The tables from one level to another."""


def where_clause(conditions: Sequence[Condition], level: Level) -> str:
    """WHERE for the tables of `level`; conditions on those below ask whether there is a row that meets them together."""
    above = [one for one in conditions if RANK[level] >= _rank(one)]
    below = [one for one in conditions if RANK[level] < _rank(one)]
    parts = [one.sql for one in above]
    if below:
        join = " JOIN instance i ON i.series = e.id" if any(one.table == "i" for one in below) else ""
        parts.append(_BELOW[level].format(join=join, where=chained("AND", [one.sql for one in below])))
    return f" WHERE {chained('AND', parts)}" if parts else ""


def parameters(conditions: Sequence[Condition]) -> list[str]:
    """Those of `where_clause`."""
    return [value for one in conditions for value in one.values]


def _rank(condition: Condition) -> int:
    return "sei".index(condition.table)
