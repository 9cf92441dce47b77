"""VRs that headers leave open."""

from __future__ import annotations

import pytest

from gateway.dicom.resolve import LONGEST_SHORT, LUT_DESCRIPTOR, PIXEL_REPRESENTATION, chosen_vr, creator_tag, known_vr, private_vr


def nothing(tag: int) -> None:
    return None


@pytest.mark.parametrize(("representation", "vr"), [(0, "US"), (1, "SS"), (None, "US")])
def test_pixel_representation_decides_between_us_and_ss(representation: int | None, vr: str) -> None:
    assert chosen_vr("US or SS", {PIXEL_REPRESENTATION: representation}.get) == vr


@pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (256, "OW"), (None, "OW")])
def test_a_table_of_one_entry_is_a_number(entries: int | None, vr: str) -> None:
    assert chosen_vr("US or OW", {LUT_DESCRIPTOR: entries}.get) == vr


def test_other_choices_are_words() -> None:
    assert chosen_vr("OB or OW", nothing) == "OW"
    assert chosen_vr("US or SS or OW", nothing) == "OW"


def test_a_plain_vr_is_no_choice() -> None:
    assert chosen_vr("OB", nothing) == "OB"


def test_the_creator_of_a_private_element_stands_in_its_block() -> None:
    assert creator_tag(0x00431027) == 0x00430010
    assert creator_tag(0x0043FF01) == 0x004300FF


def test_private_elements_are_looked_up_under_their_creator() -> None:
    assert private_vr(0x00431027, "GEMS_PARM_01") == "SH"
    assert private_vr(0x0043A027, "GEMS_PARM_01") == "SH"
    assert private_vr(0x00431027, "NOBODY") == "UN"


@pytest.mark.parametrize(
    ("tag", "length", "creator", "vr"),
    [
        (0x00280010, 2, None, "US"),
        (0x00280106, 2, None, "US or SS"),
        (0x00081140, 8, None, "SQ"),
        (0x60003000, 8, None, "OB or OW"),
        (0x00080018, LONGEST_SHORT, None, "UN"),
        (0x00430010, 8, None, "LO"),
        (0x00431027, 8, "GEMS_PARM_01", "SH"),
        (0x00431027, 1 << 20, "GEMS_PARM_01", "SH"),
        (0x00431027, 8, None, "UN"),
        (0x00080002, 8, None, "UN"),
    ],
)
def test_what_a_un_is(tag: int, length: int, creator: str | None, vr: str) -> None:
    assert known_vr(tag, length, creator) == vr
