"""What an origin says became of the instances of a store request (PS3.18 10.5.3, Annex I), in DICOM JSON or XML.

Only what it names counts. Its sentences are not passed on: they may hold attribute values, or tell of its inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import orjson

from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.dicomweb.resources import is_uid
from gateway.errors import OriginFailed

STORED, FAILED = "00081199", "00081198"
SOP, REASON, WARNING = "00081155", "00081197", "00081196"

DUPLICATE = "an instance with the same UIDs and other content is stored there already"
_SAYS_DUPLICATE = "already exists"  # Google, in its private Failure Detail
_FAILURE_CLASSES = {0xA7: Reason.OUT_OF_RESOURCES, 0xA9: Reason.DOES_NOT_MATCH_SOP_CLASS}

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """An origin's answer to a store, by SOP Instance UID.

    :param stored: with the warning that it gave. :param failed: with the reason, for programs and for people.
    """

    stored: Mapping[str, WarningReason | None] = field(default_factory=dict)
    failed: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)


NOTHING = Judged()


def judged(media: str, body: bytes) -> Judged:
    """Reads an answer. The Content-Type is a hint: Orthanc sends none along with 409.

    :raises OriginFailed: when it is neither DICOM JSON nor the Native DICOM Model.
    """
    text = body.strip()
    if not text:
        return NOTHING
    try:
        model = _from_xml(text) if text.startswith(b"<") else orjson.loads(text)
        if isinstance(model, list):
            model = model[0] if model else {}
        stored = {uid: _warning(item) for item in _items(model, STORED) if (uid := _text(item, SOP))}
        failed = {uid: _failure(item) for item in _items(model, FAILED) if (uid := _text(item, SOP))}
    except (ValueError, TypeError, AttributeError, KeyError, ElementTree.ParseError):
        raise OriginFailed("The origin's answer to a store cannot be read.") from None
    return Judged(stored, failed)


def _items(model: Attributes, key: str) -> list[Attributes]:
    return [item for item in model.get(key, {}).get("Value") or [] if item]


def _text(item: Attributes, key: str) -> str:
    values = item.get(key, {}).get("Value") or [""]
    uid = str(values[0]).strip(" \0")
    return uid if is_uid(uid) else ""


def _number(item: Attributes, key: str) -> int | None:
    values = item.get(key, {}).get("Value") or []
    return int(values[0]) if values else None


def _warning(item: Attributes) -> WarningReason | None:
    number = _number(item, WARNING)
    if number is None:
        return None
    return WarningReason(number) if number in set(WarningReason) else WarningReason.COERCED


def _failure(item: Attributes) -> tuple[Reason, str]:
    number = _number(item, REASON)
    if number is None:
        return Reason.PROCESSING_FAILURE, "the origin did not store it, and says not why"
    if _says_duplicate(item):
        return Reason.PROCESSING_FAILURE, DUPLICATE
    return _reason(number), f"the origin did not store it (failure reason {number:04X})"


def _says_duplicate(item: Attributes) -> bool:
    texts = (value for element in item.values() if element.get("vr") in ("LO", "ST", "LT", "UT") for value in element.get("Value") or ())
    return any(isinstance(text, str) and _SAYS_DUPLICATE in text for text in texts)


def _reason(number: int) -> Reason:
    """The reason of ours that comes closest (PS3.4 tables B.2-1 and GG.4-1)."""
    if number in set(Reason):
        return Reason(number)
    if number >> 12 == 0xC:
        return Reason.CANNOT_UNDERSTAND
    return _FAILURE_CLASSES.get(number >> 8, Reason.PROCESSING_FAILURE)


# -- the Native DICOM Model (PS3.19 A.1), as far as an answer uses it


def _from_xml(text: bytes) -> Attributes:
    """:raises ValueError: for a document type declaration, which could make a small text a huge one."""
    if b"<!" in text:
        raise ValueError("a document type declaration")
    return _dataset(ElementTree.fromstring(text))  # noqa: S314 - without declarations there is nothing to expand


def _dataset(element: ElementTree.Element) -> Attributes:
    return {str(child.get("tag")).upper(): _attribute(child) for child in element if _name(child) == "DicomAttribute"}


def _attribute(element: ElementTree.Element) -> Attributes:
    items = [_dataset(child) for child in element if _name(child) == "Item"]
    values = [child.text or "" for child in element if _name(child) == "Value"]
    return {"vr": element.get("vr"), "Value": items or values}


def _name(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]
