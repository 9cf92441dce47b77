"""Whether attributes match a `Query`, in Python: for backends without an index (PS3.4 C.2.2.2).

The rules are those that `dicomweb.matching` states; the index of the local store says the same in SQL, and the contract
suite holds both to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from gateway.dicomweb.matching import AnyOf, Exact, Match, Range, Universal, Wildcard
from gateway.dicomweb.query import Filter

Attributes = Mapping[str, Any]


def matches(attributes: Attributes, item: Filter) -> bool:
    """Whether one of the attribute's values, in any item of the sequences on the way, matches."""
    if isinstance(item.match, Universal):
        return True
    return any(value_matches(value, item.vr, item.match) for value in _values(attributes, item.path))


def _values(attributes: Attributes, path: tuple[int, ...]) -> Iterator[Any]:
    found = attributes.get(f"{path[0]:08X}", {}).get("Value", ())
    if len(path) == 1:
        yield from found
    else:
        for item in found:
            if isinstance(item, dict):
                yield from _values(item, path[1:])


def value_matches(value: Any, vr: str, match: Match) -> bool:
    """Whether one value of the DICOM JSON model matches."""
    if isinstance(value, dict):
        texts = (whole_name(value), value.get("Alphabetic", ""))
        return any(_text_matches(text.lower(), _lowered(match)) for text in texts if text)
    if value is None:
        return False
    if vr == "TM":
        value = padded_time(str(value))
    if isinstance(value, int | float) and isinstance(match, Exact):
        return float(value) == float(match.value)
    return _text_matches(str(value), match)


def whole_name(name: Mapping[str, str]) -> str:
    """The groups of a PN joined as they are in a data set (PS3.5 6.2.1)."""
    return "=".join([name.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]).rstrip("=")


def padded_time(time: str) -> str:
    """A time filled up to HHMMSS.FFFFFF, so that text order is time order; empty for none."""
    whole, _, fraction = time.replace(":", "").partition(".")  # the colons of ACR-NEMA are still met
    return f"{whole:0<6}.{fraction:0<6}" if whole else ""


def _lowered(match: Match) -> Match:
    """PN is matched without regard to case (PS3.4 C.2.2.2.1)."""
    match match:
        case Exact(value):
            return Exact(value.lower())
        case Wildcard(pattern):
            return Wildcard(pattern.lower())
        case AnyOf(values):
            return AnyOf(tuple(value.lower() for value in values))
        case _:
            return match


def _text_matches(text: str, match: Match) -> bool:
    match match:
        case Exact(value):
            return text == value
        case Wildcard(pattern):
            return fnmatchcase(text, pattern.replace("[", "[[]"))  # its stars never backtrack into each other
        case AnyOf(values):
            return text in values
        case Range(low, high):
            return (low is None or text >= low) and (high is None or text <= high)
        case _:
            return True
