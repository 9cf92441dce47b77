"""A data set written as Explicit VR Little Endian."""

from __future__ import annotations

from struct import pack

import pytest

from gateway.dicom.explicit import Writer, element_header, padding, word_size
from tests.dicom.handmade import el, open_item, open_sq


def nothing(tag: int) -> None:
    return None


def written(writer: Writer) -> bytes:
    writer.end()
    return b"".join(writer.out)


@pytest.mark.parametrize(
    ("vr", "header"),
    [
        ("CS", b"\x08\0\x60\0CS\x02\0"),
        ("OW", b"\x08\0\x60\0OW\0\0\x02\0\0\0"),
        ("UV", b"\x08\0\x60\0UV\0\0\x02\0\0\0"),
        ("SQ", b"\x08\0\x60\0SQ\0\0\x02\0\0\0"),
    ],
)
def test_headers(vr: str, header: bytes) -> None:
    assert element_header(0x00080060, vr, 2) == header


def test_a_value_too_long_for_its_vr_is_un() -> None:
    assert element_header(0x00283006, "US", 0xFFFE)[4:6] == b"US"
    assert element_header(0x00283006, "US", 0x10000) == pack("<HH2s2xL", 0x28, 0x3006, b"UN", 0x10000)
    assert element_header(0x00204000, "UT", 0x10000)[4:6] == b"UT"


@pytest.mark.parametrize(("vr", "fill"), [("LO", b" "), ("DS", b" "), ("UT", b" "), ("UI", b"\0"), ("OB", b"\0"), ("UN", b"\0")])
def test_odd_lengths_are_filled(vr: str, fill: bytes) -> None:
    assert padding(vr, 3) == fill
    assert padding(vr, 4) == b""
    writer = Writer(True, nothing)
    writer.value(0x00090002, vr, 0, b"abc")
    assert written(writer) == el(0x00090002, vr, b"abc" + fill)


def test_sequences_and_items_have_undefined_lengths() -> None:
    writer = Writer(True, nothing)
    writer.sequence(0x00081115, 0, True)
    writer.item(1)
    writer.value(0x0020000E, "UI", 1, b"1\0")
    writer.sequence(0x00081199, 1, True)
    writer.item(2)
    writer.item(2)
    writer.value(0x00081150, "UI", 2, b"2\0")
    writer.item(1)
    writer.value(0x00100010, "PN", 0, b"AB")
    writer.sequence(0x00400275, 0, True)
    inner = open_sq(0x00081199, open_item(), open_item(el(0x00081150, "UI", b"2\0")))
    expected = open_sq(0x00081115, open_item(el(0x0020000E, "UI", b"1\0"), inner), open_item())
    assert written(writer) == expected + el(0x00100010, "PN", b"AB") + open_sq(0x00400275)


def test_a_sequence_ends_when_its_parent_goes_on() -> None:
    writer = Writer(True, nothing)
    writer.sequence(0x00081115, 0, True)
    writer.item(1)
    writer.sequence(0x00081199, 1, True)
    writer.item(2)
    writer.value(0x0020000E, "UI", 1, b"1\0")
    expected = open_sq(0x00081115, open_item(open_sq(0x00081199, open_item()), el(0x0020000E, "UI", b"1\0")))
    assert written(writer) == expected


@pytest.mark.parametrize(
    ("vr", "raw", "out"),
    [("US", b"\1\2", b"\2\1"), ("FL", b"abcd", b"dcba"), ("AT", b"\0\x10\0\x20", b"\x10\0\x20\0"), ("OB", b"ab", b"ab")],
)
def test_big_endian_values_are_swapped(vr: str, raw: bytes, out: bytes) -> None:
    writer = Writer(False, nothing)
    writer.value(0x00280010, vr, 0, raw)
    assert written(writer) == el(0x00280010, vr, out)


def test_items_may_be_little_endian_among_big_endian_elements() -> None:
    writer = Writer(False, nothing)
    writer.sequence(0x00081115, 0, True)
    writer.item(1)
    writer.value(0x00280010, "US", 1, b"\1\2")
    writer.value(0x00280010, "US", 0, b"\1\2")
    assert written(writer) == open_sq(0x00081115, open_item(el(0x00280010, "US", b"\1\2"))) + el(0x00280010, "US", b"\2\1")


def test_vrs_hang_on_what_was_written_around_them() -> None:
    writer = Writer(True, nothing)
    writer.value(0x00280103, "US", 0, b"\1\0")
    writer.sequence(0x00283000, 0, True)
    writer.item(1)
    writer.value(0x00283002, "US or SS", 1, b"\1\0\0\0\x10\0")
    writer.value(0x00283006, "US or OW", 1, b"\5\0")
    inner = el(0x00283002, "SS", b"\1\0\0\0\x10\0") + el(0x00283006, "US", b"\5\0")
    assert written(writer) == el(0x00280103, "US", b"\1\0") + open_sq(0x00283000, open_item(inner))


def test_or_on_what_is_still_to_come() -> None:
    writer = Writer(True, {0x00280103: 1}.get)
    writer.value(0x00189810, "US or SS", 0, b"\1\0")
    assert written(writer) == el(0x00189810, "SS", b"\1\0")


@pytest.mark.parametrize(
    ("vr", "bits", "size"), [("OW", 8, 2), ("OW", 12, 2), ("OW", 16, 2), ("OW", 32, 4), ("OW", 64, 8), ("OB", 32, 1), ("OF", 32, 4)]
)
def test_pixels_are_swapped_as_a_whole(vr: str, bits: int, size: int) -> None:
    assert word_size(vr, bits) == size
    writer = Writer(False, nothing)
    writer.value(0x00280100, "US", 0, pack(">H", bits))
    assert writer.header(0x7FE00010, vr, 0, 64) == (size, b"")
