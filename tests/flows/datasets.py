"""Data sets of any content for hypothesis: every VR, private elements, items in items, several character sets, three encodings.

Text is encoded by pydicom, the rest by `handmade`, so that the room that is tested writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from struct import pack
from typing import Any

from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import convert_encodings, encode_string
from pydicom.valuerep import PersonName

from gateway.dicom.part10 import BIG_ENDIAN, EXPLICIT, IMPLICIT
from tests.dicom.handmade import el, file, item, open_item, open_sq, plain, sq

SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN)

KATAKANA = ("ISO_IR 13",)
SETS: dict[tuple[str, ...], str] = {
    ("",): "",
    ("ISO_IR 100",): "äßÆ÷",
    ("ISO_IR 126",): "Διον",
    ("ISO_IR 144",): "Люкс",
    KATAKANA: "ﾔﾏﾀﾞ",
    ("", "ISO 2022 IR 87"): "やまだ山田太郎",
    ("", "ISO 2022 IR 149"): "김희중",
    ("GB18030",): "王小东乗獅",
    ("ISO_IR 192",): "Wäng王ｦ𝄞ß",
}
"""Specific Character Sets (0008,0005), and letters that each adds to ASCII. The second bytes of some are backslashes."""

_CODES = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_WORDS = {"OB": 1, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "UN": 1}
_ENCODED = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
_SINGLE = {"LT", "ST", "UT", "UR"}
_PADDED_BY_NUL = {"UI", *_WORDS}

_PUBLIC = {
    vr: [tag for tag, entry in sorted(DicomDictionary.items()) if entry[0] == vr and tag >> 16 > 8 and tag & 0xFFFF][:6]
    for vr in (*_CODES, *_WORDS, *_ENCODED, "AE", "AS", "AT", "CS", "DA", "DS", "DT", "IS", "SQ", "TM", "UI", "UR")
}
_PRIVATE = [0x00090010 + (block << 8) + number for block in (0x10, 0x11) for number in range(3)]


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element with values: text, numbers, or the bytes of all of them together."""

    tag: int
    vr: str
    values: Any


@dataclass(frozen=True, slots=True)
class Nest:
    """A sequence; `undefined` tells how the lengths of it and its items are written."""

    tag: int
    items: tuple[Content, ...]
    undefined: bool


@dataclass(frozen=True, slots=True)
class Content:
    """A data set and its character set; None for that of what is around it."""

    terms: tuple[str, ...] | None
    elements: tuple[Leaf | Nest, ...]


def written(content: Content, syntax: str) -> bytes:
    """A file."""
    named = replace(content, elements=(Leaf(0x00080018, "UI", ("1.2.3",)), *content.elements))
    return file(*_elements(named, syntax, ("",)), syntax=syntax)


def _elements(content: Content, syntax: str, terms: tuple[str, ...]) -> list[bytes]:
    terms = terms if content.terms is None else content.terms
    named = [] if content.terms is None else [Leaf(0x00080005, "CS", terms)]
    creator = [Leaf(0x00090010, "LO", ("ACME",))] if any(element.tag >> 16 == 9 for element in content.elements) else []
    elements = sorted([*named, *creator, *content.elements], key=lambda element: element.tag)
    return [_nest(one, syntax, terms) if isinstance(one, Nest) else _leaf(one, syntax, terms) for one in elements]


def _nest(nest: Nest, syntax: str, terms: tuple[str, ...]) -> bytes:
    little = syntax != BIG_ENDIAN
    one: Callable[..., bytes] = item
    if nest.undefined and little:
        one = open_item
    items = [one(*_elements(content, syntax, terms), little=little) for content in nest.items]
    if syntax == IMPLICIT:
        return plain(nest.tag, b"".join(items))
    return open_sq(nest.tag, *items) if nest.undefined and little else sq(nest.tag, *items, little=little)


def _leaf(leaf: Leaf, syntax: str, terms: tuple[str, ...]) -> bytes:
    little = syntax != BIG_ENDIAN
    raw = _raw(leaf, little, terms)
    raw += (b"\0" if leaf.vr in _PADDED_BY_NUL else b" ") * (len(raw) % 2)
    return plain(leaf.tag, raw) if syntax == IMPLICIT else el(leaf.tag, leaf.vr, raw, little)


def _raw(leaf: Leaf, little: bool, terms: tuple[str, ...]) -> bytes:
    order = "<" if little else ">"
    if leaf.vr in _WORDS:
        return bytes(leaf.values)
    if leaf.vr == "AT":
        return b"".join(pack(order + "HH", tag >> 16, tag & 0xFFFF) for tag in leaf.values)
    if leaf.vr in _CODES:
        return pack(f"{order}{len(leaf.values)}{_CODES[leaf.vr]}", *leaf.values)
    return b"\\".join(_text(value, leaf.vr, terms) for value in leaf.values)


def _text(value: str, vr: str, terms: tuple[str, ...]) -> bytes:
    if vr not in _ENCODED:
        return value.encode("ascii")
    if terms == KATAKANA:  # pydicom warns of Latin letters beside them
        return value.encode("shift_jis")
    encodings = convert_encodings(list(terms))
    return PersonName(value).encode(encodings) if vr == "PN" else encode_string(value, encodings)


# -- strategies

_INTEGERS = st.integers(-(2**31), 2**31 - 1).map(str)
_DECIMALS = st.from_regex(r"[+-]?[0-9]{1,6}(\.[0-9]{0,6})?([eE][+-]?[0-9])?", fullmatch=True) | st.sampled_from(("1,5", "9" * 16))
_DATES = st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}")
_TIMES = st.times().map(lambda time: time.strftime("%H%M%S.%f"))
_UIDS = st.from_regex(r"[12](\.[1-9][0-9]{0,5}){1,6}", fullmatch=True)
_CODE = st.text("ABCXYZ019 _", max_size=16)
_ADDRESSES = st.text("abc/:?&=%.", max_size=40)

_ASCII_TEXT: dict[str, st.SearchStrategy[str]] = {
    "AE": _CODE,
    "AS": st.from_regex(r"[0-9]{3}[DWMY]", fullmatch=True),
    "CS": _CODE,
    "DA": _DATES,
    "DS": _DECIMALS,
    "DT": st.builds(str.__add__, _DATES, _TIMES),
    "IS": _INTEGERS,
    "TM": _TIMES,
    "UI": _UIDS,
    "UR": _ADDRESSES.map(lambda text: "a" + text),
}

_NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "AT": st.integers(0, 2**32 - 1),
    "FD": st.floats(width=64),
    "FL": st.floats(width=32),
    **{vr: st.integers(-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) for vr, size in (("SL", 4), ("SS", 2), ("SV", 8))},
    **{vr: st.integers(0, 2 ** (8 * size) - 1) for vr, size in (("UL", 4), ("US", 2), ("UV", 8))},
}


def _letters(terms: tuple[str, ...], vr: str) -> st.SearchStrategy[str]:
    more = "=" if vr != "PN" else ""
    lines = "\r\n" if vr in {"LT", "ST", "UT"} else ""
    back = "\\" if vr in {"LT", "ST", "UT"} and terms != KATAKANA else ""  # which has a yen sign in its place
    return st.text("ab Z09^" + more + lines + back + SETS[terms], max_size=20)


def _names(terms: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.lists(_letters(terms, "PN"), min_size=1, max_size=3).map("=".join)


def _values(vr: str, terms: tuple[str, ...]) -> st.SearchStrategy[Any]:
    if vr in _WORDS:
        edges = [edge for edge in (0, 2, 2046, 2048, 2056, 65532, 65538) if edge % _WORDS[vr] == 0]
        return st.sampled_from(edges).map(lambda size: bytes(index % 251 for index in range(size)))
    if vr in _NUMBERS:
        many = st.sampled_from((511, 512, 513)).flatmap(lambda count: _NUMBERS[vr].map(lambda one: (one,) * count))
        return st.lists(_NUMBERS[vr], max_size=4).map(tuple) | many
    if vr in _SINGLE:
        return st.tuples(_ASCII_TEXT[vr] if vr in _ASCII_TEXT else _letters(terms, vr) | st.just("long " * 4000))
    one = _ASCII_TEXT[vr] if vr in _ASCII_TEXT else _names(terms) if vr == "PN" else _letters(terms, vr)
    return st.lists(one | st.just(""), max_size=4).map(tuple)


@st.composite
def _an_element(draw: st.DrawFn, terms: tuple[str, ...], depth: int, private: bool) -> Leaf | Nest:
    vr = draw(st.sampled_from([vr for vr in _PUBLIC if vr != "SQ"] + ["SQ", "PN", "LO"] * 4 * bool(depth)))
    tags = (_PUBLIC[vr] or _PRIVATE) + (_PRIVATE if private else [])
    tag = draw(st.sampled_from(tags))
    if vr == "SQ":
        return Nest(tag, tuple(draw(st.lists(contents(terms, depth - 1, private), max_size=3))), draw(st.booleans()))
    return Leaf(tag, vr, draw(_values(vr, terms)))


@st.composite
def contents(draw: st.DrawFn, around: tuple[str, ...], depth: int, private: bool) -> Content:
    own = draw(st.none() | st.sampled_from(list(SETS)))
    terms = around if own is None else own
    elements = draw(st.lists(_an_element(terms, depth, private), max_size=8, unique_by=lambda element: element.tag))
    return Content(own, tuple(elements))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Whole files. Implicit VR has no private elements: what they are is written nowhere in them."""
    syntax = draw(st.sampled_from(SYNTAXES))
    return written(draw(contents(("",), 3, syntax != IMPLICIT)), syntax)
