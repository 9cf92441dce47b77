"""A `Query` as SQL over the index, and its rows as DICOM JSON (PS3.18 10.6).

Every level of the model is a table, so a key of a parent is a column of a joined table. Values are compared as PS3.4
C.2.2.2 says; text goes into SQL as a parameter, never as part of the statement.

Results come in the order in which studies, series and instances were first stored: stable while nothing is stored or deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from gateway.backends.base import Matches
from gateway.backends.results import Attributes, check_keys, instance_result, rendered, series_result, study_result
from gateway.dicomweb.matching import AnyOf, Exact, Range, Universal, Wildcard
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import InvalidQuery

_COLUMN: dict[tuple[int, ...], str] = {
    (0x00080020,): "s.date",
    (0x00080030,): "s.time",
    (0x00080050,): "s.accession",
    (0x00080090,): "s.referring",
    (0x00081030,): "s.description",
    (0x00100010,): "s.patient_name",
    (0x00100020,): "s.patient_id",
    (0x00100030,): "s.birth_date",
    (0x00100040,): "s.sex",
    (0x0020000D,): "s.uid",
    (0x00200010,): "s.study_id",
    (0x00080060,): "e.modality",
    (0x0008103E,): "e.description",
    (0x00180015,): "e.body_part",
    (0x0020000E,): "e.uid",
    (0x00200011,): "e.number",
    (0x00400244,): "e.step_date",
    (0x00400245,): "e.step_time",
    (0x00400275, 0x00400009): "e.scheduled_step_id",
    (0x00400275, 0x00401001): "e.requested_procedure_id",
    (0x00080016,): "i.sop_class",
    (0x00080018,): "i.uid",
    (0x00200013,): "i.number",
}
"""Where the index has each key of `results.KEYS`."""

_MANY = frozenset({(0x00400275, 0x00400009), (0x00400275, 0x00401001)})
"""Keys whose column may hold several values, joined by a backslash."""

_MODALITIES_IN_STUDY = (0x00080061,)
_NUMBERS = ("IS", "DS")

_FROM: dict[Level, str] = {
    "study": "study s",
    "series": "study s JOIN series e ON e.study = s.id",
    "instance": "study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id",
}
_COLUMNS: dict[Level, str] = {
    "study": """s.uid, s.attributes, s.series_count, s.instance_count,
        (SELECT group_concat(DISTINCT m.modality) FROM series m WHERE m.study = s.id)""",
    "series": "s.uid, e.uid, e.attributes, e.instance_count, s.attributes",
    "instance": "s.uid, e.uid, i.uid, i.attributes, i.sop_class, i.syntax, s.attributes, e.attributes",
}
_SORT: dict[Level, str] = {"study": "s.id", "series": "s.id, e.id", "instance": "s.id, e.id, i.generation"}


def search(db: sqlite3.Connection, query: Query) -> Matches:
    """Runs a query.

    :raises InvalidQuery: for a key that the index does not hold, naming it.
    """
    check_keys(query)
    where, values = _where(query)
    sql = f"SELECT {_COLUMNS[query.level]} FROM {_FROM[query.level]}{where} ORDER BY {_SORT[query.level]} LIMIT ? OFFSET ?"  # noqa: S608 - built of constants only
    rows = db.execute(sql, (*values, query.limit, query.offset)).fetchall()
    render = _RENDER[query.level]
    results = tuple(rendered(render(query, row)) for row in rows)
    return Matches(results, _remaining(db, query, where, values, len(rows)))


def _remaining(db: sqlite3.Connection, query: Query, where: str, values: list[str], got: int) -> int:
    if got < query.limit:
        return 0
    count = db.execute(f"SELECT count(*) FROM {_FROM[query.level]}{where}", values).fetchone()[0]  # noqa: S608 - built of constants only
    return max(0, int(count) - query.offset - got)


# -- matching


def _where(query: Query) -> tuple[str, list[str]]:
    parts: list[str] = []
    values: list[str] = []
    named = (("s.uid", query.resource.study), ("e.uid", query.resource.series))
    for column, uid in named:
        if uid is not None:
            parts.append(f"{column} = ?")
            values.append(uid)
    for item in query.filters:
        for sql, arguments in _condition(item):
            parts.append(sql)
            values += arguments
    return (" WHERE " + " AND ".join(parts) if parts else ""), values


def _condition(item: Filter) -> Iterator[tuple[str, list[str]]]:
    if isinstance(item.match, Universal):
        return
    if item.path == _MODALITIES_IN_STUDY:
        sql, values = _compare("m.modality", item)
        yield f"EXISTS (SELECT 1 FROM series m WHERE m.study = s.id AND {sql})", values  # noqa: S608 - built of constants only
        return
    column = _COLUMN[item.path]
    yield _compare_many(column, item) if item.path in _MANY else _compare(column, item)


def _compare(column: str, item: Filter) -> tuple[str, list[str]]:
    match item.match:
        case Exact() | Wildcard() | AnyOf() if item.vr == "PN":
            return _compare_names(column, item.match)
        case Exact(value) if item.vr in _NUMBERS:
            return f"CAST({column} AS REAL) = CAST(? AS REAL)", [value]
        case Exact(value):
            return f"{column} = ?", [value]
        case Wildcard(pattern):
            return f"{column} GLOB ?", [_glob(pattern)]
        case AnyOf(values):
            return f"{column} IN ({','.join('?' * len(values))})", list(values)
        case Range(low, high):
            ends = [(">=", low), ("<=", high)]
            return " AND ".join(f"{column} {sign} ?" for sign, end in ends if end), [end for _, end in ends if end]
        case Universal():
            return "1", []


def _compare_names(column: str, match: Exact | Wildcard | AnyOf) -> tuple[str, list[str]]:
    """The whole name or its first group (PS3.5 6.2.1.2); the column is in lower case already."""
    match match:
        case Wildcard(pattern) if pattern.endswith("*"):  # takes the other groups in, and may use the column's index
            return f"{column} GLOB ?", [_glob(pattern.lower())]
        case Wildcard(pattern):
            first = f"substr({column}, 1, instr({column} || '=', '=') - 1)"
            return f"({column} GLOB ? OR {first} GLOB ?)", [_glob(pattern.lower())] * 2
        case AnyOf(values):
            found = [_compare_names(column, Exact(value)) for value in values]
            return "(" + " OR ".join(sql for sql, _ in found) + ")", [value for _, values in found for value in values]
        case Exact(value) if "=" in value:
            return f"{column} = ?", [value.lower()]
        case Exact(value):
            return f"({column} = ? OR {column} GLOB ?)", [value.lower(), _literal(value.lower()) + "=*"]


def _compare_many(column: str, item: Filter) -> tuple[str, list[str]]:
    """Matches when one of the values does; such columns are short and few, and need no index."""
    column = f"'\\' || {column} || '\\'"
    match item.match:
        case Wildcard(pattern):
            return f"{column} GLOB ?", ["*\\" + _glob(pattern) + "\\*"]
        case AnyOf(values):
            return "(" + " OR ".join([f"instr({column}, ?)"] * len(values)) + ")", [f"\\{value}\\" for value in values]
        case Exact(value):
            return f"instr({column}, ?)", [f"\\{value}\\"]
        case _:
            raise InvalidQuery("a list of identifiers is matched by value or wildcard")


def _glob(pattern: str) -> str:
    """A pattern of PS3.4, which knows no sets of characters, as SQLite's."""
    return pattern.replace("[", "[[]")


def _literal(text: str) -> str:
    return "".join(f"[{one}]" if one in "*?[" else one for one in text)


# -- results


def _study(_: Query, row: tuple[Any, ...]) -> Attributes:
    uid, own, series, instances, modalities = row
    return study_result(orjson.loads(own), uid, modalities.split(",") if modalities else (), series, instances)


def _series(query: Query, row: tuple[Any, ...]) -> Attributes:
    study, uid, own, instances, above = row
    return series_result(orjson.loads(own), orjson.loads(above), query, Resource(study, uid), instances)


def _instance(query: Query, row: tuple[Any, ...]) -> Attributes:
    study, series, uid, own, sop_class, syntax, study_above, series_above = row
    above = orjson.loads(study_above), orjson.loads(series_above)
    return instance_result(orjson.loads(own), *above, query, Resource(study, series, uid), sop_class, syntax)


_RENDER: dict[Level, Callable[[Query, tuple[Any, ...]], Attributes]] = {"study": _study, "series": _series, "instance": _instance}
