from __future__ import annotations

from struct import pack

import pytest

from gateway.dicom.elements import ITEM, UNDEFINED, Limits, Pixels, Walk
from gateway.errors import InstanceError
from tests.dicom.handmade import big, el, file, implicit, plain, walked

NAME, PIXEL_DATA, ROWS = 0x00100010, 0x7FE00010, 0x00280010
JANE = el(NAME, "PN", b"Doe^Jane")
END = plain(0xFFFEE0DD, b"")
NATIVE = el(PIXEL_DATA, "OW", bytes(16))


def run(*fragments: bytes, table: bytes = b"", end: bytes = END) -> bytes:
    return el(PIXEL_DATA, "OB", plain(ITEM, table) + b"".join(plain(ITEM, fragment) for fragment in fragments) + end, length=UNDEFINED)


def pixels_of(data: bytes) -> Pixels:
    pixels = walked(data).pixels
    assert pixels is not None
    return pixels


# -- fragments


def test_fragments_and_their_table() -> None:
    head = file(JANE)
    pixels = pixels_of(head + run(b"1234", b"", b"56", table=b"\0\0\0\0"))
    first = len(head) + 12 + 12 + 8
    assert pixels.fragments.tolist() == [first, 4, first + 12, 0, first + 20, 2]
    assert (pixels.header, pixels.offset, pixels.length) == (len(head), len(head) + 12, UNDEFINED)
    assert (pixels.bot, pixels.end) == (b"\0\0\0\0", first + 22 + 8)


@pytest.mark.parametrize("end", [END, plain(0xFFFEE0DD, b"", length=7)])
def test_no_fragments(end: bytes) -> None:
    assert pixels_of(file(JANE, run(end=end))).fragments.tolist() == []
    assert pixels_of(file(JANE, el(PIXEL_DATA, "OB", end, length=UNDEFINED))).bot == b""


def test_the_extended_offset_table_is_kept_however_long_other_values_may_be() -> None:
    table, lengths = pack("<3Q", 0, 12, 24), pack("<3Q", 4, 4, 4)
    data = file(JANE, el(0x7FE00001, "OV", table), el(0x7FE00002, "OV", lengths), run(b"1234", b"5678", b"90AB"))
    walk = Walk(limits=Limits(value_kept=20))
    for at in range(len(data)):
        walk.feed(data[at : at + 1])
    walk.finish()
    assert walk.pixels is not None
    assert (walk.pixels.extended, walk.pixels.extended_lengths) == (table, lengths)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (run(b"12", b"12", b"12", b"12"), "(7FE0,0010): more than limits.fragments = 4 fragments"),
        (run(table=bytes(17)), "(7FE0,0010): a Basic Offset Table of 17 bytes is longer than the limit of fragments allows"),
        (el(0x7FE00001, "OV", bytes(40)), "(7FE0,0001): a value of 40 bytes is longer than 8 * limits.fragments = 32"),
    ],
)
def test_fragments_and_tables_have_a_limit(value: bytes, message: str) -> None:
    walk = Walk(limits=Limits(fragments=4))
    with pytest.raises(InstanceError) as caught:
        walk.feed(file(JANE, value))
    assert caught.value.message == message


@pytest.mark.parametrize("kind", ["implicit", "UN", "big endian"])
def test_fragments_in_other_encodings(kind: str) -> None:
    content = plain(ITEM, b"") + plain(ITEM, b"1234") + END
    if kind == "implicit":
        data = implicit(plain(NAME, b"Doe^Jane"), plain(PIXEL_DATA, content, length=UNDEFINED))
    elif kind == "UN":
        data = file(JANE, el(PIXEL_DATA, "UN", content, length=UNDEFINED))
    else:
        swapped = plain(ITEM, b"", False) + plain(ITEM, b"1234", False) + plain(0xFFFEE0DD, b"", False)
        data = big(el(NAME, "PN", b"Doe^Jane", False), el(PIXEL_DATA, "OB", swapped, False, UNDEFINED))
    assert pixels_of(data).fragments[1] == 4


@pytest.mark.parametrize(
    "value",
    [
        run(b"1234", end=b""),
        run(b"1234", end=END[:5]),
        el(PIXEL_DATA, "OB", plain(ITEM, b"") + plain(ITEM, b"12", length=UNDEFINED) + END, length=UNDEFINED),
        el(PIXEL_DATA, "OB", plain(ITEM, b"") + plain(ITEM, b"12", length=99) + END, length=UNDEFINED),
        el(PIXEL_DATA, "OB", b"\xff\xd8\xff\xe0 a bare codestream \xff\xd9", length=UNDEFINED),
    ],
)
def test_fragments_that_do_not_end_are_refused(value: bytes) -> None:
    with pytest.raises(InstanceError, match=r"^\(7FE0,0010\): "):
        walked(file(JANE, value))


# -- after the pixel data


@pytest.mark.parametrize("pixels", [NATIVE, run(b"1234")], ids=["native", "fragments"])
@pytest.mark.parametrize(
    ("after", "tags"),
    [
        (el(0x7FE10010, "LO", b"TEST"), [0x7FE10010]),
        (el(0xFFFCFFFC, "OB", bytes(4)), [0xFFFCFFFC]),
        (el(0xFFFAFFFA, "SQ", plain(ITEM, el(0x04000010, "US", b"\1\0"))), [0xFFFAFFFA, ITEM, 0x04000010]),
        (el(0xEAEA0102, "SH", b"DCM "), [0xEAEA0102]),
        (END, []),
        (END + el(0xFFFCFFFC, "OB", bytes(4)), [0xFFFCFFFC]),
    ],
)
def test_elements_may_follow_the_pixel_data(pixels: bytes, after: bytes, tags: list[int]) -> None:
    walk = walked(file(JANE, pixels, after))
    place = [event[0] for event in walk.events].index(PIXEL_DATA)
    assert [event[0] for event in walk.events[place + 1 :]] == tags
    assert walk.trailing == 0


@pytest.mark.parametrize("pixels", [NATIVE, run(b"1234")], ids=["native", "fragments"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"\0",
        bytes(7),
        bytes(600),
        b"\xde\xad\xbe\xef" * 5,
        b"<html><body>",
        JANE,
        plain(ITEM, b""),
        el(PIXEL_DATA, "OW", bytes(4)),
        b"\xff" * 9,
    ],
)
def test_what_belongs_to_no_data_set_is_trailing(pixels: bytes, garbage: bytes) -> None:
    walk = walked(file(JANE, pixels, garbage))
    assert walk.trailing == len(garbage)
    assert walk.events[-1][0] == PIXEL_DATA


@pytest.mark.parametrize(
    "after",
    [
        b"\x0a",
        b"\xfc\xff\xfc\xff",
        el(0xFFFCFFFC, "OB", bytes(9))[:-1],
        el(0xFFFCFFFC, "OB", bytes(9))[:9],
        el(0x7FE10010, "LO", b"TEST")[:-1],
    ],
)
def test_a_cut_off_element_after_the_pixel_data_is_refused(after: bytes) -> None:
    with pytest.raises(InstanceError, match="cut off"):
        walked(file(JANE, NATIVE, after))


def test_after_implicit_pixel_data_only_groups_that_may_follow_are_read() -> None:
    head = implicit(plain(NAME, b"Doe^Jane"), plain(PIXEL_DATA, bytes(4)))
    assert walked(head + plain(0xFFFCFFFC, bytes(4))).trailing == 0
    assert walked(head + b"\xfe\xdd" * 20).trailing == 40


def test_zero_bytes_may_pad_a_data_set_without_pixels() -> None:
    assert walked(file(JANE, bytes(512))).trailing == 512
    assert walked(file(JANE, bytes(3))).trailing == 3
    assert walked(implicit(plain(NAME, b"Doe^Jane"), bytes(512))).trailing == 512


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (file(JANE, b"\0"), "(0010,0010): cut off inside an element"),
        (file(JANE, bytes(64) + b"\1"), "zero bytes before byte 241 where an element should begin"),
        (file(el(ROWS, "US", b"\4\0"), bytes(64)), "an image without pixel data, followed by zero bytes"),
        (file(el(ROWS, "US", b"\4\0"), bytes(4)), "an image without pixel data, followed by zero bytes"),
    ],
)
def test_zero_bytes_in_place_of_data_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InstanceError) as caught:
        walked(data)
    assert caught.value.message == message


def test_float_pixels_are_pixels() -> None:
    assert pixels_of(file(JANE, el(0x7FE00008, "OF", bytes(16)))).tag == 0x7FE00008
    assert pixels_of(file(JANE, el(0x7FE00009, "OD", bytes(16)))).vr == "OD"


def test_the_first_pixel_data_counts() -> None:
    assert pixels_of(file(JANE, el(0x7FE00008, "OF", bytes(16)), NATIVE)).tag == 0x7FE00008
