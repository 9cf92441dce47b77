"""A Part 10 file out of a data set in DICOM JSON (PS3.18 Annex F, PS3.10 7.1), with holes where its bulk data belong.

1. The data set is Explicit VR Little Endian, whatever native transfer syntax was named. Sequences and items have undefined lengths,
   so nothing of what is around a hole depends on what fills it.
2. The text of JSON is Unicode, so Specific Character Set is ISO_IR 192 where the data set names one or any text is not ASCII.
3. Group lengths are dropped. Group 0002 gives the transfer syntax and who wrote the data set; the rest of the file meta information
   is made from the data set itself.
4. One bad element fails its instance, naming the tag. No error shows a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from gateway.dicom.encoding import TEXT, NotAValue, decoded, encoded
from gateway.dicom.explicit import element_header, padding
from gateway.dicom.filemeta import GROUP_LENGTH, SOP_CLASS, SOP_INSTANCE, SYNTAX, VERSION, file_meta
from gateway.dicom.header import SERIES, SOP, STUDY, Instance, identity
from gateway.dicom.header import SOP_CLASS as CLASS
from gateway.dicom.model import CHARACTER_SET, DEEPEST, UTF_8
from gateway.dicom.part10 import uid_text
from gateway.dicom.resolve import chosen_vr, creator_tag, known_vr
from gateway.dicom.structure import UNDEFINED
from gateway.dicom.vrs import LONG, SHORT
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import is_uid
from gateway.errors import InstanceError

Json = Mapping[str, Any]

PIXEL_DATA = 0x7FE00010

_VRS = frozenset({*SHORT.values(), *LONG.values()})
_KEY = re.compile(r"[0-9A-Fa-f]{8}")
_ITEM, _ITEM_END = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_KINDS = ("Value", "InlineBinary", "BulkDataURI")
_IDENTITY = frozenset({CLASS, SOP, STUDY, SERIES})
_MADE = frozenset({GROUP_LENGTH, VERSION, SOP_CLASS, SOP_INSTANCE, SYNTAX})


@dataclass(frozen=True, slots=True)
class Hole:
    """An element that is still to be written, header included.

    :param uri: its BulkDataURI; None for pixel data that stand in the JSON itself, which are `raw` then.
    :param depth: sequences around it.
    """

    tag: int
    vr: str
    uri: str | None
    raw: bytes
    depth: int


@dataclass(frozen=True, slots=True)
class Composed:
    """:param pieces: the whole file; bytes that follow each other are one piece."""

    instance: Instance
    pieces: list[bytes | Hole]


def uid_of(dataset: Json, tag: int) -> str | None:
    """A UID of a data set that may be anything, None where there is none."""
    attribute = dataset.get(f"{tag:08X}")
    values = attribute.get("Value") if isinstance(attribute, Mapping) else None
    if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], str):
        return None
    uid = uid_text(values[0].encode("ascii", "replace"))
    return uid if is_uid(uid) else None


def references(dataset: Json) -> Iterator[str]:
    """Every BulkDataURI of a data set that may be anything, in no order."""
    left: list[Any] = [dataset]
    while left:
        one = left.pop()
        for attribute in one.values() if isinstance(one, Mapping) else ():
            if not isinstance(attribute, Mapping):
                continue
            if isinstance(uri := attribute.get("BulkDataURI"), str):
                yield uri
            if isinstance(values := attribute.get("Value"), list):
                left += [value for value in values if isinstance(value, Mapping)]


def compose(dataset: Json, syntax: str) -> Composed:
    """A file with holes.

    :param dataset: whole, those attributes included that describe its pixels. :param syntax: the one that it gets.
    :raises InstanceError: naming the tag. `sop` and `sop_class` are not set.
    """
    writer = _Writer()
    writer.dataset(dataset, 0, None)
    instance = identity(writer.values, syntax)
    meta = file_meta(_meta(dataset), syntax, instance.sop_class.encode(), instance.sop.encode())
    pieces: list[bytes | Hole] = []
    held = [bytes(128), b"DICM", meta]
    for piece in writer.out:
        if isinstance(piece, bytes):
            held.append(piece)
            continue
        pieces += [b"".join(held), piece]
        held = []
    pieces.append(b"".join(held))
    return Composed(instance, pieces)


def attributes(chosen: Json, around: Json) -> tuple[dict[int, bytes], bool]:
    """Some elements of the top level by their tags, and whether any of their text is not ASCII.

    :param around: the whole data set, for what hangs on other elements.
    :raises InstanceError: naming the tag; also for bulk data, which has no bytes here.
    """
    writer, scope = _Writer(), _Scope(around, None)
    found: dict[int, bytes] = {}
    for tag, attribute in _elements(chosen, 0):
        writer.out = []
        writer._element(tag, _checked(attribute, tag), 0, scope)
        if not all(isinstance(piece, bytes) for piece in writer.out):
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "holds bulk data that is kept apart, and cannot be written anew", tag)
        found[tag] = b"".join(piece for piece in writer.out if isinstance(piece, bytes))
    return found, writer.wide


def _meta(dataset: Json) -> dict[int, bytes]:
    """What is kept of group 0002."""
    found: dict[int, bytes] = {}
    for key, attribute in dataset.items():
        if key.startswith("0002") and (tag := int(key, 16)) not in _MADE:
            vr = _vr(attribute, tag, None)
            found[tag] = _given(attribute, vr, tag)
    return found


@dataclass(slots=True)
class _Writer:
    out: list[bytes | Hole] = field(default_factory=list)
    values: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    wide: bool = False  # whether any text is not ASCII

    def dataset(self, dataset: Json, depth: int, around: _Scope | None) -> None:
        """All elements of the root or an item, in the order of their tags."""
        scope = _Scope(dataset, around)
        place = len(self.out)
        last = 0
        for tag, attribute in sorted(_elements(dataset, depth), key=itemgetter(0)):
            if tag == last:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "stands twice in one data set", tag)
            last = tag
            if tag & 0xFFFF:
                self._element(tag, _checked(attribute, tag), depth, scope)
            if tag <= CHARACTER_SET:
                place = len(self.out)
        if depth == 0 and self.wide and f"{CHARACTER_SET:08X}" not in dataset:
            self.out.insert(place, _whole(CHARACTER_SET, "CS", encoded("CS", UTF_8["Value"])))

    def _element(self, tag: int, attribute: Json, depth: int, scope: _Scope) -> None:
        vr = _vr(attribute, tag, scope)
        if tag == CHARACTER_SET:
            attribute = UTF_8
        if vr == "SQ" and "BulkDataURI" not in attribute:
            self._sequence(tag, attribute, depth, scope)
        elif "BulkDataURI" in attribute:
            uri = attribute["BulkDataURI"]
            if not isinstance(uri, str) or not uri:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "BulkDataURI is not text", tag)
            self.out.append(Hole(tag, "UN" if vr == "SQ" else vr, uri, b"", depth))
        else:
            raw = _given(attribute, vr, tag)
            if tag == PIXEL_DATA and depth == 0:
                self.out.append(Hole(tag, vr, None, raw, depth))
                return
            self.wide = self.wide or (vr in TEXT and not raw.isascii())
            self.out.append(_whole(tag, vr, raw))
            if depth == 0 and tag in _IDENTITY:
                self.values[tag] = (vr, raw)

    def _sequence(self, tag: int, attribute: Json, depth: int, scope: _Scope) -> None:
        if depth >= DEEPEST:
            raise InstanceError(Reason.CANNOT_UNDERSTAND, f"more than {DEEPEST} sequences inside each other", tag)
        self.out.append(element_header(tag, "SQ", UNDEFINED))
        items = attribute.get("Value", [])
        for item in items if isinstance(items, list) else [None]:
            if not isinstance(item, Mapping):
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "an item of the sequence is not an object", tag)
            self.out.append(_ITEM)
            self.dataset(item, depth + 1, scope)
            self.out.append(_ITEM_END)
        self.out.append(_SEQUENCE_END)


@dataclass(slots=True)
class _Scope:
    """A data set and the ones around it, for VRs that hang on other elements."""

    dataset: Json
    around: _Scope | None

    def find(self, tag: int) -> int | None:
        """First number of the nearest element with this tag."""
        scope: _Scope | None = self
        while scope is not None:
            attribute = scope.dataset.get(f"{tag:08X}")
            values = attribute.get("Value") if isinstance(attribute, Mapping) else None
            if isinstance(values, list) and values and isinstance(values[0], int | str):
                return int(values[0]) if str(values[0]).isdecimal() else None
            scope = scope.around
        return None

    def creator(self, tag: int) -> str | None:
        """The private creator of an element of this data set."""
        attribute = self.dataset.get(f"{creator_tag(tag):08X}")
        values = attribute.get("Value") if isinstance(attribute, Mapping) else None
        return values[0] if isinstance(values, list) and values and isinstance(values[0], str) else None


def _elements(dataset: Json, depth: int) -> list[tuple[int, Any]]:
    """Tags and attributes; the file meta information is none of the data set."""
    return [(_tag(key), attribute) for key, attribute in dataset.items() if depth or not key.startswith("0002")]


def _tag(key: str) -> int:
    if _KEY.fullmatch(key) is None:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "an attribute has a name that is not eight hexadecimal digits (PS3.18 F.2.2)")
    tag = int(key, 16)
    if not 0x00040000 <= tag < 0xFFFE0000 or tag >> 16 in (5, 7):
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "not an element of a data set (PS3.5 7.1)", tag)
    return tag


def _checked(attribute: Any, tag: int) -> Json:
    if not isinstance(attribute, Mapping):
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "the attribute is not an object (PS3.18 F.2.2)", tag)
    if sum(kind in attribute for kind in _KINDS) > 1:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "more than one of Value, InlineBinary and BulkDataURI (PS3.18 F.2.2)", tag)
    return attribute


def _vr(attribute: Any, tag: int, scope: _Scope | None) -> str:
    """The VR that an attribute names, or that a dictionary has for it."""
    vr = attribute.get("vr") if isinstance(attribute, Mapping) else None
    if vr is None:
        known = known_vr(tag, 0, scope.creator(tag) if scope else None)
        return chosen_vr(known, scope.find if scope else lambda _: None)
    if vr not in _VRS:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "its vr is none of PS3.5 6.2", tag)
    return str(vr)


def _given(attribute: Any, vr: str, tag: int) -> bytes:
    """The bytes of what stands in the JSON itself."""
    attribute = _checked(attribute, tag)
    values = attribute.get("Value", [])
    try:
        if "InlineBinary" in attribute:
            return decoded(attribute["InlineBinary"])
        if not isinstance(values, list):
            raise NotAValue("Value is not a list")
        return encoded(vr, values) if values else b""
    except NotAValue as error:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, str(error), tag) from None


def _whole(tag: int, vr: str, raw: bytes) -> bytes:
    raw += padding(vr, len(raw))
    return element_header(tag, vr, len(raw)) + raw
