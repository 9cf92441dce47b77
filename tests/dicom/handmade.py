"""DICOM bytes put together by hand, and what comes of them: for tests that need to see every byte."""

from __future__ import annotations

from struct import pack
from typing import Any

import orjson

from gateway.dicom.elements import Walk
from gateway.dicom.metadata import instance_metadata
from gateway.dicom.part10 import BIG_ENDIAN, EXPLICIT, IMPLICIT

UNDEFINED = 0xFFFFFFFF

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def el(tag: int, vr: str, value: bytes, little: bool = True, length: int | None = None) -> bytes:
    """An element with Explicit VR; `value` as it is, `length` if it is to lie."""
    order = "<" if little else ">"
    length = len(value) if length is None else length
    if vr in LONG:
        return pack(order + "HH2s2xL", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value
    return pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def plain(tag: int, value: bytes, little: bool = True, length: int | None = None) -> bytes:
    """An element with Implicit VR, an item or a delimiter."""
    return pack("<HHL" if little else ">HHL", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(*elements: bytes, little: bool = True) -> bytes:
    return plain(0xFFFEE000, b"".join(elements), little)


def open_item(*elements: bytes, little: bool = True) -> bytes:
    return plain(0xFFFEE000, b"".join(elements), little, UNDEFINED) + plain(0xFFFEE00D, b"", little)


def sq(tag: int, *items: bytes, little: bool = True) -> bytes:
    return el(tag, "SQ", b"".join(items), little)


def open_sq(tag: int, *items: bytes, little: bool = True) -> bytes:
    return el(tag, "SQ", b"".join(items), little, UNDEFINED) + plain(0xFFFEE0DD, b"", little)


def file(*elements: bytes, syntax: str = EXPLICIT) -> bytes:
    """A file with just the file meta information that says how the data set is encoded."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + el(0x00020010, "UI", uid) + b"".join(elements)


def big(*elements: bytes) -> bytes:
    return file(*elements, syntax=BIG_ENDIAN)


def implicit(*elements: bytes) -> bytes:
    return file(*elements, syntax=IMPLICIT)


def walked(data: bytes) -> Walk:
    walk = Walk(record=True)
    walk.feed(data)
    walk.finish()
    return walk


def model(data: bytes) -> dict[str, Any]:
    """The DICOM JSON model of a file; its URIs begin with ``@``."""
    walk = walked(data)
    found: dict[str, Any] = orjson.loads(instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix="@"))
    return found
