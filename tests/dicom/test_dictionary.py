from __future__ import annotations

import pytest

from gateway.dicom import dictionary
from gateway.dicomweb.query import Dictionary


def test_the_module_is_a_dictionary() -> None:
    searched: Dictionary = dictionary
    assert searched.tag("PatientName") == 0x00100010


@pytest.mark.parametrize(
    ("keyword", "tag"), [("StudyInstanceUID", 0x0020000D), ("RequestAttributesSequence", 0x00400275), ("StudyIDIssuer", 0x00320012)]
)
def test_keyword_to_tag(keyword: str, tag: int) -> None:
    assert dictionary.tag(keyword) == tag


@pytest.mark.parametrize("keyword", ["", "patientname", "00100010", "limit", "Patient's Name"])
def test_keywords_are_case_sensitive_and_nothing_else(keyword: str) -> None:
    assert dictionary.tag(keyword) is None


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00100010, "PN"),
        (0x00400275, "SQ"),
        (0x7FE00010, "OB"),
        (0x00280106, "US"),
        (0x60020010, "US"),
        (0x00091001, None),
        (0x00080003, None),
    ],
)
def test_tag_to_vr(tag: int, vr: str | None) -> None:
    assert dictionary.vr(tag) == vr


def test_tag_to_keyword() -> None:
    assert dictionary.keyword(0x00081190) == "RetrieveURL"
    assert dictionary.keyword(0x00091001) is None


def test_tag_to_number_of_values() -> None:
    assert [dictionary.several(tag) for tag in (0x00100020, 0x00081080, 0x00091001)] == [False, True, True]
