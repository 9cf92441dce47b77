"""Whether attributes match the filters of a `Query`, in Python (PS3.4 C.2.2.2).

The rules are those that `dicomweb.matching` states. An index may say the same in its own language for the keys that it holds;
the contract suite holds both to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from struct import Struct
from typing import Any

from gateway.dicomweb.matching import AnyOf, Empty, Exact, Fuzzy, Match, Moments, Range, Universal, Wildcard
from gateway.dicomweb.moments import padded_date, padded_time, span
from gateway.dicomweb.names import joined, plain, runs, words
from gateway.dicomweb.query import Filter

Attributes = Mapping[str, Any]

_AFTER_EVERYTHING = ("~", "~")


def all_match(attributes: Attributes, filters: Iterable[Filter]) -> bool:
    """Whether every filter matches; those into one sequence in one and the same item of it (PS3.4 C.2.2.2.6)."""
    inside: dict[int, list[Filter]] = {}
    for item in filters:
        if len(item.path) > 1:
            inside.setdefault(item.path[0], []).append(Filter(item.path[1:], item.vr, item.match))
        elif not _matches(attributes, item):
            return False
    return all(_some_item(attributes.get(f"{tag:08X}", {}).get("Value", ()), within) for tag, within in inside.items())


def _some_item(items: Sequence[Any], filters: list[Filter]) -> bool:
    if all(isinstance(item.match, Universal) for item in filters):
        return True
    if not items:
        return all(isinstance(item.match, Universal | Empty) for item in filters)
    return any(isinstance(item, dict) and all_match(item, filters) for item in items)


def _matches(attributes: Attributes, item: Filter) -> bool:
    match item.match:
        case Universal():
            return True
        case Empty():
            return not any(map(_something, _values(attributes, item.path[0])))
        case Moments(time, low, high):
            dates, times = _values(attributes, item.path[0]), _values(attributes, time)
            return any(_between(date, moment, low, high) for date, moment in zip(dates, [*times, *[None] * len(dates)], strict=False))
    vr = attributes.get(f"{item.path[0]:08X}", {}).get("vr", "UN") if item.vr == "UN" else item.vr
    return any(value_matches(value, vr, item.match) for value in _values(attributes, item.path[0]))


def _values(attributes: Attributes, tag: int) -> Sequence[Any]:
    found: Sequence[Any] = attributes.get(f"{tag:08X}", {}).get("Value", ())
    return found


def _something(value: Any) -> bool:
    return value is not None and value not in ("", {})


def _between(date: Any, time: Any, low: tuple[str, str] | None, high: tuple[str, str] | None) -> bool:
    if date is None:
        return False
    moment = padded_date(str(date)), padded_time(str(time or ""))
    return (low or ("", "")) <= moment <= (high or _AFTER_EVERYTHING)


def value_matches(value: Any, vr: str, match: Match) -> bool:
    """Whether one value of the DICOM JSON model matches."""
    if value is None or value == {}:
        return False
    if isinstance(value, dict):
        return _name_matches(plain(joined(value)), match)
    if isinstance(value, int | float):
        return _number_matches(value, vr, match)
    if vr == "PN":  # of a query that was written down as text
        return _name_matches(plain(value), match)
    text = str(value)
    if vr == "DT" and isinstance(match, Range):
        return _datetime_matches(text, match)
    if vr == "TM" and not isinstance(match, Range):  # of a private key, whose text is compared as it is
        return _text_matches(text, match)
    return _text_matches(_SORTABLE.get(vr, str)(text), match)


_SORTABLE = {"TM": padded_time, "DA": padded_date}


def _number_matches(value: float, vr: str, match: Match) -> bool:
    match match:
        case Exact(wanted):
            return _equal(value, vr, wanted)
        case AnyOf(many):
            return any(_equal(value, vr, wanted) for wanted in many)
        case _:
            return _text_matches(str(value), match)


def _equal(value: float, vr: str, wanted: str) -> bool:
    try:
        if vr == "FL":  # as exact as the attribute can be
            return _SINGLE.pack(value) == _SINGLE.pack(float(wanted))
        return value == (int(wanted) if isinstance(value, int) and wanted.lstrip("+-").isdecimal() else float(wanted))
    except (ValueError, OverflowError):
        return False


_SINGLE = Struct("<f")


def _name_matches(name: str, match: Match) -> bool:
    match match:
        case Exact(wanted):
            return plain(wanted) in runs(name)
        case AnyOf(many):
            return not {plain(wanted) for wanted in many}.isdisjoint(runs(name))
        case Wildcard(pattern):
            fits = _fitting(plain(pattern))
            return any(map(fits, runs(name)))
        case Fuzzy(like):
            stored = words(name)
            return any(word.startswith(wanted) for wanted in words(plain(like)) for word in stored)
        case _:
            return _text_matches(name, match)


def _datetime_matches(text: str, match: Range) -> bool:
    found = span(text)
    if found is None:
        return False
    low = ("", "") if match.low is None else span(match.low)
    high = _AFTER_EVERYTHING if match.high is None else span(match.high)
    return low is not None and high is not None and low[0] <= found[0] <= high[1]


def _text_matches(text: str, match: Match) -> bool:
    match match:
        case Exact(value):
            return text == value
        case Wildcard(pattern):
            return _fitting(pattern)(text) is not None
        case AnyOf(values):
            return text in values
        case Range(low, high):
            return (low is None or text >= low) and (high is None or text <= high)
        case _:
            return True


PATTERNS = 64
"""Patterns that are kept compiled: those of the searches that run. `fnmatch` keeps 32,768, of which strangers could make gigabytes."""


@lru_cache(PATTERNS)
def _fitting(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """What says whether a text fits a pattern of PS3.4, which knows no sets of characters. Its stars never backtrack into each other."""
    return re.compile(translate(pattern.replace("[", "[[]"))).match
