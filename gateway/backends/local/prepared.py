"""An instance that lies whole in incoming/, and what the index will say of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from gateway.dicom.attributes import IndexAttributes
from gateway.dicom.header import Instance
from gateway.dicomweb.moments import padded_date, padded_time
from gateway.dicomweb.names import joined, plain


class Outcome(Enum):
    """What a commit did with a prepared instance."""

    STORED = "stored"
    IDENTICAL = "identical"
    """The same bytes were here already."""
    REPLACED = "replaced"
    SKIPPED = "skipped"
    """Other bytes were here already and were kept, as the setting says."""
    REJECTED = "rejected"
    """Other bytes were here already, and the setting forbids two versions."""
    NO_ROOM = "no room"
    """The disk was full."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where the top-level pixel data lies in the blob, offsets in bytes; `frames` is a serialised frame table."""

    tag: int
    start: int
    end: int
    frames: bytes | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """:param path: of the received file. :param checksum: XXH3-128 of its bytes. :param pixels: None where there are none.
    :param replace: see `Upload`.
    """

    part: int
    instance: Instance
    path: str
    size: int
    checksum: bytes
    attributes: IndexAttributes
    pixels: Pixels | None
    replace: bool = False

    @property
    def weight(self) -> int:
        """About how many bytes of memory it holds."""
        table = self.pixels.frames if self.pixels is not None else None
        return self.attributes.weight + len(table or b"")


def column(attributes: dict[str, Any], key: str) -> str | None:
    """The values of an attribute as the index matches them, None when there are none.

    Values are joined by a backslash. Times are filled up to HHMMSS.FFFFFF, so that text order is time order; names are as
    `dicomweb.names` compares them, their groups joined by ``=``.
    """
    attribute = attributes.get(key)
    if attribute is None or not (values := attribute.get("Value")):
        return None
    return "\\".join(map(_COMPARED.get(attribute["vr"], _one), values))


def _one(value: Any) -> str:
    return "" if value is None else str(value)


_COMPARED = {
    "DA": lambda value: padded_date(value or ""),
    "TM": lambda value: padded_time(value or ""),
    "PN": lambda value: plain(joined(value or {})),
}


def item_text(attributes: dict[str, Any], sequence: str, key: str) -> str | None:
    """The values of an attribute in all items of a sequence, None when there are none, or the file gives it another VR."""
    attribute = attributes.get(sequence, {})
    found = [column(item, key) for item in attribute.get("Value", ())] if attribute.get("vr") == "SQ" else []
    return "\\".join(value for value in found if value) or None
