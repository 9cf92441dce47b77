"""Attributes of a stored instance exchanged for others that are given in DICOM JSON; every other byte stays as it is.

1. Only what differs between the metadata before and after is written anew, as whole elements of the top level. File meta information,
   pixels, private elements and whatever else its writer made of the file go over untouched, in the transfer syntax that they have.
2. New text that is not ASCII is UTF-8. Where the file has another character set, all its text that is not ASCII is written anew, and
   (0008,0005) says so.
3. The length of a group that changes is taken out: it is retired (PS3.5 7.2), and wrong ones do harm.
4. What is retired, too, cannot be changed here: Explicit VR Big Endian and deflated files are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from struct import pack, unpack_from
from typing import Any

import orjson

from gateway.dicom.composing import attributes
from gateway.dicom.elements import ITEM, Limits, Walk
from gateway.dicom.encoding import TEXT
from gateway.dicom.header import IDENTITY, Instance, identity
from gateway.dicom.metadata import instance_model
from gateway.dicom.model import CHARACTER_SET, UTF_8, Data
from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED
from gateway.dicom.structure import UNDEFINED, Event
from gateway.dicom.vrs import LONG
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError

Json = Mapping[str, Any]

PIECE = 64 << 10
"""Bytes that the walk sees at once; values are passed over."""

_ITEMS = 0xFFFE


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of the old file."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Patched:
    """:param pieces: the new file. :param before: stands for the metadata that it had. :param after: for those that it has now."""

    instance: Instance
    pieces: list[bytes | Extent]
    before: str
    after: str


def patched(data: Data, change: Callable[[Json], Json], limits: Limits = Limits()) -> Patched:
    """The file with other metadata.

    :param data: the whole file; only its headers and small values are looked at.
    :param change: from the old metadata to the new ones, DICOM JSON both; what it raises is passed on.
    :raises InstanceError: when the file cannot be changed, or the new metadata cannot be written.
    """
    walk = _walked(data, limits)
    old: Json = orjson.loads(instance_model(data, walk.events, syntax=walk.syntax, bulk_prefix="").to_json())
    new = change(old)
    touched = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    written = _written(touched, new, walk)
    if walk.implicit:
        written = {tag: b"".join(_implicit(element)) for tag, element in written.items()}
    gone = {int(key, 16) for key in touched} | written.keys()
    pieces = _spliced(data, walk, gone | {tag & 0xFFFF0000 for tag in gone}, written)
    return Patched(identity(walk.values, walk.syntax), pieces, _digest(old), _digest(new))


def _digest(metadata: Json) -> str:
    return sha256(orjson.dumps(dict(metadata), option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _walked(data: Data, limits: Limits) -> Walk:
    walk = Walk(record=True, wanted=IDENTITY, limits=limits)
    size = len(data)
    while walk.position < size:
        if walk.skip:
            walk.jump(min(walk.skip, size - walk.position))
        else:
            walk.feed(data[walk.position : walk.position + PIECE])
    walk.finish()
    if walk.syntax in DEFLATED or walk.syntax == BIG_ENDIAN or not walk.little_endian:
        why = "deflated files and those in Explicit VR Big Endian cannot be changed; store another version instead"
        raise InstanceError(Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, why)
    return walk


# -- what is written


def _written(touched: set[str], new: Json, walk: Walk) -> dict[int, bytes]:
    """The elements that are new, by their tags, in Explicit VR Little Endian."""
    written, wide = attributes({key: new[key] for key in touched if key in new}, new)
    if not wide or walk.charset.strip(b" \0") == b"ISO_IR 192":
        return written
    others = {key: attribute for key, attribute in new.items() if key not in touched and _is_wide(key, attribute)}
    return attributes({key: new[key] for key in touched if key in new} | others | {f"{CHARACTER_SET:08X}": UTF_8}, new)[0]


def _is_wide(key: str, attribute: Json) -> bool:
    """Whether it holds text that another character set writes otherwise."""
    if attribute.get("vr") not in TEXT | {"SQ"} or (text := orjson.dumps(attribute).decode()).isascii():
        return False
    if "\ufffd" in text:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "has text that is none in the file's character set, and would be lost", int(key, 16))
    return True


def _implicit(data: bytes) -> Iterator[bytes]:
    """The same elements without their VRs (PS3.5 7.1.3). Sequences and items have no lengths, as `composing` writes them."""
    at = 0
    while at < len(data):
        group, vr = unpack_from("<H", data, at)[0], data[at + 4 : at + 6]
        if group == _ITEMS:
            yield data[at : at + 8]
            at += 8
            continue
        long = vr in LONG
        (length,) = unpack_from("<L", data, at + 8) if long else unpack_from("<H", data, at + 6)
        value = at + (12 if long else 8)
        yield data[at : at + 4] + pack("<L", length)
        at = value if length == UNDEFINED else value + length
        yield data[value:at]


# -- and where


def _spliced(data: Data, walk: Walk, gone: set[int], written: dict[int, bytes]) -> list[bytes | Extent]:
    """The new file: `gone` elements left out, `written` ones before the first that comes after them."""
    top = [event for event in walk.events if event[4] == 0 and event[0] != ITEM and event[0] >> 16 not in (0, 2)]
    firsts = [_first(data, event, walk.implicit) for event in top]
    end = len(data) - walk.trailing
    waiting = sorted(written.items())
    pieces: list[bytes | Extent] = []
    _extend(pieces, 0, firsts[0])
    for event, first, behind in zip(top, firsts, [*firsts[1:], end], strict=True):
        while waiting and waiting[0][0] < event[0]:
            pieces.append(waiting.pop(0)[1])
        if event[0] not in gone:
            _extend(pieces, first, behind)
    pieces += [element for _, element in waiting]
    _extend(pieces, end, len(data))
    return pieces


def _extend(pieces: list[bytes | Extent], first: int, behind: int) -> None:
    last = pieces[-1] if pieces else b""
    if isinstance(last, Extent) and last.offset + last.length == first:
        pieces[-1] = Extent(last.offset, behind - last.offset)
    elif behind > first:
        pieces.append(Extent(first, behind - first))


def _first(data: Data, event: Event, implicit: bool) -> int:
    """Where an element begins: eight bytes before its value, or twelve (PS3.5 7.1.2)."""
    tag, offset = pack("<HH", event[0] >> 16, event[0] & 0xFFFF), event[2]
    short = bytes(data[offset - 8 : offset - 4]) == tag and (implicit or bytes(data[offset - 4 : offset - 2]) not in LONG)
    return offset - 8 if short else offset - 12
