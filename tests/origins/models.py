"""Data sets as an origin shows them: DICOM JSON and native XML, written with pydicom and nothing of the gateway's."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

Model = dict[str, Any]

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
BULKY = frozenset({"OB", "OW", "UN"})
"""Bulk data of any length; of the others what is longer than 2 KiB."""

NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})


def json_model(ds: Dataset, uri: str | None, path: str = "") -> Model:
    """The DICOM JSON model without group 0002 and group lengths.

    :param uri: of the instance; its bulk data follow below it. None leaves bulk data out.
    """
    found = {}
    for element in ds:
        if element.tag.group != 2 and element.tag.element != 0:
            shown = _element(element, uri, path)
            if shown is not None:
                found[f"{element.tag:08X}"] = shown
    return found


def _element(element: DataElement, uri: str | None, path: str) -> Model | None:
    vr, value, here = element.VR, element.value, f"{path}{element.tag:08X}"
    if vr == "SQ":
        items = [json_model(item, uri, f"{here}/{number}/") for number, item in enumerate(value)]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in BINARY:
        if vr in BULKY or len(value or b"") > 2048:
            return None if uri is None or not value else {"vr": vr, "BulkDataURI": f"{uri}/bulkdata/{here}"}
        return {"vr": vr, "InlineBinary": b64encode(value).decode()} if value else {"vr": vr}
    values = [_value(vr, one) for one in (value if isinstance(value, MultiValue | list) else [value])]
    return {"vr": vr} if all(one is None for one in values) else {"vr": vr, "Value": values}


def _value(vr: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, PersonName):
        names = {"Alphabetic": value.alphabetic, "Ideographic": value.ideographic, "Phonetic": value.phonetic}
        return {group: name for group, name in names.items() if name} or None
    if vr == "AT":
        return f"{value:08X}"
    if vr in NUMBERS:
        return int(value) if vr not in ("DS", "FD", "FL") or float(value).is_integer() else float(value)
    return str(value)


def xml(model: Mapping[str, Any], namespace: bool) -> bytes:
    """The native model of PS3.19 A.1."""
    root = ElementTree.Element("NativeDicomModel", {"xmlns": "http://dicom.nema.org/PS3.19/models/NativeDICOM"} if namespace else {})
    root.extend(_attributes(model))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _attributes(model: Mapping[str, Any]) -> Iterator[ElementTree.Element]:
    for tag, attribute in model.items():
        names = {"tag": tag, "vr": attribute["vr"], "keyword": NAMES.get(tag) or keyword_for_tag(int(tag, 16))}
        shown = ElementTree.Element("DicomAttribute", {name: value for name, value in names.items() if value})
        if "BulkDataURI" in attribute:
            ElementTree.SubElement(shown, "BulkData", {"uri": attribute["BulkDataURI"]})
        if "InlineBinary" in attribute:
            ElementTree.SubElement(shown, "InlineBinary").text = attribute["InlineBinary"]
        for number, value in enumerate(attribute.get("Value", ()), 1):
            shown.append(_child(attribute["vr"], number, value))
        yield shown


def _child(vr: str, number: int, value: Any) -> ElementTree.Element:
    if vr == "SQ":
        item = ElementTree.Element("Item", {"number": str(number)})
        item.extend(_attributes(value))
        return item
    if vr == "PN":
        name = ElementTree.Element("PersonName", {"number": str(number)})
        for group, text in (value or {}).items():
            parts = ElementTree.SubElement(name, group)
            for part, word in zip(PARTS, text.split("^"), strict=False):
                if word:
                    ElementTree.SubElement(parts, part).text = word
        return name
    plain = ElementTree.Element("Value", {"number": str(number)})
    plain.text = "" if value is None else str(value)
    return plain


PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
FAILURE_DETAIL = "00991000"
NAMES = {FAILURE_DETAIL: "FailureDetail"}
