"""Filters of a `Query` as SQL over the index.

The rules are those of `dicomweb.matching`; `backends.evaluate` says the same in Python, and the contract suite compares them.
Text goes into a statement as a parameter, never as part of it. In statements s is a study, e a series, i an instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.backends.local.schema import TERMS
from gateway.dicomweb.matching import AnyOf, Empty, Exact, Fuzzy, Moments, Range, Universal, Wildcard
from gateway.dicomweb.names import plain, words
from gateway.dicomweb.query import Filter

COLUMN: dict[tuple[int, ...], str] = {
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
    (0x00201206,): "s.series_count",
    (0x00201208,): "s.instance_count",
    (0x00080060,): "e.modality",
    (0x0008103E,): "e.description",
    (0x00180015,): "e.body_part",
    (0x0020000E,): "e.uid",
    (0x00200011,): "e.number",
    (0x00201209,): "e.instance_count",
    (0x00400244,): "e.step_date",
    (0x00400245,): "e.step_time",
    (0x00400275, 0x00400009): "e.scheduled_step_id",
    (0x00400275, 0x00401001): "e.requested_procedure_id",
    (0x00080016,): "i.sop_class",
    (0x00080018,): "i.uid",
    (0x00200013,): "i.number",
    (0x00020010,): "i.syntax",
    (0x00083002,): "i.syntax",
    (0x00080056,): "'ONLINE'",
}
"""Where the index has each key that it holds: those of `results.KEYS`, and what it counts and knows itself."""

_MANY = frozenset({(0x00400275, 0x00400009), (0x00400275, 0x00401001)})
"""Keys whose column may hold several values, joined by a backslash."""

MODALITIES_IN_STUDY = (0x00080061,)
_NUMBERS = ("IS", "DS")
_NAMES = {"s.patient_name": "patient_name", "s.referring": "referring"}
_TERMS = {f"s.{column}": column for column in TERMS}
_FEW = frozenset({"s.uid", "s.patient_id", "s.accession"})
"""Columns of which a value finds a handful of studies."""


class Condition(NamedTuple):
    """:param table: ``s``, ``e`` or ``i``, the table that it looks at; of a study where it looks at none.
    :param ids: a statement that finds the same studies by itself, each once and in order, where there is a better one.
    :param probe: what asks the same of a single study: better than `sql` where others leave few.
    :param few: whether it finds a handful of studies at most.
    """

    table: str
    sql: str
    values: list[str]
    ids: str = ""
    probe: str = ""
    few: bool = False


def divided(filters: Iterable[Filter]) -> tuple[list[Condition], list[Filter]]:
    """The filters that SQL can answer, and the others."""
    filters = list(filters)
    inside = [item.path[0] for item in filters if len(item.path) > 1]
    conditions, rest = [], []
    for item in filters:
        if _alone(item, inside) and (found := _condition(item)) is not None:
            conditions.append(found)
        else:
            rest.append(item)
    return conditions, rest


def _alone(item: Filter, inside: list[int]) -> bool:
    """Whether a column says all that is needed: two keys into a sequence must match in one item, and so must the lack of a value."""
    return len(item.path) == 1 or (inside.count(item.path[0]) == 1 and not isinstance(item.match, Empty))


def _condition(item: Filter) -> Condition | None:
    if item.path == MODALITIES_IN_STUDY:
        return _modalities(item)
    column = COLUMN.get(item.path)
    if column is None:
        return None
    table = column[0] if column[1] == "." else "s"
    if column in _NAMES and isinstance(item.match, Exact | Wildcard | AnyOf | Fuzzy):
        return Condition(table, *_named(column, item.match))
    if column in _TERMS and isinstance(item.match, Wildcard):
        return Condition(table, *_among_terms(column, [("{} GLOB ?", [_glob(item.match.pattern)])]))
    if item.path in _MANY:
        return Condition(table, *_compare_many(column, item))
    return Condition(table, *_compare(column, item), few=column in _FEW and isinstance(item.match, Exact))


def _modalities(item: Filter) -> Condition:
    if isinstance(item.match, Empty):
        return Condition("s", "NOT EXISTS (SELECT 1 FROM series m WHERE m.study = s.id AND m.modality <> '')", [])
    sql, values = _compare("m.modality", item)
    ids = f"SELECT DISTINCT m.study FROM series m WHERE {sql} ORDER BY m.study"  # noqa: S608 - built of constants only
    probe = f"EXISTS (SELECT 1 FROM series m WHERE m.study = s.id AND {sql})"  # noqa: S608 - built of constants only
    return Condition("s", f"s.id IN (SELECT m.study FROM series m WHERE {sql})", values, ids, probe)  # noqa: S608 - built of constants only


def _compare(column: str, item: Filter) -> tuple[str, list[str]]:
    match item.match:
        case Empty():
            return f"coalesce({column}, '') = ''", []
        case Exact(value) if item.vr in _NUMBERS:
            return f"CAST({column} AS REAL) = CAST(? AS REAL)", [value]
        case AnyOf(values) if item.vr in _NUMBERS:
            return f"CAST({column} AS REAL) IN ({','.join(['CAST(? AS REAL)'] * len(values))})", list(values)
        case Exact(value):
            return f"{column} = ?", [value]
        case Wildcard(pattern):
            return f"{column} GLOB ?", [_glob(pattern)]
        case AnyOf(values):
            return f"{column} IN ({','.join('?' * len(values))})", list(values)
        case Range(low, high):
            return _between(column, low, high)
        case Moments():
            return _moments(column, item, item.match)
        case Fuzzy() | Universal():
            return "1", []


FLAT = 64
"""Parts that are joined one after the other; each makes the expression one deeper."""


def chained(operator: str, parts: Sequence[str]) -> str:
    """Parts joined by AND or OR, many of them in halves: a URL has room for thousands, and SQLite for expressions 1,000 deep."""
    if len(parts) <= FLAT:
        return f" {operator} ".join(parts)
    half = len(parts) // 2
    return f"({chained(operator, parts[:half])}) {operator} ({chained(operator, parts[half:])})"


def _between(column: str, low: str | None, high: str | None) -> tuple[str, list[str]]:
    ends = [(">=", low), ("<=", high)]
    return " AND ".join(f"{column} {sign} ?" for sign, end in ends if end) or "1", [end for _, end in ends if end]


def _moments(column: str, item: Filter, match: Moments) -> tuple[str, list[str]]:
    """The dates alone first, for which there may be an index; then the times of the first and the last day."""
    sql, values = _between(column, match.low and match.low[0], match.high and match.high[0])
    time = f"coalesce({COLUMN[(*item.path[:-1], match.time)]}, '')"
    for sign, end in ((">=", match.low), ("<=", match.high)):
        if end is not None:
            sql += f" AND ({column}, {time}) {sign} (?, ?)"
            values += end
    return sql, values


def _compare_many(column: str, item: Filter) -> tuple[str, list[str]]:
    """Matches when one of the values does; such columns are short and few, and need no index."""
    joined = f"'\\' || {column} || '\\'"
    match item.match:
        case Wildcard(pattern):
            return f"{joined} GLOB ?", ["*\\" + _glob(pattern) + "\\*"]
        case AnyOf(values):
            return f"({chained('OR', [f'instr({joined}, ?)'] * len(values))})", [f"\\{value}\\" for value in values]
        case Exact(value):
            return f"instr({joined}, ?)", [f"\\{value}\\"]
        case _:
            return _compare(column, item)


# -- values that are looked for among all there are, each of which is kept once (the table `term`)

Pattern = tuple[str, list[str]]
"""What is asked of a column, and its operands."""


def _among_terms(column: str, patterns: Sequence[Pattern]) -> tuple[str, list[str]]:
    sql, values = _any("t.text", patterns)
    return f"{column} IN (SELECT t.text FROM term t WHERE t.field = '{_TERMS[column]}' AND {sql})", values  # noqa: S608 - built of constants only


def _any(column: str, patterns: Sequence[Pattern]) -> tuple[str, list[str]]:
    if not patterns:
        return "0", []
    joined = chained("OR", [sql.format(column) for sql, _ in patterns])
    return f"({joined})", [value for _, values in patterns for value in values]


def _named(column: str, match: Exact | Wildcard | AnyOf | Fuzzy) -> tuple[str, list[str]]:
    """A person's name by the index of names: whole names there, the few with several groups by an index of their own."""
    whole, parts = _whole_names(match), _name_patterns(match)
    if not whole:
        return _among_terms(column, parts)
    first, first_values = _any("t.text", whole)
    second, second_values = _any("t.text", parts)
    field = f"t.field = '{_TERMS[column]}'"
    sql = f"""{column} IN (SELECT t.text FROM term t WHERE {field} AND {first}
        UNION SELECT t.text FROM term t WHERE {field} AND instr(t.text, '=') > 0 AND {second})"""  # noqa: S608 - built of constants only
    return sql, first_values + second_values


def _whole_names(match: Exact | Wildcard | AnyOf | Fuzzy) -> list[Pattern]:
    """None of what may begin anywhere: then all names are looked at, and those with several groups need no second look."""
    match match:
        case Exact(value):
            return [("{} = ?", [plain(value)])]
        case AnyOf(values):
            return [("{} = ?", [plain(value)]) for value in values]
        case Wildcard(pattern) if not pattern.startswith(("*", "?")):
            return [("{} GLOB ?", [_glob(plain(pattern))])]
        case Wildcard() | Fuzzy():
            return []


def _name_patterns(match: Exact | Wildcard | AnyOf | Fuzzy) -> list[Pattern]:
    """What a name, all of it or a run of its groups, has to look like; see `names.runs`."""
    match match:
        case Exact(value):
            globs = _runs(_literal(plain(value)))
        case AnyOf(values):
            globs = [glob for value in values for glob in _runs(_literal(plain(value)))]
        case Wildcard(pattern):
            globs = _runs(_glob(plain(pattern)))
        case Fuzzy(name):
            # `instr` says of most names that they have no such word, at a fifth of what the pattern takes.
            sql = "(instr({0}, ?) AND ' ' || {0} GLOB ?)"
            return [(sql, [word, f"*[ ^=,\\]{_literal(word)}*"]) for word in words(plain(name))]
    return [("{} GLOB ?", [glob]) for glob in globs]


def _runs(glob: str) -> list[str]:
    """A pattern that begins or ends with an asterisk takes in the groups on that side by itself."""
    before = ["", "*="] if not glob.startswith("*") else [""]
    behind = ["", "=*"] if not glob.endswith("*") else [""]
    return [f"{first}{glob}{last}" for first in before for last in behind]


def _glob(pattern: str) -> str:
    """A pattern of PS3.4, which knows no sets of characters, as SQLite's."""
    return pattern.replace("[", "[[]")


def _literal(text: str) -> str:
    return "".join(f"[{one}]" if one in "*?[" else one for one in text)
