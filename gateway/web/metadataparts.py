"""A metadata part of a store request as one JSON document an instance (PS3.18 10.5.1.1.2).

An array is cut into its elements before any of it is parsed, and long instances into their attributes and items: as objects metadata
take ten times their bytes, and a parser that reads sixteen megabytes in one go lets nobody else work for a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.dicomweb.nativexml_reading import parse_native_xml
from gateway.dicomweb.reasons import Reason
from gateway.errors import BadRequest, InstanceError, TooLarge

JSON = "application/dicom+json"
XML = "application/dicom+xml"

MEMBERS = 500_000
"""Objects, lists and members of what is parsed at once. Each costs 50 to 100 bytes as an object, and a sender two."""

WHOLE = 64 << 10
"""Bytes that are parsed at once, in a third of a millisecond; what is longer is cut into attributes and items first."""

LEVELS = 4
"""Long sequences inside each other that are cut: functional groups are one, reports three. Each level reads its bytes once more."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]', re.DOTALL)
_OF_OBJECTS = re.compile(rb"\[[ \t\r\n]*\{")
_BLANKS = b" \t\r\n"


def documents(kind: str, data: bytes, most: int) -> list[bytes]:
    """The instances of a part, each as JSON that is still to be parsed. Blocks: some 30 ms a megabyte.

    :param kind: `JSON` or `XML`. :param most: instances, ``limits.parts``.
    :raises InstanceError: when the part cannot be read; nothing of it is echoed. :raises TooLarge: for more than `most`.
    """
    if kind == JSON:
        return _elements(data.removeprefix(b"\xef\xbb\xbf").strip(_BLANKS), most)
    try:
        return [orjson.dumps(parse_native_xml(data))]
    except BadRequest as error:
        raise _unreadable(error.message) from None
    except TypeError:  # deeper than orjson writes; a data set has no place for that
        raise _unreadable("nested too deep") from None


def parsed(document: bytes) -> dict[str, Any]:
    """The attributes of one of `documents`.

    :raises InstanceError: when it is no JSON object, or too much of one; for what stands in long sequences when these are iterated.
    """
    found = _parsed(document, LEVELS)
    if not isinstance(found, dict):
        raise _unreadable("not an object (PS3.18 F.2.1)")
    return {key.upper(): attribute for key, attribute in found.items()}


class Items(list[Any]):
    """Items of a long sequence, in bytes; each is parsed when it is its turn, and every time anew."""

    def __init__(self, raw: list[bytes], levels: int) -> None:
        super().__init__(raw)
        self._levels = levels

    def __iter__(self) -> Iterator[Any]:
        return (_parsed(raw, self._levels) for raw in super().__iter__())


def _parsed(data: bytes, levels: int) -> Any:
    """A data set; of a long one each attribute by itself."""
    if len(data) <= WHOLE or not levels or not data.startswith(b"{"):
        return _loaded(data)
    return {key: _attribute(value, levels) for key, value in _members(data)}


def _attribute(data: bytes, levels: int) -> Any:
    """An attribute; of a long sequence each item by itself."""
    if len(data) <= WHOLE or not data.startswith(b"{"):
        return _loaded(data)
    found: dict[str, Any] = {}
    for key, value in _members(data):
        cut = key == "Value" and _OF_OBJECTS.match(value)
        found[key] = Items(_elements(value, len(value)), levels - 1) if cut else _loaded(value)
    return found


def _loaded(data: bytes) -> Any:
    if len(data) > WHOLE and sum(map(data.count, (b"{", b"[", b","))) > MEMBERS:
        raise _unreadable(f"more than {MEMBERS} members in one value")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _unreadable("not JSON") from None


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and values of an object, the values still to be parsed."""
    depth, start = 0, 1
    key: bytes | None = None
    for token in _MARK.finditer(data):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif depth == 1 and mark == b":" and key is None:
            key, start = data[start : token.start()], token.end()
        elif depth == 1 and mark in (b",", b"}"):
            if key is not None or mark == b"," or data[start : token.start()].strip(_BLANKS):
                name = _loaded(key or b"")
                if not isinstance(name, str):
                    break
                yield name, data[start : token.start()].strip(_BLANKS)
            key, start = None, token.end()
            depth -= mark == b"}"
        elif mark in (b"}", b"]"):
            depth -= 1
        if depth == 0:
            if token.end() == len(data) and mark == b"}":
                return
            break
    raise _unreadable("not a whole JSON object")


def _elements(data: bytes, most: int) -> list[bytes]:
    """The objects of an array, or the one that there is instead."""
    if not data.startswith(b"["):
        return [data]
    found: list[bytes] = []
    depth, start, after = 0, 0, 1
    for token in _TOKEN.finditer(data):
        opened = token[0] in (b"{", b"[")
        if depth == 1 and opened:
            start = token.start()
            if token[0] == b"[" or data[after:start].strip(_BLANKS) != (b"," if found else b""):
                raise _unreadable("not an array of objects (PS3.18 F.2.1)")
        depth += opened - (token[0] in (b"}", b"]"))
        if depth == 1 and start >= after:
            after = token.end()
            found.append(data[start:after])
            if len(found) > most:
                raise TooLarge(f"the metadata name more instances than limits.parts = {most}")
        elif depth == 0:
            if data[after : token.start()].strip(_BLANKS) or token.end() != len(data) or token[0] != b"]":
                break
            return found
    raise _unreadable("not a whole JSON array of objects (PS3.18 F.2.1)")


def _unreadable(why: str) -> InstanceError:
    return InstanceError(Reason.CANNOT_UNDERSTAND, f"the metadata cannot be read: {why}")
