"""From a `Query` to the questions that an origin can be asked: the widest that it answers honestly.

1. An origin is asked for no less than what matches. Whatever it brings beyond that is checked again by `evaluate`.
2. A key goes along only where the profile says that it is matched at that level; what cannot be written in a way that the
   origin reads becomes an asterisk, and a key that would have to be all asterisks stays at home.
3. Names of people are asked for by their plain letters and digits, with asterisks for everything else: whether accents count
   there, only the origin knows.
4. Keys of lower levels make a search of the lower level: `Plan.level` is that of the rows, not of the results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, product
from math import prod

from gateway.backends import needs
from gateway.backends.results import COMPUTED, RANK, fields, level_of_field
from gateway.backends.upstream.profiles import ANY, Profile
from gateway.dicom import dictionary
from gateway.dicom.resolve import is_private
from gateway.dicomweb.matching import AnyOf, Exact, Fuzzy, Moments, Range, Wildcard
from gateway.dicomweb.names import words
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level, Resource

ALTERNATIVES = 100
"""Questions that one search becomes at most, where an origin knows no lists: more than that many UIDs are looked for among
everything that the other keys find."""

MODALITIES_IN_STUDY = 0x00080061
PATIENT_NAME = 0x00100010
SYNTAXES = frozenset({0x00020010, 0x00083002})

_ALWAYS: dict[Level, tuple[int, ...]] = {
    "study": (
        *(0x00080020, 0x00080030, 0x00080050, 0x00080061, 0x00080090, 0x00081030, 0x00100010, 0x00100020, 0x00100030, 0x00100040),
        *(0x0020000D, 0x00200010, 0x00201206, 0x00201208),
    ),
    "series": (0x00080060, 0x0008103E, 0x00180015, 0x0020000D, 0x0020000E, 0x00200011, 0x00201209, 0x00400244, 0x00400245),
    "instance": (*(0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00200013, 0x00280008, 0x00280010, 0x00280011, 0x00280100),),
}
"""What results show without being asked (PS3.18 tables 10.6.3-3 to 10.6.3-5), and a few that viewers count on."""

_UIDS = (0x0020000D, 0x0020000E, 0x00080018)
_TEXT = frozenset({"AE", "AS", "CS", "DA", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
_PATTERNS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""VRs of which an origin may be asked for a pattern; of dates and UIDs it may not (PS3.4 C.2.2.2.4)."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._~*-]+")
_MANY = re.compile(r"\*+")

SEGMENTS: dict[Level, str] = {"study": "studies", "series": "series", "instance": "instances"}

Param = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search is made.

    :param path: of the search, below the base of the origin.
    :param level: of what the origin is asked for; where it is lower than the query's, results are what is above them.
    :param alternatives: the keys of each question; what one of them finds is found.
    :param include: what rows have to show, as the value of includefield; empty for nothing in particular.
    :param exact: the origin finds nothing but what matches, so that it may skip and count.
    :param unasked: keys that the origin is not asked for, or less strictly than they mean.
    :param headers_to_check: keys that rows cannot show: the header of an instance of each has to be read.
    :param headers_to_show: the same of what is asked for in the results.
    """

    path: str
    level: Level
    alternatives: tuple[tuple[Param, ...], ...]
    include: str
    exact: bool
    unasked: tuple[Filter, ...]
    headers_to_check: bool
    headers_to_show: bool


def plan(query: Query, profile: Profile) -> Plan:
    """How an origin of that profile is searched for what the query asks."""
    level = needs.rows(query)
    filters = needs.restricting(query.filters)
    asked = [_Asked.of(item, level, profile) for item in filters]
    if prod(len(one.texts) or 1 for one in asked) > ALTERNATIVES:
        asked = [one if len(one.texts) < 2 else _Asked(one.item) for one in asked]
    alternatives = [tuple(dict.fromkeys(chain(*chosen))) for chosen in product(*(one.texts for one in asked if one.texts))]
    climbs = level != query.level
    shown = {item.path[0] for item in filters} | {item.match.time for item in filters if isinstance(item.match, Moments)}
    include = _included(frozenset({*shown, *_UIDS[: RANK[level] + 1]}), profile, level) if climbs else include_of(query, profile, shown)
    return Plan(
        path=_path(query.resource, level),
        level=level,
        alternatives=tuple(alternatives),
        include=include,
        exact=not climbs and len(alternatives) == 1 and all(one.exact for one in asked),
        unasked=tuple(one.item for one in asked if not one.exact),
        headers_to_check=not all(returned(tag, profile) for tag in shown),
        headers_to_show=_header_shown(query, profile),
    )


def _path(resource: Resource, level: Level) -> str:
    return f"{resource.path}/{SEGMENTS[level]}"


def _header_shown(query: Query, profile: Profile) -> bool:
    if query.include_all:
        return not profile.includes_all
    return not all(returned(tag, profile) for tag in fields(query))


def _wanted(query: Query) -> set[int]:
    return set() if query.include_all else fields(query)


def returned(tag: int, profile: Profile) -> bool:
    """Whether results of searches can show an attribute; of those that are worked out nobody has to."""
    if tag in COMPUTED:
        return True
    if not profile.includes and tag not in _ALWAYS[level_of_field(tag)]:
        return False
    vr = dictionary.vr(tag) or "UN"
    return not is_private(tag) and vr not in _BINARY and (profile.includes_sequences or vr != "SQ")


def include_of(query: Query, profile: Profile, shown: Iterable[int] = ()) -> str:
    """The includefield of results as they are shown.

    :param shown: what they have to show besides, to be checked.
    """
    if query.include_all and profile.includes_all:
        return "all"
    return _included(frozenset({*shown, *_ALWAYS[query.level], *_wanted(query)}), profile, query.level)


@lru_cache(maxsize=256)
def _included(tags: frozenset[int], profile: Profile, level: Level) -> str:
    if not profile.includes:
        return ""
    left = SYNTAXES if profile.includes_counts else SYNTAXES | COMPUTED.keys()
    asked = {tag for tag in tags - left if returned(tag, profile) and RANK[level_of_field(tag)] <= RANK[level]}
    if profile.syntaxes == "results" and level == "instance":
        asked |= SYNTAXES
    return ",".join(f"{tag:08X}" for tag in sorted(asked))


def always(level: Level, profile: Profile) -> str:
    """The includefield of a search for what stands above other results."""
    return _included(frozenset(_ALWAYS[level]), profile, level)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A key as the origin is asked for it.

    :param texts: the parameters of each alternative; none when it is not asked for at all.
    :param exact: nothing else can be found.
    """

    item: Filter
    texts: tuple[tuple[Param, ...], ...] = ()
    exact: bool = False

    @classmethod
    def of(cls, item: Filter, level: Level, profile: Profile) -> _Asked:
        if not _is_key(item, level, profile):
            return cls(item)
        if item.vr == "PN":
            return cls(item, tuple(_name(item, profile)))
        exact, texts = _values(item, profile)
        return cls(item, tuple(((_name_of(item), text),) for text in texts), exact and bool(texts))


def _is_key(item: Filter, level: Level, profile: Profile) -> bool:
    tag = item.path[0]
    if item.vr not in _TEXT or RANK[level_of_field(tag)] > RANK[level]:
        return False
    if len(item.path) > 1:
        return profile.keys_in_sequences
    if tag in COMPUTED and (tag != MODALITIES_IN_STUDY or level != "study"):
        return False
    keyword = dictionary.keyword(tag)
    return keyword is not None and (ANY in profile.keys or keyword in profile.keys)


def _name_of(item: Filter) -> str:
    return ".".join(dictionary.keyword(tag) or f"{tag:08X}" for tag in item.path)


# -- names of people


def _name(item: Filter, profile: Profile) -> list[tuple[Param, ...]]:
    match item.match:
        case Exact(text) | Wildcard(text):
            texts = [text]
        case AnyOf(many):
            texts = list(many)
        case Fuzzy(text):
            texts = words(text)
        case _:
            return []
    if profile.names == "unasked":
        return []
    if profile.names == "words":
        return _words(item, texts)
    patterns = [_plain(f"*{text}*") for text in texts] if profile.wildcards else [""]
    return [((_name_of(item), pattern),) for pattern in dict.fromkeys(patterns)] if all(patterns) else []


def _words(item: Filter, texts: list[str]) -> list[tuple[Param, ...]]:
    """Fuzzy matching, which only is for names of patients, and finds every name that has a word beginning like one of these."""
    if isinstance(item.match, Fuzzy):
        found = [_LETTERS.sub("", text) for text in texts]
    else:
        found = [max(_BEGINNINGS.findall(text), key=len, default="") for text in texts]
    if item.path != (PATIENT_NAME,) or not all(found):
        return []
    return [(("PatientName", " ".join(dict.fromkeys(found))), ("fuzzymatching", "true"))]


_LETTERS = re.compile(r"[^A-Za-z0-9].*")
_BEGINNINGS = re.compile(r"(?:^|(?<=[\s^=,]))[A-Za-z0-9]+")
"""What words of a pattern begin with, up to where it leaves something open or has a letter that may have an accent."""


def _plain(pattern: str) -> str:
    """A pattern of characters that every server reads the same way; empty when it says nothing."""
    plain = _MANY.sub("*", _NOT_PLAIN.sub("*", pattern))
    return plain if plain.strip("*") else ""


# -- everything else


def _values(item: Filter, profile: Profile) -> tuple[bool, list[str]]:
    """Whether nothing else can be found, and the values to ask for one after the other; none when they cannot be."""
    tag = item.path[-1]
    if not profile.matches_each_value and tag != MODALITIES_IN_STUDY and dictionary.several(tag):
        return False, _inside(item, profile)
    match item.match:
        case Range() | Moments():
            return _range(item, profile)
        case Wildcard(pattern):
            text = _pattern(pattern, profile) if profile.wildcards else ""
            return text == pattern and not profile.folds_text, [text] if text else []
        case Exact(value):
            written = _written(value, item.vr, profile)
            return written == value and _strict(item, profile), [written] if written else []
        case AnyOf(values):
            return _list(item, values, profile)
        case _:
            return False, []


def _inside(item: Filter, profile: Profile) -> list[str]:
    """Patterns for values that stand among others."""
    match item.match:
        case Exact(text) | Wildcard(text):
            texts: Iterable[str] = [text]
        case AnyOf(many):
            texts = many
        case _:
            return []
    patterns = [_plain(f"*{text}*") for text in texts] if profile.wildcards and item.vr in _PATTERNS else [""]
    return patterns if all(patterns) else []


def _strict(item: Filter, profile: Profile) -> bool:
    return not profile.folds_text or item.vr in ("UI", "DA")


def _list(item: Filter, values: Iterable[str], profile: Profile) -> tuple[bool, list[str]]:
    written = [_written(value, item.vr, profile) for value in values]
    if not all(written):
        return False, []
    exact = written == list(values) and _strict(item, profile)
    if profile.lists and not any("*" in text for text in written):
        return exact, [profile.lists.join(written)]
    # An attribute of several values may be found by several questions, which only a search through all of them can tell.
    return exact, list(dict.fromkeys(written))


def _written(value: str, vr: str, profile: Profile) -> str:
    """A value as the origin reads it, or a pattern that fits it; empty when there is neither."""
    apart = profile.lists and profile.lists in value
    if profile.decodes and not apart:
        return value
    if not _NOT_PLAIN.search(value):
        return value
    return _plain(value) if vr in _PATTERNS and profile.wildcards else ""


def _pattern(pattern: str, profile: Profile) -> str:
    apart = profile.lists and profile.lists in pattern
    return pattern if profile.decodes and not apart else _plain(pattern)


def _range(item: Filter, profile: Profile) -> tuple[bool, list[str]]:
    low, high = _ends(item)
    exact = item.vr == "DA" and isinstance(item.match, Range) and (low != "" or not profile.ranges_find_nothing_given)
    keyword = _name_of(item)
    if ANY in profile.ranges or keyword in profile.ranges:
        return exact, [f"{low}-{high}"]
    return False, []


def _ends(item: Filter) -> tuple[str, str]:
    match item.match:
        case Range(low, high) if item.vr == "TM":
            return _from(low), high or ""
        case Range(low, high):
            return low or "", high or ""
        case Moments(_, first, last):
            return first[0] if first else "", last[0] if last else ""
        case _:
            return "", ""


def _from(time: str | None) -> str:
    """A time as short as it can be written: to those who compare text, ``1030`` is before ``1030`` and ``103000`` alike."""
    if time is None:
        return ""
    whole, _, fraction = time.partition(".")
    if fraction.strip("0"):
        return f"{whole}.{fraction.rstrip('0')}"
    return whole[:2] + (whole[2:].rstrip("0") + "0" * (len(whole[2:].rstrip("0")) % 2))
