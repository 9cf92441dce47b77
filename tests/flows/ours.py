"""What we say of an instance, and the values that its BulkDataURIs mean."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.dicom.byteorder import WORD, swapped
from gateway.dicom.elements import PIXELS, UNDEFINED
from gateway.dicom.explicit import word_size
from gateway.dicom.metadata import Place, bulk_paths, instance_metadata, places
from tests.dicom.archive import inflate, walk_of

Attributes = dict[str, Any]
"""A DICOM JSON object."""

Bulk = dict[str, bytes]
"""Values by URI, in little endian. Of compressed pixel data the items, as they stand in the file."""

_ITEM = b"\xfe\xff\x00\xe0"


def described(file: bytes) -> tuple[Attributes, Bulk]:
    """The metadata of a file; its URIs begin with ``@``."""
    walk = walk_of(file)
    assert walk is not None
    data = inflate(file, walk)
    document = instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix="@")
    found = places(data, walk.events, bulk_paths(document), syntax=walk.syntax)
    attributes: Attributes = orjson.loads(document)
    bits = attributes.get("00280100", {}).get("Value", [0])[0]
    return attributes, {f"@/bulkdata/{place.path}": _value(data, place, bits) for place in found}


def _value(data: bytes, place: Place, bits: int) -> bytes:
    tag, vr, offset, length, depth = place.event
    if length == UNDEFINED:
        return data[offset : _end_of_items(data, offset)]
    raw = data[offset : offset + length]
    if place.little:
        return raw
    return swapped(raw, word_size(vr, bits) if tag in PIXELS and depth == 0 else WORD.get(vr, 1))


def _end_of_items(data: bytes, offset: int) -> int:
    while data[offset : offset + 4] == _ITEM:
        offset += 8 + int.from_bytes(data[offset + 4 : offset + 8], "little")
    return offset
