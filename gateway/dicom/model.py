"""The DICOM JSON model in the making: events of a walk in, nested attribute objects out (PS3.18 F.2).

`metadata` is the door to this room and states its rules. pydicom's own writer is the judge in the tests, not the tool: it
needs milliseconds an instance and loses the whole data set to one bad element.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from mmap import mmap
from typing import Any

import orjson

from gateway.dicom.byteorder import WORD, swapped
from gateway.dicom.charset import DEFAULT, CharacterSet, character_set
from gateway.dicom.inside import items_inside
from gateway.dicom.resolve import chosen_vr, creator_tag, known_vr
from gateway.dicom.structure import ITEM, PIXELS, UNDEFINED, Event
from gateway.dicom.values import CONVERT, BadValue
from gateway.dicom.vrs import KNOWN

Data = bytes | bytearray | memoryview | mmap
Attribute = dict[str, Any]

DEEPEST = 80
"""Sequences inside each other that the model shows: each is three levels of JSON, and orjson refuses more than 254."""

OPAQUE = 64 << 10
"""Bytes up to which a value of VR UN is looked into, should a dictionary know more of it."""

SPARE = 1 << 20
"""Bytes of one instance that may be in the model although the walk does not count them as header: UN that is looked into, and
binary values in place. A hostile file could else have as many of them as it likes."""

AN_ITEM = ("", "UN")
"""VRs of items in events. Explicit VR may hide an element of that tag among others, with any VR: damage, and no item."""

CHARACTER_SET = 0x00080005
UTF_8: Attribute = {"vr": "CS", "Value": ["ISO_IR 192"]}

_NUMBER = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
_RULES = {vr: (512 * _NUMBER[vr] if vr in _NUMBER else UNDEFINED - 1, convert) for vr, convert in CONVERT.items()}
_BINARY = {"OB": 0, "OW": 0, "UN": 0, "OD": 2048, "OF": 2048, "OL": 2048, "OV": 2048}

INLINE: dict[str, int] = {vr: limit for vr, (limit, _) in _RULES.items()} | _BINARY
"""The longest value in bytes that stands in the model itself: none of OB, OW and UN, 2 KiB of the other binary VRs, 512
numbers (Google's thresholds, with SL and SS put beside UL and US). Text always does: bulk data is bare bytes, and nothing
would tell their character set."""


_KEYS = {tag: f"{tag:08X}" for tag in KNOWN}


def key_of(tag: int) -> str:
    """The name of an attribute: eight upper-case hexadecimal digits."""
    return _KEYS.get(tag) or f"{tag:08X}"


class Level:
    """A data set that is being filled: the root, or an item of a sequence.

    :param charset: of the data set around it, until it names its own.
    :param path: what the URI of a value in it begins with, None when nothing in it can have one.
    :param little: whether its numbers are little endian.
    """

    __slots__ = ("attributes", "charset", "last", "little", "parent", "path", "sequence", "within")

    def __init__(self, parent: Level | None, charset: CharacterSet, path: str | None, little: bool) -> None:
        self.parent = parent
        self.charset = charset
        self.path = path
        self.little = little
        self.attributes: dict[str, Attribute] = {}
        self.sequence: Attribute = {}  # the attribute that the next item belongs to
        self.last = 0  # the tag of that sequence
        self.within: tuple[str | None, bool] = (None, little)  # path and byte order of its items

    def item(self) -> Level:
        """A new item at the end of the sequence that was met last."""
        items = self.sequence.setdefault("Value", [])
        path, little = self.within
        inner = Level(self, self.charset, None if path is None else f"{path}{len(items)}/", little)
        items.append(inner.attributes)
        return inner

    def creator(self, tag: int) -> str | None:
        """The private creator of `tag` in this data set."""
        values = self.attributes.get(key_of(creator_tag(tag)), {}).get("Value")
        return values[0] if values and isinstance(values[0], str) else None

    def find(self, tag: int) -> int | None:
        """First number of `tag` in this data set, or in the nearest one around it that has it."""
        key = key_of(tag)
        level: Level | None = self
        while level is not None:
            values = level.attributes.get(key, {}).get("Value")
            if values and isinstance(values[0], int):
                return values[0]
            level = level.parent
        return None


class Model:
    """The model of one instance.

    :param data: see `metadata.instance_metadata`.
    :param little: whether numbers are little endian.
    :param base: what a BulkDataURI begins with, None when nothing can have one.
    :param charset: of what the data set stands in.
    """

    def __init__(self, data: Data, little: bool, base: str | None, charset: CharacterSet = DEFAULT) -> None:
        self._data = data
        self._root = Level(None, charset, base, little)
        self._late: list[tuple[Level, Event, bool]] = []  # elements whose VR hangs on another, perhaps later one
        self._spare = SPARE
        self._ordered = True

    @property
    def attributes(self) -> dict[str, Attribute]:
        """What was read, by name."""
        return self._root.attributes

    def read(self, events: Sequence[Event]) -> None:
        """Takes in the whole instance."""
        self._fill([self._root], 0, events)
        self._settle()

    def add(self, key: str, attribute: Attribute) -> None:
        """Puts in what the instance itself does not hold; what it does hold counts."""
        if key not in self._root.attributes:
            self._root.attributes[key] = attribute
            self._ordered = False

    def items(self, events: Sequence[Event]) -> Attribute:
        """Takes in the items of one sequence instead, and returns its attribute."""
        self._root.sequence = {"vr": "SQ"}
        self._fill([self._root], 0, events)
        self._settle()
        return self._root.sequence

    def _settle(self) -> None:
        for level, (tag, vr, offset, length, depth), little in self._late:
            event = (tag, chosen_vr(vr, level.find), offset, length, depth)
            level.attributes[key_of(tag)] = self._plain(level, event, little)

    def to_json(self) -> bytes:
        """The model as UTF-8, and so declared where it has to be."""
        attributes = self._root.attributes
        text = orjson.dumps(attributes, option=0 if self._ordered else orjson.OPT_SORT_KEYS)
        if not text.isascii() and key_of(CHARACTER_SET) not in attributes:
            text = orjson.dumps(attributes | {key_of(CHARACTER_SET): UTF_8}, option=orjson.OPT_SORT_KEYS)
        return text

    def _fill(self, levels: list[Level], depth: int, events: Sequence[Event]) -> None:
        """Adds events to the last of `levels`, which stands at `depth`. The loop does itself what nearly every element needs."""
        data, rule_of, keys, base, level, last = self._data, _RULES.get, _KEYS.get, depth, levels[-1], 0
        for event in events:
            tag, vr, offset, length, at = event
            if at != depth or tag == ITEM:
                if at > DEEPEST or (tag == ITEM and (at == base or vr not in AN_ITEM)):
                    continue
                level, depth = _enter(levels, at - base, tag == ITEM), at
                last = level.last
                if tag == ITEM:
                    continue
            if not tag & 0xFFFF or (not 0x00030000 <= tag < 0xFFFE0000 and tag >> 16 != 1):
                continue
            key = keys(tag) or f"{tag:08X}"
            attributes = level.attributes
            rule = rule_of(vr)
            if tag <= last:
                self._ordered = False
                if key in attributes:
                    level.sequence = {}
                    continue
            else:
                last = tag
            if rule is None or length > rule[0] or tag == CHARACTER_SET:
                attributes[key] = self._attribute(level, event)
            elif not length:
                attributes[key] = {"vr": vr}
            else:
                try:
                    values = rule[1](bytes(data[offset : offset + length]), level.charset, level.little)
                    attributes[key] = {"vr": vr, "Value": values} if values else {"vr": vr}
                except BadValue:
                    attributes[key] = self._apart(level, "UN", event, level.little)

    def _attribute(self, level: Level, event: Event) -> Attribute:
        """An attribute of a kind that is not handled in the loop."""
        if event[1] == "SQ":
            return self._sequence(level, event)
        if event[1] == "UN" and event[3] <= min(OPAQUE, self._spare):
            return self._unknown(level, event)
        return self._open(level, event, level.little)

    def _open(self, level: Level, event: Event, little: bool) -> Attribute:
        """An attribute that has no items; its VR may be a choice."""
        tag, vr, offset, length, _ = event
        if " or " in vr:
            self._late.append((level, event, little))
            return {"vr": vr}
        if tag == CHARACTER_SET:
            level.charset = character_set(bytes(self._data[offset : offset + length]))
            return UTF_8
        return self._plain(level, event, little)

    def _plain(self, level: Level, event: Event, little: bool) -> Attribute:
        """An attribute that has no items and one VR."""
        _, vr, offset, length, _ = event
        if not length:
            return {"vr": vr}
        if vr not in CONVERT or (length > INLINE[vr] and level.path is not None):
            return self._apart(level, vr, event, little)
        try:
            values = CONVERT[vr](bytes(self._data[offset : offset + length]), level.charset, little)
        except BadValue:
            return self._apart(level, "UN", event, little)
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    def _apart(self, level: Level, vr: str, event: Event, little: bool) -> Attribute:
        """A value as bytes: behind a URI, or in place where it is short or can have none (PS3.18 F.2.6, F.2.7)."""
        tag, said, offset, length, _ = event
        if length == UNDEFINED and said != "SQ":
            vr = "OB"  # fragments, whatever the header says (PS3.5 A.4)
        if level.path is not None:
            pixels = tag in PIXELS and level.parent is None
            if pixels or length > min(_BINARY.get(vr, 0), self._spare):
                return {"vr": vr, "BulkDataURI": f"{level.path}{tag:08X}"}
            self._spare -= length
        raw = bytes(self._data[offset : offset + length])
        return {"vr": vr, "InlineBinary": b64encode(raw if little else swapped(raw, WORD.get(vr, 1))).decode("ascii")}

    def _sequence(self, level: Level, event: Event) -> Attribute:
        """A sequence that the walk has entered: its items follow."""
        tag, _, offset, _, depth = event
        level.last = max(level.last, tag)
        if depth >= DEEPEST:
            return self._apart(level, "UN", event, True)
        # A sequence of VR UN is little endian in any data set (PS3.5 6.2.2); its first item shows it.
        little = level.little or bytes(self._data[offset : offset + 4]) == b"\xfe\xff\x00\xe0"
        level.within = (None if level.path is None else f"{level.path}{tag:08X}/", little)
        level.sequence = {"vr": "SQ"}
        return level.sequence

    def _unknown(self, level: Level, event: Event) -> Attribute:
        """A UN; where a dictionary knows better it is a value in Implicit VR Little Endian (PS3.5 6.2.2)."""
        tag, _, offset, length, depth = event
        self._spare -= length
        vr = known_vr(tag, length, level.creator(tag))
        if vr != "SQ":
            return self._open(level, (tag, vr, offset, length, depth), True)
        inside = items_inside(bytes(self._data[offset : offset + length]), offset, depth) if depth < DEEPEST else None
        if inside is None:
            return self._apart(level, "UN", event, True)
        holder = Level(level, level.charset, None, little=True)
        attribute = self._sequence(holder, event)
        self._fill([holder], depth, inside)
        return attribute


def _enter(levels: list[Level], at: int, item: bool) -> Level:
    """The level at `at` sequences below the first; a new one for an item. Deeper ones are finished."""
    del levels[at + (not item) :]
    if item:
        levels.append(levels[-1].item())
    return levels[-1]


def sequence_attribute(raw: bytes, charset: CharacterSet, *, explicit: bool, little: bool) -> Attribute | None:
    """The attribute of a sequence whose items are `raw`, all values in place; None when they are not items."""
    inside = items_inside(raw, explicit=explicit, little=little)
    return None if inside is None else Model(raw, little, None, charset).items(inside)
