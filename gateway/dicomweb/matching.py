"""What the value of a search key must look like (PS3.18 8.3.4.1, PS3.4 C.2.2.2).

`parse_match` only says what is meant. Comparing is the work of whoever holds the data, and follows these rules:

- `Exact`, `Wildcard` and `AnyOf` compare text after trailing blanks; ``*`` is any run of characters and ``?`` any one. Case
  counts, but for names of people, for which see `names`. Of several values of an attribute one has to match.
- Numbers compare by what they are worth: ``+2`` and ``2.0`` are one number.
- `Range` includes both ends. Dates compare as text. Times are given to the microsecond (``HHMMSS.FFFFFF``), the lower end
  padded with zeros and the upper one to the last moment that it can mean, so ``10-12`` ends at 12:59:59.999999.
- `Moments` joins a range of dates and one of times: from the first time of the first day to the last one of the last.
- A date and time (VR DT) is the span that its digits leave open; it matches when it begins within the span of the key. Where
  offsets from UTC are given they count; a value without one is taken as UTC.
- `Fuzzy` names match when one word of the key begins one of the name.
- `Empty` matches an attribute that has no value, or is not there. `Universal` matches whether it is there or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.dicomweb.resources import is_uid
from gateway.errors import InvalidQuery

# PS3.4 C.2.2.2.4, and UN: of a private key nothing is known, and a text with an asterisk hardly means an asterisk.
_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"})
_TEXT_VRS = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is a character of these, not a separator (PS3.5 6.2)
_COMMA_VRS = frozenset({"UI", "CS"})  # no value of these holds a comma, so OHIF's ModalitiesInStudy=CT,MR is a list
_NUMBER_VRS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"})
_UNMATCHABLE_VRS = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW"})

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")  # a DS may end with its point
_ATTRIBUTE_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?")
# An offset from UTC may be negative, so a hyphen does not always divide a range. No offset lies beyond 14 hours.
_DATETIME = r"[0-9]{4}(?:[0-9]{2}){0,5}(?:\.[0-9]{1,6})?(?:[+-](?:0[0-9]|1[0-4])[0-9]{2})?"
_DATETIME_VALUE = re.compile(_DATETIME)
_DATETIME_RANGE = re.compile(rf"({_DATETIME})?-({_DATETIME})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

MAX_PATTERN = 256
"""Characters of a value with wildcards: all three groups of a name have 194. A longer one takes its time at each character of a
long text, and nobody else gets on meanwhile: 8,000 of them a quarter of a second for one text of 64 KiB."""


@dataclass(frozen=True, slots=True)
class Universal:
    """Any value or none (PS3.4 C.2.2.2.3)."""


@dataclass(frozen=True, slots=True)
class Exact:
    """This value (PS3.4 C.2.2.2.1)."""

    value: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Values of this shape (PS3.4 C.2.2.2.4); no two ``*`` stand side by side."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Values between two ends, both included; None leaves an end open (PS3.4 C.2.2.2.5)."""

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Moments:
    """A date and its time between two moments, both included (PS3.4 C.2.2.2.5.4, combined datetime matching).

    :param time: the tag of the time that belongs to the date.
    :param low: date and time, None for an open end.
    """

    time: int
    low: tuple[str, str] | None
    high: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """Names like this one (PS3.18 8.3.4.2)."""

    name: str


@dataclass(frozen=True, slots=True)
class Empty:
    """No value (PS3.4 C.2.2.2.7, PS3.18 8.3.4.5)."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any of these values, sorted (PS3.4 C.2.2.2.2 list of UID matching, C.2.2.2.8 multiple value matching)."""

    values: tuple[str, ...]


Match = Universal | Exact | Wildcard | Range | Moments | Fuzzy | Empty | AnyOf


def parse_match(vr: str, text: str, name: str, *, fuzzy: bool = False, empty: bool = False) -> Match:
    """What `text` asks of an attribute.

    :param name: the parameter's name, for the error message.
    :param fuzzy: ``fuzzymatching``: names without wildcards are matched fuzzily.
    :param empty: ``emptyvaluematching``: two quotation marks ask for no value.
    :raises InvalidQuery: when a value of that VR cannot be matched so.
    """
    text = text.strip(" ")
    if not text.strip("*"):
        return Universal()
    if empty and text == '""':
        return Empty()
    if _CONTROL.search(text):
        raise InvalidQuery(f"the value of {name} holds control characters")
    if vr in _UNMATCHABLE_VRS:
        raise InvalidQuery(f"{name} has the value representation {vr}, which cannot be searched by value")
    if vr == "DA":
        return _dates(text, name)
    if vr == "TM":
        return _times(text, name)
    if vr == "DT":
        return _datetimes(text, name)
    return _texts(vr, text, name, fuzzy=fuzzy and vr == "PN")


def each_value(vr: str, text: str) -> list[str]:
    """The values of a key of which every one has to be among those of the attribute (PS3.4 C.2.2.2.8, multiple value matching)."""
    return _split(vr, text) or [text]


def with_offset(match: Match, vr: str, offset: str) -> Match:
    """A match of dates and times with the offset from UTC that the request gives for those that have none."""
    if vr != "DT" or not offset or not isinstance(match, Range):
        return match
    low, high = (end if end is None or _HAS_OFFSET.search(end) else end + offset for end in (match.low, match.high))
    return Range(low, high)


_HAS_OFFSET = re.compile(r"[+-][0-9]{4}$")


def combined(dates: Range, times: Range, time: int) -> Moments:
    """A range of dates and a range of times as one of moments (PS3.4 C.2.2.2.5.4).

    :param time: the tag of the time.
    """
    low = None if dates.low is None else (dates.low, times.low or "")
    high = None if dates.high is None else (dates.high, times.high or _LAST)
    return Moments(time, low, high)


def _texts(vr: str, text: str, name: str, *, fuzzy: bool) -> Match:
    values = _split(vr, text)
    if not values:
        return Universal()
    if fuzzy and not any(sign in text for sign in "*?"):
        return Fuzzy(" ".join(values))
    if len(values) == 1:
        return _text(vr, values[0], name)
    matches = {_text(vr, value, name) for value in values}
    if any(isinstance(match, Wildcard) for match in matches):
        raise InvalidQuery(f"the list in {name} holds a wildcard")
    return AnyOf(tuple(sorted(match.value for match in matches if isinstance(match, Exact))))


def _split(vr: str, text: str) -> list[str]:
    if vr in _TEXT_VRS:
        return [text]
    words = re.split(r"[\\,]" if vr in _COMMA_VRS else r"\\", text)
    return [word.strip(" ") for word in words if word.strip(" ")]


def _text(vr: str, value: str, name: str) -> Exact | Wildcard:
    if vr == "UI" and not is_uid(value):
        raise InvalidQuery(f"{name} is not a UID or a list of them (PS3.5 9.1)")
    if vr in _NUMBER_VRS and not _NUMBER.fullmatch(value):
        raise InvalidQuery(f"{name} is not a number")
    if vr == "AT":
        if not _ATTRIBUTE_TAG.fullmatch(value):
            raise InvalidQuery(f"{name} is not a tag of eight hexadecimal digits")
        return Exact(value.upper())
    if vr in _WILDCARD_VRS and ("*" in value or "?" in value):
        if len(value) > MAX_PATTERN:
            raise InvalidQuery(f"{name} has wildcards among more than {MAX_PATTERN} characters")
        return Wildcard(re.sub(r"\*+", "*", value))
    return Exact(value)


_LAST = "235959.999999"


def _dates(text: str, name: str) -> Match:
    if "\\" in text and all(_DATE.fullmatch(value) for value in text.split("\\")):
        return AnyOf(tuple(sorted(set(text.split("\\")))))
    low, dash, high = text.partition("-")
    if not all(end == "" or _DATE.fullmatch(end) for end in (low, high)) or text == "-":
        raise InvalidQuery(f"{name} is neither a date YYYYMMDD nor a range of dates (PS3.4 C.2.2.2.5)")
    return Range(low or None, high or None) if dash else Exact(low)


def _times(text: str, name: str) -> Match:
    low, dash, high = text.partition("-")
    if not all(end == "" or _TIME.fullmatch(end) for end in (low, high)) or text == "-":
        raise InvalidQuery(f"{name} is neither a time HHMMSS.FFFFFF nor a range of times (PS3.4 C.2.2.2.5)")
    # A time of fewer digits is a span: 1030 means all of that minute.
    return Range(_moment(low, "00", "0"), _moment(high if dash else low, "59", "9"))


def _moment(text: str, filler: str, fraction_filler: str) -> str | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds, fraction = found.groups()
    return f"{hours}{minutes or filler}{seconds or filler}.{(fraction or '').ljust(6, fraction_filler)}"


def _datetimes(text: str, name: str) -> Match:
    # "+" in a URL is a blank when it is not escaped.
    text = text.replace(" ", "+")
    if _DATETIME_VALUE.fullmatch(text):
        return Range(text, text)
    found = _DATETIME_RANGE.fullmatch(text)
    if found is None or text == "-":
        raise InvalidQuery(f"{name} is neither a date and time nor a range of them (PS3.4 C.2.2.2.5)")
    return Range(found[1], found[2])
