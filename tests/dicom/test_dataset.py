"""Elements and items: each test is a data set put together by hand, and the events that it gives."""

from __future__ import annotations

from struct import pack

import pytest

from gateway.dicom.elements import ITEM, UNDEFINED, Event
from gateway.errors import InstanceError
from tests.dicom.handmade import big, el, file, implicit, item, open_item, open_sq, plain, sq, walked

NAME, ID, IMAGES, CONTENT, TEXT = 0x00100010, 0x00100020, 0x00081140, 0x0040A730, 0x0040A160
ITEM_END, SEQUENCE_END = plain(0xFFFEE00D, b""), plain(0xFFFEE0DD, b"")

JANE = el(NAME, "PN", b"Doe^Jane")


def seen(data: bytes) -> list[tuple[int, str, int]]:
    """Tag, VR and depth of what a data set holds."""
    return [(tag, vr, depth) for tag, vr, _, _, depth in events(data)]


def events(data: bytes) -> list[Event]:
    return [event for event in walked(data).events if event[0] >> 16 != 2]


# -- elements


def test_explicit_vr_with_both_kinds_of_length() -> None:
    data = file(JANE, el(TEXT, "UT", b"text"), el(0x00420011, "OB", b"%PDF"))
    start = len(file())
    assert events(data) == [
        (NAME, "PN", start + 8, 8, 0),
        (TEXT, "UT", start + 16 + 12, 4, 0),
        (0x00420011, "OB", start + 16 + 16 + 12, 4, 0),
    ]


def test_implicit_vr_takes_its_vrs_from_the_dictionary() -> None:
    data = implicit(plain(NAME, b"Doe^Jane"), plain(0x00090010, b"TEST"), plain(0x00091001, b"??"), plain(0x00280106, b"\0\0"))
    assert seen(data) == [(NAME, "PN", 0), (0x00090010, "LO", 0), (0x00091001, "UN", 0), (0x00280106, "US or SS", 0)]


def test_big_endian() -> None:
    data = big(el(NAME, "PN", b"Doe^Jane", little=False), sq(IMAGES, item(el(ID, "LO", b"P1", little=False), little=False), little=False))
    assert seen(data) == [(NAME, "PN", 0), (IMAGES, "SQ", 0), (ITEM, "", 1), (ID, "LO", 1)]


def test_a_vr_of_a_later_edition_has_a_two_byte_length() -> None:
    assert seen(file(el(0x00100011, "XQ", b"1234"), el(ID, "LO", b"P1"))) == [(0x00100011, "UN", 0), (ID, "LO", 0)]


@pytest.mark.parametrize("vr", [b"\0\0", b"  ", b"??", b"pn"])
def test_an_element_without_a_vr_is_implicit(vr: bytes) -> None:
    length = int.from_bytes(vr, "little")
    data = file(JANE, pack("<HH2sH", 0x0010, 0x0020, vr, 0) + bytes(length), el(TEXT, "UT", b"text"))
    assert seen(data) == [(NAME, "PN", 0), (ID, "LO", 0), (TEXT, "UT", 0)]


def test_a_command_set_before_the_data_set_is_passed() -> None:
    data = file(plain(0, b"\x0a\0\0\0"), plain(0x00000100, b"\1\0"), JANE)
    assert seen(data) == [(0x00000000, "UL", 0), (0x00000100, "US", 0), (NAME, "PN", 0)]


# -- sequences


@pytest.mark.parametrize(
    "content",
    [
        sq(IMAGES, item(JANE), item(JANE)),
        open_sq(IMAGES, item(JANE), item(JANE)),
        sq(IMAGES, open_item(JANE), open_item(JANE)),
        open_sq(IMAGES, open_item(JANE), item(JANE)),
    ],
    ids=["both defined", "open sequence", "open items", "mixed"],
)
def test_items_of_defined_and_undefined_length_are_the_same(content: bytes) -> None:
    inside = [(IMAGES, "SQ", 0), (ITEM, "", 1), (NAME, "PN", 1), (ITEM, "", 1), (NAME, "PN", 1)]
    assert seen(file(content, el(ID, "LO", b"P1"))) == [*inside, (ID, "LO", 0)]
    assert seen(file(sq(CONTENT, item(content)), el(ID, "LO", b"P1")))[2:-1] == [(tag, vr, depth + 1) for tag, vr, depth in inside]


@pytest.mark.parametrize("content", [sq(IMAGES), open_sq(IMAGES)])
def test_empty_sequences(content: bytes) -> None:
    assert seen(file(content, JANE)) == [(IMAGES, "SQ", 0), (NAME, "PN", 0)]


@pytest.mark.parametrize("content", [sq(IMAGES, item(), open_item()), open_sq(IMAGES, item(), open_item())])
def test_empty_items(content: bytes) -> None:
    assert seen(file(content, JANE)) == [(IMAGES, "SQ", 0), (ITEM, "", 1), (ITEM, "", 1), (NAME, "PN", 0)]


def test_events_give_the_place_of_items() -> None:
    data = file(open_sq(IMAGES, item(JANE), open_item(JANE)))
    start = len(file()) + 12
    assert events(data) == [
        (IMAGES, "SQ", start, UNDEFINED, 0),
        (ITEM, "", start + 8, 16, 1),
        (NAME, "PN", start + 16, 8, 1),
        (ITEM, "", start + 32, UNDEFINED, 1),
        (NAME, "PN", start + 40, 8, 1),
    ]


@pytest.mark.parametrize("undefined", [True, False])
def test_a_sequence_may_be_implicit_inside_explicit(undefined: bool) -> None:
    inner = plain(NAME, b"Doe^Jane") + plain(IMAGES, item(plain(ID, b"P1")))
    content = open_sq(CONTENT, item(inner)) if undefined else sq(CONTENT, item(inner))
    expected = [(CONTENT, "SQ", 0), (ITEM, "", 1), (NAME, "PN", 1), (IMAGES, "SQ", 1), (ITEM, "", 2), (ID, "LO", 2), (TEXT, "UT", 0)]
    assert seen(file(content, el(TEXT, "UT", b"text"))) == expected


def test_un_of_undefined_length_is_a_sequence() -> None:
    content = el(0x00091001, "UN", item(plain(NAME, b"Doe^Jane")) + SEQUENCE_END, length=UNDEFINED)
    assert seen(file(content, JANE)) == [(0x00091001, "SQ", 0), (ITEM, "", 1), (NAME, "PN", 1), (NAME, "PN", 0)]


def test_un_of_a_sequence_that_the_dictionary_knows_is_one() -> None:
    assert seen(file(el(IMAGES, "UN", item(plain(ID, b"P1"))))) == [(IMAGES, "SQ", 0), (ITEM, "", 1), (ID, "LO", 1)]
    assert seen(file(el(0x00091001, "UN", item(plain(ID, b"P1"))))) == [(0x00091001, "UN", 0)]


def test_un_in_big_endian_holds_little_endian() -> None:
    inner = item(plain(ID, b"P1")) + SEQUENCE_END
    data = big(el(0x00091001, "UN", inner, little=False, length=UNDEFINED), el(NAME, "PN", b"Doe^Jane", little=False))
    assert seen(data) == [(0x00091001, "SQ", 0), (ITEM, "", 1), (ID, "LO", 1), (NAME, "PN", 0)]


def test_a_private_sequence_of_undefined_length_is_one_without_a_dictionary() -> None:
    data = implicit(plain(0x00091001, item(plain(ID, b"P1")) + SEQUENCE_END, length=UNDEFINED), plain(NAME, b"Doe^Jane"))
    assert seen(data) == [(0x00091001, "SQ", 0), (ITEM, "", 1), (ID, "LO", 1), (NAME, "PN", 0)]


def test_an_icon_in_fragments_is_passed() -> None:
    icon = el(0x7FE00010, "OB", plain(ITEM, b"") + plain(ITEM, b"\xff\xd8\xff\xd9") + SEQUENCE_END, length=UNDEFINED)
    walk = walked(file(sq(0x00880200, item(icon)), JANE))
    assert [event[:2] for event in walk.events[1:]] == [(0x00880200, "SQ"), (ITEM, ""), (0x7FE00010, "OB"), (NAME, "PN")]
    assert walk.pixels is None


# -- what is tolerated


@pytest.mark.parametrize(
    "content",
    [
        sq(IMAGES, item(JANE)) + ITEM_END,
        sq(IMAGES, item(JANE)) + SEQUENCE_END,
        sq(IMAGES, item(JANE), ITEM_END),
        sq(IMAGES, item(JANE), SEQUENCE_END),
        sq(IMAGES, item(JANE, ITEM_END)),
        sq(IMAGES, item(JANE, SEQUENCE_END)),
        sq(IMAGES, item(JANE), SEQUENCE_END, b"\1\2\3"),
        open_sq(IMAGES, item(JANE), ITEM_END),
        el(IMAGES, "SQ", plain(ITEM, JANE, length=UNDEFINED) + SEQUENCE_END, length=UNDEFINED),
        sq(IMAGES, plain(ITEM, JANE, length=UNDEFINED)),
    ],
)
def test_delimiters_too_many_or_too_few_change_nothing(content: bytes) -> None:
    expected = [(IMAGES, "SQ", 0), (ITEM, "", 1), (NAME, "PN", 1), (ID, "LO", 0)]
    assert seen(file(content, el(ID, "LO", b"P1"))) == expected


def test_an_item_without_its_end_is_ended_by_the_next() -> None:
    content = el(IMAGES, "SQ", plain(ITEM, JANE, length=UNDEFINED) + open_item(JANE) + SEQUENCE_END, length=UNDEFINED)
    assert seen(file(content)) == [(IMAGES, "SQ", 0), (ITEM, "", 1), (NAME, "PN", 1), (ITEM, "", 1), (NAME, "PN", 1)]


def test_a_sequence_of_length_zero_whose_items_follow_is_flattened() -> None:
    assert seen(file(sq(IMAGES), plain(ITEM, b""), JANE)) == [(IMAGES, "SQ", 0), (NAME, "PN", 0)]


@pytest.mark.parametrize(
    "content",
    [
        b"not items at all",
        b"\1\2\3",
        item(JANE) + plain(0x00100020, b"P1"),
        item(JANE) + plain(ITEM, b"", length=100),
        item(JANE) + plain(ITEM, b"", length=UNDEFINED)[:6],
    ],
)
def test_a_sequence_of_defined_length_that_holds_no_items_is_one_opaque_value(content: bytes) -> None:
    walk = walked(file(sq(IMAGES, content), el(ID, "LO", b"P1")))
    assert [event[:2] + event[3:] for event in walk.events[1:]] == [(IMAGES, "UN", len(content), 0), (ID, "LO", 2, 0)]
    assert walk.unusual


@pytest.mark.parametrize(
    "content",
    [
        el(NAME, "PN", b"Doe", length=100),
        el(TEXT, "UT", b"text", length=100),
        JANE + b"\x10\0\x20",
        JANE + el(TEXT, "UT", b"")[:10],
        JANE + plain(ITEM, b""),
        JANE + el(CONTENT, "SQ", b"", length=UNDEFINED)[:9],
        JANE + el(CONTENT, "SQ", b"1234", length=8),
        el(0x00420011, "OB", plain(ITEM, b"1234", length=100), length=UNDEFINED),
        el(0x00420011, "OB", plain(0x00100020, b"1234"), length=UNDEFINED),
        el(0x00420011, "OB", plain(ITEM, b"12"), length=UNDEFINED) + b"1234",
    ],
)
def test_an_item_of_defined_length_that_holds_no_elements_is_one_opaque_value(content: bytes) -> None:
    walk = walked(file(open_sq(IMAGES, item(content), item(JANE)), el(ID, "LO", b"P1")))
    expected = [(IMAGES, "SQ", 0), (ITEM, "UN", 1), (ITEM, "", 1), (NAME, "PN", 1), (ID, "LO", 0)]
    assert [(tag, vr, depth) for tag, vr, _, _, depth in walk.events[1:]] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (open_sq(IMAGES, JANE), "(0008,1140): holds something that is not an item, at byte 172"),
        (open_sq(IMAGES, open_item(b"\xff" * 16)), "(FFFF,FFFF): holds something that is not an item, at byte 188"),
        (el(0x00420011, "OB", JANE, length=UNDEFINED), "(0042,0011): holds something that is not a fragment, at byte 172"),
    ],
)
def test_what_makes_no_sense_and_has_no_end_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InstanceError) as caught:
        walked(file(content, el(ID, "LO", b"P1")))
    assert caught.value.message == message
