"""A search as a value (PS3.18 8.3.4, 10.6.1): the same question always makes the same `Query`, so it can key a cache.

Names that are not search parameters are left out, whoever sends them: credentials in a URL never reach a `Query`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, cast

from gateway.dicomweb.matching import AnyOf, Fuzzy, Match, Range, combined, each_value, parse_match, with_offset
from gateway.dicomweb.names import plain, words
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import InvalidQuery

MAX_OFFSET = 1_000_000
"""Results that may be skipped: each costs the index a step. Google's API has the same bound."""

MAX_NAMES = 100
"""Names of people, or words of them, in one search: each is held against every name that there is, in some ten
milliseconds for 20,000 with several groups."""

NEVER_FILTERS = frozenset(
    {
        "access_token",
        "oauth_token",
        "key",
        "alt",
        "callback",
        "fields",
        "prettyPrint",
        "quotaUser",
        "upload_protocol",
        "uploadType",
        "$.xgafv",
        "accept",
        "charset",
    }
)
"""Names that never are attributes: the global parameters of Google's APIs and those of PS3.18 8.3.3."""

_CONTROLS = ("limit", "offset", "fuzzymatching", "emptyvaluematching", "multiplevaluematching")

_ABOUT_THE_REQUEST = frozenset({(0x00080005,), (0x00080201,)})
"""Specific Character Set and Timezone Offset From UTC say how to read the other keys, and are never matched (PS3.4 C.2.2.2,
PS3.18 8.3.4.1.1). A URL is UTF-8 whatever the first one says."""

_TIME_OF = {
    0x00080020: 0x00080030,  # Study
    0x00080021: 0x00080031,  # Series
    0x00080022: 0x00080032,  # Acquisition
    0x00080023: 0x00080033,  # Content
    0x00400002: 0x00400003,  # Scheduled Procedure Step Start
    0x00400244: 0x00400245,  # Performed Procedure Step Start
    0x00400250: 0x00400251,  # Performed Procedure Step End
}
"""Dates and the times that belong to them: ranges of both are one range."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_SQ = "SQ"


class Dictionary(Protocol):
    """What has to be known of the data dictionary (PS3.6); `gateway.dicom.dictionary` is one."""

    def tag(self, keyword: str) -> int | None:
        """The tag of a keyword, None when there is no such keyword."""
        ...

    def vr(self, tag: int) -> str | None:
        """The value representation of a tag, None for private and unknown ones."""
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """One attribute that must match.

    :param path: its tag, preceded by those of the sequences around it.
    :param vr: its value representation, ``UN`` where the dictionary has none.
    :param match: what its value must look like.
    """

    path: tuple[int, ...]
    vr: str
    match: Match


@dataclass(frozen=True, slots=True)
class Query:
    """A search, canonical and hashable.

    :param level: what is searched for.
    :param resource: the parents that the URL names.
    :param filters: sorted, without repetitions; all of them must match. `Universal` ones ask for the attribute in the answer.
    :param include: further attributes of the answer as 8 upper-case hex digits; for one inside a sequence, the outermost.
    :param include_all: whether every attribute that is known is asked for.
    :param limit: how many results at most, already bounded by the server's own maximum.
    :param offset: how many to skip.
    :param fuzzy: whether fuzzy matching of names was asked for (PS3.18 8.3.4.2).
    """

    level: Level
    resource: Resource = field(default_factory=Resource)
    filters: tuple[Filter, ...] = ()
    include: frozenset[str] = frozenset()
    include_all: bool = False
    limit: int = 100
    offset: int = 0
    fuzzy: bool = False


def parse_query(
    level: Level,
    resource: Resource,
    params: Sequence[tuple[str, str]],
    dictionary: Dictionary,
    *,
    max_limit: int,
    default_limit: int,
    max_offset: int = MAX_OFFSET,
) -> Query:
    """The search that the decoded parameters of a URL ask for.

    Parameter names are case-sensitive and unknown ones are ignored (PS3.18 8.3.1); 8 hex digits always are a tag.

    :param max_limit: results in one answer; a larger ``limit`` is cut to it.
    :raises InvalidQuery: for a value that has no meaning. Values are never echoed: they may name a patient.
    """
    keys: list[tuple[str, tuple[int, ...], str]] = []
    control: dict[str, str] = {}
    include: set[str] = set()
    for name, value in params:
        if name == "includefield":
            include.update(_fields(value, dictionary))
        elif name in _CONTROLS:
            if control.setdefault(name, value) != value:
                raise InvalidQuery(f"{name} is given twice with different values")
        elif name not in NEVER_FILTERS and (path := _known_path(name, dictionary)):
            if path in _ABOUT_THE_REQUEST:
                include.add(f"{path[0]:08X}")
                control[f"{path[0]:08X}"] = value
            else:
                keys.append((name, path, value))
    fuzzy, empty, multiple = (_flag(name, control.get(name, "false")) for name in _CONTROLS[2:])
    offset = _offset(control.get("00080201", ""))
    filters: set[Filter] = set()
    ranges: dict[tuple[int, ...], Filter] = {}
    for name, path, value in keys:
        vr = dictionary.vr(path[-1]) or "UN"
        for one in each_value(vr, value) if multiple else [value]:
            item = Filter(path, vr, with_offset(parse_match(vr, one, name, fuzzy=fuzzy, empty=empty), vr, offset))
            filters.add(item)
            if "-" in one:
                ranges[path] = item
    if sum(_names(item.match) for item in filters if item.vr == "PN") > MAX_NAMES:
        raise InvalidQuery(f"more than {MAX_NAMES} names are searched for; ask for some of them at a time")
    times = _join_moments(filters, ranges)
    return Query(
        level,
        resource,
        tuple(sorted(filters, key=repr) if len(filters) > 1 else filters),
        frozenset((include | times) - {"all"}) if "all" not in include else frozenset(),
        "all" in include,
        min(_count("limit", control.get("limit"), default_limit, None), max_limit),
        _count("offset", control.get("offset"), 0, max_offset),
        fuzzy,
    )


def _names(match: Match) -> int:
    match match:
        case AnyOf(values):
            return len(values)
        case Fuzzy(name):
            return len(words(plain(name)))
        case _:
            return 1


def _offset(text: str) -> str:
    text = text.replace(" ", "+")  # "+" in a URL is a blank when it is not escaped
    if text and not _OFFSET.fullmatch(text):
        raise InvalidQuery("TimezoneOffsetFromUTC is not an offset such as +0100 (PS3.3 C.12.1.1.8)")
    return text


_OFFSET = re.compile(r"[+-][0-9]{4}")


def _join_moments(filters: set[Filter], ranges: dict[tuple[int, ...], Filter]) -> set[str]:
    """Makes ranges of a date and of its time one filter (PS3.4 C.2.2.2.5.4); returns the attributes that are only asked for now.

    A single date with a range of times stays two keys, which means the same.
    """
    times = set()
    for path, date in ranges.items():
        time = _TIME_OF.get(path[-1])
        other = None if time is None else ranges.get((*path[:-1], time))
        if time is not None and other is not None and isinstance(date.match, Range) and isinstance(other.match, Range):
            filters -= {date, other}
            filters.add(Filter(path, date.vr, combined(date.match, other.match, time)))
            times.add(f"{(*path[:-1], time)[0]:08X}")
    return times


def attribute_path(name: str, dictionary: Dictionary) -> tuple[int, ...] | None:
    """The tags of ``PatientName``, ``00100010`` or ``RequestAttributesSequence.ScheduledProcedureStepID``.

    None when a word is neither a keyword nor 8 hex digits, or when one before the last cannot hold items.
    """
    path: list[int] = []
    for word in name.split("."):
        tag = int(word, 16) if _TAG.fullmatch(word) else dictionary.tag(word)
        if tag is None:
            return None
        path.append(tag)
    outer_are_sequences = all((dictionary.vr(tag) or _SQ) == _SQ for tag in path[:-1])
    return tuple(path) if outer_are_sequences else None


NAMES = 1024
"""Names of parameters that are remembered: all that clients use. Looking one up takes a tenth of the time of a small search."""

MAX_NAME = 200
"""Characters of a name that is remembered: six keywords, of which the longest has 71, and mostly one."""

_remembered_path = cast(Callable[[str, Dictionary], tuple[int, ...] | None], lru_cache(NAMES)(attribute_path))


def _known_path(name: str, dictionary: Dictionary) -> tuple[int, ...] | None:
    return _remembered_path(name, dictionary) if len(name) <= MAX_NAME else attribute_path(name, dictionary)


def _fields(value: str, dictionary: Dictionary) -> Iterator[str]:
    """The tags of one includefield, which may be a list (PS3.18 8.3.4.3); unknown words are ignored."""
    for word in value.split(","):
        word = word.strip()
        if word == "all":
            yield word
        elif path := attribute_path(word, dictionary):
            yield f"{path[0]:08X}"


DIGITS = 10
"""Of a number that is read."""


def _count(name: str, text: str | None, default: int, maximum: int | None) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()):
        raise InvalidQuery(f"{name} is not a whole number (PS3.18 8.3.4.4)")
    digits = text.lstrip("0") or "0"
    if maximum is not None and (len(digits) > DIGITS or int(digits) > maximum):
        raise InvalidQuery(f"{name} is larger than {maximum} (limits.{name}_max); narrow the search instead")
    if len(digits) > DIGITS:
        raise InvalidQuery(f"{name} has more than {DIGITS} digits")
    return int(digits)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidQuery(f"{name} is neither true nor false (PS3.18 8.3.4)")
    return text == "true"
