"""The Native DICOM Model read back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dicomweb.nativexml import native_xml
from gateway.dicomweb.nativexml_reading import DEEPEST, GAPS, parse_native_xml
from gateway.errors import BadRequest

DATASET: dict[str, Any] = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]},
    "00080020": {"vr": "DA"},
    "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}, {}]},
    "00090010": {"vr": "LO", "Value": ["ACME <&> \r CO"]},
    "00091002": {"vr": "LO", "Value": ["private"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou^^Dr", "Ideographic": "山田^太郎"}, None]},
    "00280010": {"vr": "US", "Value": ["512"]},
    "00420011": {"vr": "OB", "InlineBinary": "AAEC"},
    "7FE00010": {"vr": "OW", "BulkDataURI": "label?a=1&b=2"},
}


def attribute(inside: str, tag: str = "00080008", more: str = 'vr="CS"') -> bytes:
    return f'<NativeDicomModel><DicomAttribute tag="{tag}" {more}>{inside}</DicomAttribute></NativeDicomModel>'.encode()


@pytest.mark.parametrize("namespace", [True, False])
def test_what_is_written_is_read(namespace: bool) -> None:
    assert parse_native_xml(native_xml(DATASET, lambda _: None, namespace=namespace)) == DATASET


def test_any_prefix_declaration_and_unknown_element_is_read() -> None:
    document = (
        b'<?xml version="1.0"?><n:NativeDicomModel xmlns:n="x"><!-- a --><n:DicomAttribute tag="0020000d" vr="UI"><n:Other>7</n:Other>'
    )
    document += b'<n:Value number="1">1.2</n:Value></n:DicomAttribute></n:NativeDicomModel>'
    assert parse_native_xml(document) == {"0020000D": {"vr": "UI", "Value": ["1.2"]}}


def test_values_are_in_the_order_of_their_numbers() -> None:
    found = parse_native_xml(attribute('<Value number="4">D</Value><Value number="1">A</Value>'))
    assert found["00080008"]["Value"] == ["A", None, None, "D"]


def test_a_private_element_gets_the_block_of_its_creator_or_a_free_one() -> None:
    private = '<DicomAttribute tag="{}" vr="LO" privateCreator="{}"><Value number="1">x</Value></DicomAttribute>'
    creator = '<DicomAttribute tag="00090011" vr="LO"><Value number="1">B</Value></DicomAttribute>'
    inside = private.format("00090002", "A") + private.format("00090002", "B") + creator + private.format("00090003", "A")
    found = parse_native_xml(f"<NativeDicomModel>{inside}</NativeDicomModel>".encode())
    assert sorted(found) == ["00090010", "00090011", "00091002", "00091003", "00091102"]
    assert found["00090010"] == {"vr": "LO", "Value": ["A"]}


BILLION = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><NativeDicomModel>&c;</NativeDicomModel>'
OUTSIDE = b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><NativeDicomModel/>'


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "well-formed"),
        (b"<NativeDicomModel>", "well-formed"),
        (b"<html/>", "NativeDicomModel"),
        (BILLION, "document type"),
        (OUTSIDE, "document type"),
        (b"<NativeDicomModel>&undefined;</NativeDicomModel>", "well-formed"),
        (b"<NativeDicomModel>" + b"<Item>" * DEEPEST, "inside each other"),
        (attribute("", "0008000"), "hexadecimal"),
        (attribute("", "00 80008"), "hexadecimal"),
        (attribute("<Value>A</Value>"), "number from 1"),
        (attribute('<Value number="0">A</Value>'), "number from 1"),
        (attribute('<Value number="9999999999">A</Value>'), "number from 1"),
        (attribute('<Value number="1">A</Value><Value number="1">B</Value>'), "one number"),
        (attribute(f'<Value number="{GAPS + 2}">A</Value>'), "leave more"),
        (attribute("</DicomAttribute><DicomAttribute tag='00080008'>"), "twice"),
    ],
)
def test_what_cannot_be_read_or_bounded_is_refused(document: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        parse_native_xml(document)


def test_a_private_group_without_a_free_block_is_refused() -> None:
    creators = "".join(f'<DicomAttribute tag="0009{block:04X}" vr="LO"/>' for block in range(0x10, 0x100))
    private = '<DicomAttribute tag="00090002" vr="LO" privateCreator="A"/>'
    with pytest.raises(BadRequest, match="no block left"):
        parse_native_xml(f"<NativeDicomModel>{creators}{private}</NativeDicomModel>".encode())


def test_gaps_count_over_the_whole_document() -> None:
    one = f'<DicomAttribute tag="{{:08X}}" vr="CS"><Value number="{GAPS}">A</Value></DicomAttribute>'
    with pytest.raises(BadRequest, match="leave more"):
        parse_native_xml(f"<NativeDicomModel>{one.format(0x80008)}{one.format(0x80009)}</NativeDicomModel>".encode())
