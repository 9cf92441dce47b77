"""The Native DICOM Model in XML (PS3.19 A.1) of a data set in the DICOM JSON Model (PS3.18 Annex F).

The two models say the same in other words, so one is written from the other and the data set is read only once. What differs:

1. A private element names its creator and leaves its block out: (0009,1002) is ``00090002`` (table A.1.5-2). Where the data
   set does not say who the creator is, the tag stays whole. The creators (0009,0010) stay too: they are elements like others.
2. An empty value among others is an empty element (table A.1.5-2; null in JSON).
3. Names are divided into their components.
4. A carriage return is written as a reference: a parser would read it as a line feed (XML 1.0 2.11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

Keyword = Callable[[int], str | None]
"""From a tag to its keyword (PS3.6), None for private and unknown ones; `gateway.dicom.dictionary.keyword` is one."""

_BLOCK = 0xFF00
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_REFERENCES = {"\r": "&#13;"}
# XML 1.0 has no way to write these, not even as references.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def native_xml(dataset: Mapping[str, Any], keyword: Keyword, *, namespace: bool = True) -> bytes:
    """A whole XML document in UTF-8.

    Characters that XML cannot hold become U+FFFD. Numbers are written as JSON would write them.

    :param dataset: a DICOM JSON object; its keys are 8 hex digits.
    :param namespace: False leaves the namespace of the root out, as Google's API does.
    """
    root = f'<NativeDicomModel xmlns="{NAMESPACE}"' if namespace else "<NativeDicomModel"
    inside = "".join(_dataset(dataset, keyword))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root} xml:space="preserve">{inside}</NativeDicomModel>'.encode()


def _dataset(dataset: Mapping[str, Any], keyword: Keyword) -> Iterator[str]:
    for key, element in dataset.items():
        tag = int(key, 16)
        name = keyword(tag)
        creator = _creator(dataset, tag)
        shown = tag if creator is None else tag & ~_BLOCK
        yield f'<DicomAttribute tag="{shown:08X}" vr={_quoted(element["vr"])}'
        if name is not None:
            yield f' keyword="{name}"'
        if creator is not None:
            yield f" privateCreator={_quoted(creator)}"
        yield ">"
        yield from _content(element, keyword)
        yield "</DicomAttribute>"


def _creator(dataset: Mapping[str, Any], tag: int) -> str | None:
    """Who reserved the block of a private element (PS3.5 7.8.1)."""
    block = tag >> 8 & 0xFF
    if not tag >> 16 & 1 or block < 0x10:
        return None
    values = dataset.get(f"{tag >> 16:04X}{block:04X}", {}).get("Value") or [None]
    return values[0] if isinstance(values[0], str) else None


def _content(element: Mapping[str, Any], keyword: Keyword) -> Iterator[str]:
    if "BulkDataURI" in element:
        yield f"<BulkData uri={_quoted(element['BulkDataURI'])}/>"
    elif "InlineBinary" in element:
        yield f"<InlineBinary>{escape(element['InlineBinary'])}</InlineBinary>"
    write = _WRITERS.get(element["vr"], _value)
    for number, value in enumerate(element.get("Value", ()), 1):
        yield from write(number, value, keyword)


def _value(number: int, value: Any, keyword: Keyword) -> Iterator[str]:
    yield f'<Value number="{number}">{"" if value is None else _text(str(value))}</Value>'


def _item(number: int, value: Mapping[str, Any], keyword: Keyword) -> Iterator[str]:
    yield f'<Item number="{number}">'
    yield from _dataset(value, keyword)
    yield "</Item>"


def _name(number: int, value: Mapping[str, str] | None, keyword: Keyword) -> Iterator[str]:
    yield f'<PersonName number="{number}">'
    for group in ("Alphabetic", "Ideographic", "Phonetic"):
        if value and value.get(group):
            parts = zip(_NAME_PARTS, value[group].split("^"), strict=False)
            yield f"<{group}>" + "".join(f"<{part}>{_text(text)}</{part}>" for part, text in parts if text) + f"</{group}>"
    yield "</PersonName>"


_WRITERS: dict[str, Callable[[int, Any, Keyword], Iterator[str]]] = {"SQ": _item, "PN": _name}


def _text(text: str) -> str:
    return escape(_clean(text), _REFERENCES)


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)


def _quoted(text: str) -> str:
    return quoteattr(_clean(text))
