from __future__ import annotations

from typing import Any
from xml.etree import ElementTree  # only to read what was just written

import pytest
from dicomweb_client.web import _load_xml_dataset
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.nativexml import NAMESPACE, native_xml

KEYWORDS = {0x00100010: "PatientName", 0x00100020: "PatientID", 0x00400275: "RequestAttributesSequence", 0x7FE00010: "PixelData"}


def inside(dataset: dict[str, Any]) -> str:
    text = native_xml(dataset, KEYWORDS.get, namespace=False).decode()
    head, _, rest = text.partition('xml:space="preserve">')
    assert head == '<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel '
    return rest.removesuffix("</NativeDicomModel>")


def test_values_are_numbered_and_empty_ones_are_empty_elements() -> None:
    assert inside({"00100020": {"vr": "LO", "Value": ["a", None, "b"]}}) == (
        '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"><Value number="1">a</Value><Value number="2"></Value>'
        '<Value number="3">b</Value></DicomAttribute>'
    )
    assert inside({"00100010": {"vr": "PN", "Value": [None, {"Alphabetic": "A"}]}}).endswith(
        '<PersonName number="1"></PersonName>'
        '<PersonName number="2"><Alphabetic><FamilyName>A</FamilyName></Alphabetic></PersonName></DicomAttribute>'
    )


def test_numbers_are_written_as_in_json() -> None:
    assert '<Value number="1">512</Value><Value number="2">0.5</Value>' in inside({"00100020": {"vr": "DS", "Value": [512, 0.5]}})


def test_an_empty_attribute_has_no_content() -> None:
    assert inside({"00100020": {"vr": "LO"}}) == '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"></DicomAttribute>'


def test_names_are_divided_into_their_parts() -> None:
    assert inside({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou^^Dr", "Ideographic": "山田^太郎"}]}}) == (
        '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"><PersonName number="1">'
        "<Alphabetic><FamilyName>Yamada</FamilyName><GivenName>Tarou</GivenName><NamePrefix>Dr</NamePrefix></Alphabetic>"
        "<Ideographic><FamilyName>山田</FamilyName><GivenName>太郎</GivenName></Ideographic>"
        "</PersonName></DicomAttribute>"
    )


def test_sequences_hold_items() -> None:
    assert inside({"00400275": {"vr": "SQ", "Value": [{}, {"00100020": {"vr": "LO", "Value": ["1"]}}]}}) == (
        '<DicomAttribute tag="00400275" vr="SQ" keyword="RequestAttributesSequence"><Item number="1"></Item><Item number="2">'
        '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"><Value number="1">1</Value></DicomAttribute></Item></DicomAttribute>'
    )


def test_bulk_data_and_inline_binary() -> None:
    assert '<BulkData uri="@/a?b&amp;c"/>' in inside({"7FE00010": {"vr": "OW", "BulkDataURI": "@/a?b&c"}})
    assert "<InlineBinary>AAE=</InlineBinary>" in inside({"7FE00010": {"vr": "OW", "InlineBinary": "AAE="}})


def test_private_elements_name_their_creator_and_not_their_block() -> None:
    text = inside({"00090010": {"vr": "LO", "Value": ["ACME & Co"]}, "000910F1": {"vr": "LO", "Value": ["x"]}, "00091101": {"vr": "LO"}})
    assert '<DicomAttribute tag="000900F1" vr="LO" privateCreator="ACME &amp; Co">' in text
    assert '<DicomAttribute tag="00090010" vr="LO"><Value number="1">ACME' in text
    assert '<DicomAttribute tag="00091101" vr="LO"></DicomAttribute>' in text, "nobody reserved that block"
    assert "privateCreator" not in inside({"00090001": {"vr": "LO", "Value": ["x"]}, "00090101": {"vr": "LO"}})


def test_the_namespace_is_the_roots_and_may_be_left_out() -> None:
    assert ElementTree.fromstring(native_xml({}, KEYWORDS.get)).tag == f"{{{NAMESPACE}}}NativeDicomModel"  # noqa: S314 - our own text
    assert ElementTree.fromstring(native_xml({}, KEYWORDS.get, namespace=False)).tag == "NativeDicomModel"  # noqa: S314 - our own text


@pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "]]>", "\"'&<", "\x00\x1b\x0b", "\ud800", "\uffff"])
def test_attack_no_text_leaves_its_element(attack: str) -> None:
    dataset = {"00100020": {"vr": "LO", "Value": [attack]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": attack}]}}
    dataset |= {"00090010": {"vr": "LO", "Value": [attack]}, "00091001": {"vr": attack, "BulkDataURI": attack}}
    root = ElementTree.fromstring(native_xml(dataset, KEYWORDS.get, namespace=False))  # noqa: S314 - our own text
    assert {e.tag for e in root.iter()} <= {
        "NativeDicomModel",
        "DicomAttribute",
        "Value",
        "PersonName",
        "Alphabetic",
        "FamilyName",
        "BulkData",
    }


def test_line_ends_come_back_as_they_were() -> None:
    values = ["a\r\nb\rc\nd\t\x0c"]
    root = ElementTree.fromstring(native_xml({"00100020": {"vr": "LT", "Value": values}}, KEYWORDS.get, namespace=False))  # noqa: S314 - our own text
    assert [element.text for element in root.iter("Value")] == ["a\r\nb\rc\nd\t\ufffd"]


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=3))
def test_text_comes_back_but_for_what_xml_cannot_hold(values: list[str]) -> None:
    root = ElementTree.fromstring(native_xml({"00100020": {"vr": "LO", "Value": values}}, KEYWORDS.get, namespace=False))  # noqa: S314 - our own text
    for element, value in zip(root.iter("Value"), values, strict=True):
        assert all(read in (wrote, "\ufffd") for read, wrote in zip(element.text or "", value, strict=True))


def test_client_dicomweb_client_reads_it() -> None:
    dataset = {
        "00100020": {"vr": "LO", "Value": ["4MR1"]},
        "00400275": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["1", "2"]}}]},
    }
    read = _load_xml_dataset(ElementTree.fromstring(native_xml(dataset, KEYWORDS.get, namespace=False)))  # noqa: S314 - our own text
    assert read.PatientID == "4MR1"
    assert list(read.RequestAttributesSequence[0].PatientID) == ["1", "2"]
