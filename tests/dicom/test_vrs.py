from __future__ import annotations

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from gateway.dicom.vrs import BULK, KNOWN, LONG, PLAIN, SHORT, implicit_vr


def test_the_two_kinds_of_header_are_those_of_pydicom() -> None:
    assert set(SHORT.values()) == {str(vr) for vr in EXPLICIT_VR_LENGTH_16}
    assert set(LONG.values()) == {str(vr) for vr in EXPLICIT_VR_LENGTH_32}
    assert all(raw.decode() == vr for raw, vr in (SHORT | LONG).items())


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00100010, "PN"),
        (0x7FE00010, "OW"),
        (0x00280106, "US or SS"),
        (0x00081140, "SQ"),
        (0x60023000, "OB or OW"),
        (0x50023000, "OB"),
        (0x50FE0005, "US"),
        (0x00203112, "CS"),
        (0x00090000, "UL"),
        (0x00090010, "LO"),
        (0x000900FF, "LO"),
        (0x00090001, "UN"),
        (0x00091001, "UN"),
        (0x0008FFFF, "UN"),
    ],
)
def test_what_implicit_vr_leaves_out(tag: int, vr: str) -> None:
    assert implicit_vr(tag) == vr


def test_the_dictionary_is_pydicoms() -> None:
    differing = {tag for tag in KNOWN if implicit_vr(tag) != dictionary_VR(tag)}
    assert differing == {0x7FE00010}  # PS3.5 A.1


def test_what_may_be_passed_without_a_second_look_is_neither_bulk_nor_a_sequence_nor_a_delimiter() -> None:
    assert not set(PLAIN.values()) & (BULK | {"SQ", "NONE"})
    assert 0 not in PLAIN
    assert not any(tag >> 16 == 0xFFFE for tag in PLAIN)
