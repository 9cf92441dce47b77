"""What the value of a search key must look like (PS3.18 8.3.4.1, PS3.4 C.2.2.2).

`parse_match` only says what is meant. Comparing is the work of whoever holds the data, and follows these rules:

- `Exact`, `Wildcard` and `AnyOf` compare text after trailing blanks; ``*`` is any run of characters and ``?`` any one.
- `Range` includes both ends. Dates compare as text. Times are given to the microsecond (``HHMMSS.FFFFFF``), the lower end
  padded with zeros and the upper one to the last moment that it can mean, so ``10-12`` ends at 12:59:59.999999.
- `Universal` matches whether the attribute is there or not.
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
_UNMATCHABLE_VRS = frozenset({"SQ", "AT", "OB", "OD", "OF", "OL", "OV", "OW"})

_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?")
# An offset from UTC may be negative, so a hyphen does not always divide a range. No offset lies beyond 14 hours.
_DATETIME = r"[0-9]{4}(?:[0-9]{2}){0,5}(?:\.[0-9]{1,6})?(?:[+-](?:0[0-9]|1[0-4])[0-9]{2})?"
_DATETIME_VALUE = re.compile(_DATETIME)
_DATETIME_RANGE = re.compile(rf"({_DATETIME})?-({_DATETIME})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
class AnyOf:
    """Any of these values, sorted (PS3.4 C.2.2.2.2, list of UID matching)."""

    values: tuple[str, ...]


Match = Universal | Exact | Wildcard | Range | AnyOf


def parse_match(vr: str, text: str, name: str) -> Match:
    """What `text` asks of an attribute.

    :param name: the parameter's name, for the error message.
    :raises InvalidQuery: when a value of that VR cannot be matched so.
    """
    text = text.strip(" ")
    if not text.strip("*"):
        return Universal()
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
    return _texts(vr, text, name)


def _texts(vr: str, text: str, name: str) -> Match:
    values = _split(vr, text)
    if not values:
        return Universal()
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
    if vr in _WILDCARD_VRS and ("*" in value or "?" in value):
        return Wildcard(re.sub(r"\*+", "*", value))
    return Exact(value)


def _dates(text: str, name: str) -> Match:
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
        return Exact(text)
    found = _DATETIME_RANGE.fullmatch(text)
    if found is None or text == "-":
        raise InvalidQuery(f"{name} is neither a date and time nor a range of them (PS3.4 C.2.2.2.5)")
    return Range(found[1], found[2])
