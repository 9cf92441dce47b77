"""A data set in the Native DICOM Model (PS3.19 A.1) read into the DICOM JSON Model (PS3.18 Annex F): `nativexml` backwards.

1. What cannot be bounded is refused: a document type declaration, and with it every entity of one's own; more than `DEEPEST` elements
   inside each other; numbers of values that leave more than `GAPS` places empty.
2. Values stay text, for XML knows nothing else; who writes them makes numbers of them.
3. A private element names its creator and leaves its block out; it gets the block that the data set reserves for the creator, or one
   that is free (PS3.5 7.8.1).
4. Elements that the model does not have are passed over, as are all namespaces: Google's has none.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from gateway.errors import BadRequest

DEEPEST = 400
"""XML elements inside each other: three a sequence, and 80 sequences are more than any data set has."""

GAPS = 4096
"""Values of a document that may be missing before one with a higher number; each costs memory that nobody sent."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_TEXT = frozenset({"Value", "InlineBinary", "FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"})
_NAME = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_GROUPS = frozenset({"Alphabetic", "Ideographic", "Phonetic"})
_BLOCKS = range(0x10, 0x100)


def parse_native_xml(data: bytes) -> dict[str, Any]:
    """A data set as a DICOM JSON object.

    :raises BadRequest: when it is no Native DICOM Model. What it says is not echoed.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadRequest(f"not well-formed XML, in line {error.lineno}") from None
    if reader.root is None:
        raise BadRequest("not a NativeDicomModel (PS3.19 A.1)")
    return reader.root


class _Element:
    """An XML element that is open, and what has come of it."""

    __slots__ = ("attributes", "binary", "creators", "dataset", "name", "text", "uri", "values")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.text: list[str] = []
        self.values: dict[int, Any] = {}  # of an attribute
        self.uri: str | None = None
        self.binary: str | None = None
        self.dataset: dict[str, Any] = {}  # of the root or an item; of a name its groups, of a group its components
        self.creators: list[tuple[str, str, Any]] = []  # private elements of it: creator, tag without block, attribute


class _Reader:
    """What the parser tells; `root` is there when the document has ended."""

    def __init__(self) -> None:
        self.root: dict[str, Any] | None = None
        self._open: list[_Element] = []
        self._gaps = GAPS
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _doctype(self, *_: object) -> None:
        raise BadRequest("XML with a document type declaration is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= DEEPEST:
            raise BadRequest(f"more than {DEEPEST} XML elements inside each other")
        name = name.rpartition(" ")[2]
        if not self._open and name != "NativeDicomModel":
            raise BadRequest("not a NativeDicomModel (PS3.19 A.1)")
        self._open.append(_Element(name, attributes))

    def _characters(self, text: str) -> None:
        if self._open[-1].name in _TEXT:
            self._open[-1].text.append(text)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        if not self._open:
            self.root = _dataset(element)
            return
        above = self._open[-1]
        if above.name == "DicomAttribute":
            self._content(above, element)
        elif element.name == "DicomAttribute" and above.name in ("NativeDicomModel", "Item"):
            self._attribute(above, element)
        elif element.name in _GROUPS and above.name == "PersonName":
            above.dataset[element.name] = "^".join(element.dataset.get(part, "") for part in _NAME).rstrip("^")
        elif element.name in _NAME and above.name in _GROUPS:
            above.dataset[element.name] = "".join(element.text)

    def _content(self, attribute: _Element, element: _Element) -> None:
        """A value of an attribute, or what stands for its values."""
        match element.name:
            case "Value":
                attribute.values[_number(attribute, element)] = "".join(element.text) or None
            case "Item":
                attribute.values[_number(attribute, element)] = _dataset(element)
            case "PersonName":
                attribute.values[_number(attribute, element)] = {key: text for key, text in element.dataset.items() if text} or None
            case "InlineBinary":
                attribute.binary = "".join(element.text)
            case "BulkData":
                attribute.uri = element.attributes.get("uri") or element.attributes.get("uuid")

    def _attribute(self, above: _Element, element: _Element) -> None:
        tag = element.attributes.get("tag", "")
        if _TAG.fullmatch(tag) is None:
            raise BadRequest("a DicomAttribute has no tag of eight hexadecimal digits")
        attribute: dict[str, Any] = {"vr": element.attributes["vr"]} if "vr" in element.attributes else {}
        if element.uri is not None:
            attribute["BulkDataURI"] = element.uri
        if element.binary is not None:
            attribute["InlineBinary"] = element.binary
        if element.values:
            attribute["Value"] = self._in_order(element.values)
        creator = element.attributes.get("privateCreator")
        if creator is not None and int(tag, 16) & 0x10000 and int(tag[4:6], 16) == 0:
            above.creators.append((creator, tag.upper(), attribute))
        elif above.dataset.setdefault(tag.upper(), attribute) is not attribute:
            raise BadRequest("a data set has a tag twice")

    def _in_order(self, values: dict[int, Any]) -> list[Any]:
        last = max(values)
        self._gaps -= last - len(values)
        if self._gaps < 0:
            raise BadRequest(f"the numbers of values leave more than {GAPS} out")
        return [values.get(number) for number in range(1, last + 1)]


def _number(attribute: _Element, element: _Element) -> int:
    text = element.attributes.get("number", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text)):
        raise BadRequest("a value has no number from 1 (PS3.19 A.1.5)")
    if int(text) in attribute.values:
        raise BadRequest("two values have one number")
    return int(text)


def _dataset(element: _Element) -> dict[str, Any]:
    """The attributes of the root or an item, private ones in their blocks (rule 3)."""
    found = element.dataset
    blocks: dict[tuple[str, str], int] = {}
    for key, attribute in found.items():
        value = (attribute.get("Value") or [None])[0]
        if int(key[:4], 16) & 1 and int(key[4:], 16) in _BLOCKS and isinstance(value, str):
            blocks.setdefault((key[:4], value), int(key[4:], 16))
    for creator, tag, attribute in element.creators:
        block = blocks.get((tag[:4], creator))
        if block is None:
            block = next((number for number in _BLOCKS if f"{tag[:4]}{number:04X}" not in found), None)
            if block is None:
                raise BadRequest("a private group has no block left")
            blocks[tag[:4], creator] = block
            found[f"{tag[:4]}{block:04X}"] = {"vr": "LO", "Value": [creator]}
        if found.setdefault(f"{tag[:4]}{block:02X}{tag[6:]}", attribute) is not attribute:
            raise BadRequest("a data set has a tag twice")
    return found
