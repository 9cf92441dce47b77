"""Looking through what SQL leaves of a search: values that earlier searches left behind, and else headers (PS3.18 10.6).

Each key is judged by the value of its outermost attribute alone, as one JSON object: whether it comes from the values that are
kept (`extracted`), from a header, or from what the index keeps of a study, series or instance, it is the same text, so it is
judged once however many instances have it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

import orjson

from gateway.backends import needs
from gateway.backends.evaluate import all_match
from gateway.backends.local import extracted
from gateway.backends.local.cutting import ABSENT, Cutter
from gateway.backends.local.headers import Headers
from gateway.backends.local.index import Readers
from gateway.backends.local.statements import SOURCE, TABLE, Lookup, Plan, candidates_statement, lookup_parameters, parameters
from gateway.backends.results import RANK
from gateway.dicomweb.matching import AnyOf, Exact, Moments
from gateway.dicomweb.query import Filter
from gateway.dicomweb.resources import Level

CHUNK = 200
"""Rows that are looked at together: two milliseconds, or 60 when their headers have to be made."""

HOP_SECONDS = 0.02
"""After how long a search gives its thread to others."""

JUDGED = 20_000
"""Values whose judgement is remembered during a search: some MiB, and more than most attributes have."""

AT_ONCE = 8
"""Attributes of one search whose values are kept: each is one more table to join, and a form with more keys has none to spare."""


class Snapshot:
    """The rows that SQL leaves, in order, looked at piece by piece. Blocks; used by one thread at a time.

    :param keeper: takes what is read of headers.
    """

    def __init__(self, readers: Readers, headers: Headers, keeper: extracted.Keeper, plan: Plan) -> None:
        self._headers = headers
        self._keeper = keeper
        self._last: int | None = None
        self._db = readers.apart()
        try:
            kept = extracted.kept_tags(self._db)
            self._lookups = lookups_of(plan, kept)
            self._used = {one.tag: kept[one.tag] for one in self._lookups if one.kept}
            statement = candidates_statement(plan, self._lookups)
            self._candidates = self._db.execute(statement, [*lookup_parameters(self._lookups), *parameters(plan.where)])
        except BaseException:
            self._db.close()
            raise
        self._judges = judges_of(plan.rest, self._lookups)
        self._levels = sorted({one.level for one in self._lookups if one.level is not None}, key=RANK.__getitem__)
        self._of_headers = any(one.level is None for one in self._lookups)
        self._columns = [(_column(number), one, Cutter(one.tag)) for number, one in enumerate(self._lookups)]

    def next(self) -> list[int] | None:
        """The keys of the results among the next rows; None at the end."""
        found: list[int] = []
        until = time.perf_counter() + HOP_SECONDS
        while rows := self._candidates.fetchmany(CHUNK):
            found += self._looked_at(rows)
            if time.perf_counter() >= until:
                return found
        return found or None

    def _looked_at(self, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        verdicts = [self._judged(row) for row in rows]
        unknown = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict is None]
        read = self._read(unknown) if unknown else {}
        found: list[int] = []
        for row, verdict in zip(rows, verdicts, strict=True):
            if (read.get(row[1], False) if verdict is None else verdict) and row[0] != self._last:
                self._last = row[0]
                found.append(row[0])
        return found

    def _judged(self, row: Sequence[Any]) -> bool | None:
        """Whether a row matches; None when that cannot be said by what is kept."""
        verdict: bool | None = True
        for judge in self._judges:
            one = judge(row)
            if one is False:
                return False
            if one is None:
                verdict = None
        return verdict

    def _read(self, rows: Sequence[tuple[Any, ...]]) -> dict[int, bool]:
        """Verdicts by source, of rows whose header is still there."""
        by_source = {row[1]: row for row in rows}
        levels = self._of_levels(list(by_source)) if self._levels else {}
        verdicts: dict[int, bool] = {}

        def look(source: int, document: bytes) -> None:
            verdicts[source] = self._judged(self._filled(by_source[source], document, levels.get(source, {}))) is True

        if self._of_headers:
            self._headers.through(list(by_source), look)
        else:
            for source in by_source:
                look(source, ABSENT)
        return verdicts

    def _filled(self, row: Sequence[Any], document: bytes, levels: dict[Level, bytes]) -> list[Any]:
        """A row with the values that it lacked."""
        whole = list(row)
        for column, one, cutter in self._columns:
            known = row[column]
            if known is None or known == extracted.LARGE:
                value = whole[column] = cutter(document if one.level is None else levels.get(one.level, ABSENT))
                if known is None and one.worth_keeping:
                    self._keeper.add(one.tag, row[column - 1], value)
        return whole

    def _of_levels(self, generations: Sequence[int]) -> dict[int, dict[Level, bytes]]:
        """What the index keeps of some instances at some levels, by generation."""
        columns = ", ".join(f"{TABLE[each]}.attributes" for each in self._levels)
        sql = f"""SELECT i.generation, {columns} FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
            WHERE i.generation IN ({",".join("?" * len(generations))})"""  # noqa: S608 - built of constants only
        return {row[0]: dict(zip(self._levels, row[1:], strict=True)) for row in self._db.execute(sql, generations)}

    def close(self) -> None:
        """Gives the snapshot up, and leaves behind what was seen."""
        self._db.close()
        self._keeper.finish(self._used)


_UNKNOWN = (None, extracted.LARGE)


def _column(number: int) -> int:
    """Where the value of a lookup stands in a row: behind key and source, each behind its own generation."""
    return 3 + 2 * number


def lookups_of(plan: Plan, kept: Iterable[int]) -> list[Lookup]:
    """Where the values of all keys are that SQL leaves.

    :param kept: attributes of which values are kept.
    """
    tags = sorted({tag: item for item in plan.rest for tag in _tags(item)}.items())
    few = len(tags) <= AT_ONCE
    levels = {tag: needs.level_of_key(item) if needs.in_index(item.path[0]) else None for tag, item in tags}
    return [
        Lookup(tag, level, SOURCE[plan.rows if level is None else level], few and tag in kept, few)
        for tag, level in levels.items()
    ]  # fmt: skip


def _tags(item: Filter) -> tuple[int, ...]:
    """The outermost attributes that a filter looks at."""
    if isinstance(item.match, Moments) and len(item.path) == 1:
        return item.path[0], item.match.time
    return item.path[:1]


Judge = Callable[[Sequence[Any]], bool | None]
"""Whether a row matches some filters; None when it lacks a value."""


def judges_of(filters: Iterable[Filter], lookups: Sequence[Lookup]) -> list[Judge]:
    """A judge for each outermost attribute: filters into one sequence must match in one item of it."""
    columns = {one.tag: _column(number) for number, one in enumerate(lookups)}
    together: dict[int, list[Filter]] = {}
    for item in filters:
        together.setdefault(item.path[0], []).append(item)
    return [_judge(some, columns) for some in together.values()]


def _judge(filters: list[Filter], columns: dict[int, int]) -> Judge:
    tags = sorted({tag for item in filters for tag in _tags(item)})
    pick = itemgetter(*(columns[tag] for tag in tags))
    keys = [f"{tag:08X}" for tag in tags]
    mark, texts = _texts(filters[0]) if len(keys) == 1 else (b"", ())
    remembered: dict[Any, bool | None] = {}

    def judge(row: Sequence[Any]) -> bool | None:
        picked = pick(row)
        if texts and picked is not None and mark in picked and not any(text in picked for text in texts):
            return False
        try:
            return remembered[picked]
        except KeyError:
            pass
        values: tuple[bytes | None, ...] = picked if len(keys) > 1 else (picked,)
        verdict: bool | None = None
        if not any(value in _UNKNOWN for value in values):
            verdict = all_match({key: orjson.loads(value) for key, value in zip(keys, values, strict=True) if value}, filters)
        if len(remembered) < JUDGED and sum(map(len, filter(None, values))) <= extracted.LARGEST:
            remembered[picked] = verdict
        return verdict

    return judge


def _texts(item: Filter) -> tuple[bytes, tuple[bytes, ...]]:
    """What an attribute's JSON says when its values are plain text, and then one of what it must hold to match.

    An identifier is another one in each instance: nothing is remembered of it, but most are told apart at a glance.
    """
    if len(item.path) > 1 or item.vr not in _PLAIN:
        return b"", ()
    mark = b'"vr":"%s"' % item.vr.encode()
    match item.match:
        case Exact(value):
            return mark, (orjson.dumps(value),)
        case AnyOf(values):
            return mark, tuple(map(orjson.dumps, values))
        case _:
            return b"", ()


_PLAIN = frozenset({"AE", "AS", "CS", "LO", "LT", "SH", "ST", "UC", "UI", "UR", "UT"})
"""Value representations whose values are compared as they are written."""
