"""The bytes of a value that is given in DICOM JSON (PS3.18 F.2.3 to F.2.5, PS3.5 6.2): `values` backwards.

1. Numbers are little endian, text with a character set is UTF-8, text without one is Latin-1, as `values` reads it.
2. JSON writers differ and XML has nothing but text: a number may come as text, and text as a number.
3. What is no value of its VR raises `NotAValue`; nothing is made to fit but the digits of a DS, which has room for 16 characters.
4. Nothing is padded here: `explicit.padding` knows how.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Mapping
from struct import error, pack
from typing import Any

TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose text is of Specific Character Set (0008,0005)."""

ROOM = 16
"""Characters of a DS (PS3.5 table 6.2-1)."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_BLANKS = re.compile(r"[ \t\r\n]+")
_NAME = ("Alphabetic", "Ideographic", "Phonetic")


class NotAValue(ValueError):
    """What is given is no value of that VR. The text says what it should be, and never what it is."""


def encoded(vr: str, values: list[Any]) -> bytes:
    """The bytes of an attribute's "Value", without padding.

    :param vr: two letters. :param values: as JSON has them; None is an empty one.
    :raises NotAValue: also for VRs that have no "Value".
    """
    write = _WRITERS.get(vr)
    if write is None:
        raise NotAValue(f"VR {vr} has no Value but InlineBinary or BulkDataURI (PS3.18 F.2.2)")
    return write(values)


def decoded(text: Any) -> bytes:
    """The bytes of an "InlineBinary" (PS3.18 F.2.7).

    :raises NotAValue: when it is no base64.
    """
    if not isinstance(text, str):
        raise NotAValue("InlineBinary is not text")
    try:
        return b64decode(_BLANKS.sub("", text), validate=True)
    except (Error, ValueError):
        raise NotAValue("InlineBinary is not base64 (RFC 4648 4)") from None


# -- text


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    raise NotAValue("a value is not text")


def _plain(values: list[Any]) -> bytes:
    """AE, AS, CS, DA, DT, TM, UI: default repertoire."""
    try:
        return "\\".join(map(_word, values)).encode("latin-1")
    except UnicodeEncodeError:
        raise NotAValue("a value has characters that its VR does not know") from None


def _words(values: list[Any]) -> bytes:
    """LO, SH, UC."""
    return "\\".join(map(_word, values)).encode()


def _text(values: list[Any]) -> bytes:
    """LT, ST, UT: a backslash is text, so there is one value."""
    if len(values) > 1:
        raise NotAValue("more values than one")
    return _words(values)


def _address(values: list[Any]) -> bytes:
    """UR."""
    if len(values) > 1:
        raise NotAValue("more values than one")
    return _plain(values)


def _names(values: list[Any]) -> bytes:
    """PN: an object of component groups, or text as older writers have it."""
    return "\\".join(map(_name, values)).encode()


def _name(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _word(value)
    return "=".join(_word(value.get(group)) for group in _NAME).rstrip("=")


# -- numbers


def _decimals(values: list[Any]) -> bytes:
    """DS."""
    return _plain([_decimal(value) for value in values])


def _decimal(value: Any) -> str:
    if not isinstance(value, float):
        return _word(value)
    if not math.isfinite(value):
        raise NotAValue("a value is not a number")
    return _short(value)


def _short(value: float) -> str:
    """The shortest way to write a number, and if that has no room the digits that do."""
    text = repr(value).replace("e+", "e")
    if len(text) > ROOM and "0." in text[:3]:
        text = text.replace("0.", ".", 1)
    digits = ROOM
    while len(text) > ROOM:
        text = f"{value:.{digits}g}"
        digits -= 1
    return text


def _integers(values: list[Any]) -> bytes:
    """IS."""
    return _plain([int(value) if isinstance(value, float) and value.is_integer() else value for value in values])


def _tags(values: list[Any]) -> bytes:
    if not all(isinstance(value, str) and _TAG.fullmatch(value) for value in values):
        raise NotAValue("a value is not eight hexadecimal digits")
    return b"".join(pack("<HH", int(value[:4], 16), int(value[4:], 16)) for value in values)


def _packed(code: str, number: Callable[[Any], Any]) -> Callable[[list[Any]], bytes]:
    def write(values: list[Any]) -> bytes:
        try:
            return pack(f"<{len(values)}{code}", *map(number, values))
        except (error, OverflowError):
            raise NotAValue("a value is beyond what its VR can hold") from None

    return write


def _whole(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise NotAValue("a value is not a whole number")


def _floating(value: Any) -> float:
    """A number; "NaN", "Infinity" and "-Infinity" stand for what JSON has no numbers for."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or "_" in str(value):
        raise NotAValue("a value is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise NotAValue("a value is not a number") from None


_WRITERS: dict[str, Callable[[list[Any]], bytes]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), _plain),
    **dict.fromkeys(("LO", "SH", "UC"), _words),
    **dict.fromkeys(("LT", "ST", "UT"), _text),
    "AT": _tags,
    "DS": _decimals,
    "IS": _integers,
    "PN": _names,
    "UR": _address,
    "FD": _packed("d", _floating),
    "FL": _packed("f", _floating),
    "SL": _packed("i", _whole),
    "SS": _packed("h", _whole),
    "SV": _packed("q", _whole),
    "UL": _packed("I", _whole),
    "US": _packed("H", _whole),
    "UV": _packed("Q", _whole),
}
