"""Values of a data set or of an item in it, out of DICOM JSON and the bulk data behind it (PS3.18 Annex F)."""

from __future__ import annotations

import binascii
import math
import struct
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.pixels.image import Json

SHARED, PER_FRAME = "52009229", "52009230"
"""Shared and Per-Frame Functional Groups Sequence (PS3.3 C.7.6.16)."""

_NUMBERS = {"US": "H", "SS": "h", "OW": "H", "UL": "L", "SL": "l"}


@dataclass(frozen=True, slots=True)
class Attributes:
    """A data set or an item.

    :param data: its DICOM JSON. :param bulk: the bytes of bulk data by `bulk_path`.
    """

    data: Json
    bulk: Mapping[str, bytes] = field(default_factory=dict)

    def __contains__(self, tag: str) -> bool:
        return tag in self.data

    def values(self, tag: str) -> list[Any]:
        """What stands in the model; empty where there is nothing or bulk data."""
        element = self.data.get(tag)
        values = element.get("Value") if isinstance(element, Mapping) else None
        return values if isinstance(values, list) else []

    def text(self, tag: str) -> str:
        """The first value as text without the spaces around it, empty where there is none."""
        return next(iter(self.texts(tag)), "")

    def texts(self, tag: str) -> list[str]:
        """All values that are text."""
        return [value.strip() for value in self.values(tag) if isinstance(value, str)]

    def decimals(self, tag: str) -> list[float]:
        """All values that are finite numbers, also those that are written as text."""
        return [value for value in map(_decimal, self.values(tag)) if value is not None]

    def decimal(self, tag: str) -> float | None:
        """The first value, None where it is no finite number."""
        values = self.values(tag)
        return _decimal(values[0]) if values else None

    def number(self, tag: str) -> int | None:
        """The first value as a whole number."""
        value = self.decimal(tag)
        return None if value is None else int(value)

    def octets(self, tag: str) -> bytes | None:
        """The bytes of a binary value in little endian order, wherever the model has them: in place, as numbers, as bulk data."""
        element = self.data.get(tag)
        if not isinstance(element, Mapping):
            return None
        if "BulkDataURI" in element:
            return self.bulk.get(bulk_path(element) or "")
        if "InlineBinary" in element:
            return _unpacked(element["InlineBinary"])
        return _packed(str(element.get("vr")), self.values(tag))

    def items(self, tag: str) -> list[Attributes]:
        """The items of a sequence."""
        return [Attributes(item, self.bulk) for item in self.values(tag) if isinstance(item, Mapping)]

    def item(self, tag: str) -> Attributes | None:
        """The first item of a sequence."""
        return next(iter(self.items(tag)), None)

    def group(self, tag: str, number: int) -> Attributes | None:
        """A functional group of a frame: its own, or the one that all share.

        :param tag: the macro's sequence. :param number: of the frame, from 1.
        """
        for item in self._groups(number):
            found = item.item(tag)
            if found is not None:
                return found
        return None

    def _groups(self, number: int) -> Iterator[Attributes]:
        own = self.values(PER_FRAME)
        at = 0 if len(own) == 1 else number - 1
        if 0 <= at < len(own) and isinstance(own[at], Mapping):
            yield Attributes(own[at], self.bulk)
        yield from self.items(SHARED)[:1]


def bulk_path(element: Mapping[str, Any]) -> str | None:
    """The way to a value from its BulkDataURI: what stands behind ``/bulkdata/``; None where it has none."""
    uri = element.get("BulkDataURI")
    _, found, path = uri.rpartition("/bulkdata/") if isinstance(uri, str) else ("", "", "")
    return path if found else None


def _decimal(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _unpacked(value: Any) -> bytes | None:
    try:
        return b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None


def _packed(vr: str, values: list[Any]) -> bytes | None:
    """Numbers as the words that they were."""
    code = _NUMBERS.get(vr)
    if code is None or not values:
        return None
    try:
        return struct.pack(f"<{len(values)}{code}", *values)
    except struct.error:
        return None
