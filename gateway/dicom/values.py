"""The values of one element as DICOM JSON has them (PS3.18 F.2.3 to F.2.5, PS3.5 6.2).

Every function takes the raw bytes of a value and returns the list that belongs under "Value"; an empty list means that the
attribute is empty. Rules:

1. Padding goes: trailing spaces and NULs of all text; leading spaces too where PS3.5 table 6.2-1 calls them insignificant.
2. An empty value among several is None (null).
3. DS and IS become numbers when their text is one, and stay text otherwise (`1,5`, `nan`, `5 mm`). IS that is not whole
   ("1.5") stays text, so do more than 15 digits in a row: readers that know only doubles would change them.
4. SV, UV and large UL are numbers: the standard allows both, and the exact digits go out either way.
5. FL and FD have no JSON number for NaN and the infinities: "NaN", "Infinity" and "-Infinity" stand for them, the spelling
   of JavaScript, Java and protobuf, which dicom-rs and fo-dicom read and write too.
6. Bytes that do not make whole numbers raise `BadValue`; text is never refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite, isnan
from struct import unpack
from typing import Any

from gateway.dicom.charset import CharacterSet

PADDING = " \0"

_LATIN_1 = "latin-1"
_INTEGER = re.compile(rb"[+-]?[0-9]{1,15}").fullmatch
_DECIMAL = re.compile(rb"[+-]?(?=[0-9]*[.eE])(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?").fullmatch


class BadValue(ValueError):
    """The bytes are not values of that VR."""


Convert = Callable[[bytes, CharacterSet, bool], list[Any]]
"""(raw bytes, character set, whether numbers are little endian) -> values."""


def codes(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """AE, CS: default repertoire, spaces at both ends insignificant."""
    text = raw.decode(_LATIN_1)
    if "\\" in text:
        return [value.strip(PADDING) or None for value in text.split("\\")]
    text = text.strip(PADDING)
    return [text] if text else []


def stamps(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """AS, DA, DT, TM, UI: default repertoire, trailing padding only."""
    text = raw.decode(_LATIN_1).rstrip(PADDING)
    if "\\" in text:
        return [value.rstrip(PADDING) or None for value in text.split("\\")]
    return [text] if text else []


def words(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """LO, SH: text of the character set, several values, spaces at both ends insignificant."""
    text = charset.decode(raw)
    if "\\" in text:
        return [value.strip(PADDING) or None for value in text.split("\\")]
    text = text.strip(PADDING)
    return [text] if text else []


def long_words(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """UC: as LO, but leading spaces count."""
    text = charset.decode(raw).rstrip(PADDING)
    if "\\" in text:
        return [value.rstrip(PADDING) or None for value in text.split("\\")]
    return [text] if text else []


def text(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """LT, ST, UT: one value, backslashes are text."""
    value = charset.decode(raw).rstrip(PADDING)
    return [value] if value else []


def address(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """UR: one value of the default repertoire."""
    value = raw.decode(_LATIN_1).rstrip(PADDING)
    return [value] if value else []


def names(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """PN: an object with the component groups that are not empty (PS3.18 F.2.2)."""
    value = charset.decode(raw, True).rstrip(PADDING)
    if not value:
        return []
    if "\\" not in value and "=" not in value:
        return [{"Alphabetic": value}]
    found = [_name(one) for one in value.split("\\")]
    return found if found != [None] else []


def _name(value: str) -> dict[str, str] | None:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), value.split("=", 2), strict=False)
    return {key: group for key, padded in groups if (group := padded.rstrip(PADDING))} or None


def decimals(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """DS (rule 3)."""
    if b"\\" in raw:
        return [_decimal(value.strip(b" \0")) for value in raw.split(b"\\")]
    raw = raw.strip(b" \0")
    return [_decimal(raw)] if raw else []


def _decimal(raw: bytes) -> int | float | str | None:
    if _INTEGER(raw):
        return int(raw)
    if _DECIMAL(raw) and isfinite(number := float(raw)):
        return number
    return raw.decode(_LATIN_1) or None


def integers(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """IS (rule 3)."""
    if b"\\" in raw:
        return [_integer(value.strip(b" \0")) for value in raw.split(b"\\")]
    raw = raw.strip(b" \0")
    return [_integer(raw)] if raw else []


def _integer(raw: bytes) -> int | str | None:
    if _INTEGER(raw):
        return int(raw)
    number = _decimal(raw)
    if isinstance(number, float):
        return int(number) if number.is_integer() and abs(number) < 2**53 else raw.decode(_LATIN_1)
    return number


def tags(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
    """AT: group and element as eight hexadecimal digits.

    :raises BadValue: when the length is no multiple of four.
    """
    numbers = _unpack(raw, "H", 2, little)
    if len(numbers) & 1:
        raise BadValue("half a tag")
    return [f"{group:04X}{element:04X}" for group, element in zip(numbers[::2], numbers[1::2], strict=True)]


def _whole(code: str, size: int) -> Convert:
    def convert(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
        return list(_unpack(raw, code, size, little))

    return convert


def _floating(code: str, size: int) -> Convert:
    def convert(raw: bytes, charset: CharacterSet, little: bool) -> list[Any]:
        return [value if isfinite(value) else _not_finite(value) for value in _unpack(raw, code, size, little)]

    return convert


def _not_finite(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _unpack(raw: bytes, code: str, size: int, little: bool) -> tuple[Any, ...]:
    count, rest = divmod(len(raw), size)
    if rest:
        raise BadValue("a part of a number is left over")
    return unpack(f"{'<' if little else '>'}{count}{code}", raw)


CONVERT: dict[str, Convert] = {
    "AE": codes,
    "AS": stamps,
    "AT": tags,
    "CS": codes,
    "DA": stamps,
    "DS": decimals,
    "DT": stamps,
    "FD": _floating("d", 8),
    "FL": _floating("f", 4),
    "IS": integers,
    "LO": words,
    "LT": text,
    "PN": names,
    "SH": words,
    "SL": _whole("i", 4),
    "SS": _whole("h", 2),
    "ST": text,
    "SV": _whole("q", 8),
    "TM": stamps,
    "UC": long_words,
    "UI": stamps,
    "UL": _whole("I", 4),
    "UR": address,
    "US": _whole("H", 2),
    "UT": text,
    "UV": _whole("Q", 8),
}
"""The VRs that have a "Value"; the others are SQ and the binary ones."""
