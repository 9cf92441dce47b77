from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from gateway.pixels.boxes import Box, find


def box(name: bytes, content: bytes, *, long: bool = False, open_ended: bool = False) -> bytes:
    if long:
        return struct.pack(">L4sQ", 1, name, len(content) + 16) + content
    return struct.pack(">L4s", 0 if open_ended else len(content) + 8, name) + content


def test_a_box_is_found_behind_others_of_both_lengths() -> None:
    data = box(b"jP  ", b"1234") + box(b"ftyp", b"xx", long=True) + box(b"jp2c", b"code") + box(b"more", b"")
    found = find(data, b"jp2c")
    assert found is not None and data[found.start : found.end] == b"code"
    assert find(data, b"ftyp") == Box(12 + 16, 12 + 18)
    assert find(data, b"none") is None


def test_the_last_one_may_have_no_length() -> None:
    data = box(b"jP  ", b"") + box(b"jp2c", b"the rest", open_ended=True)
    assert find(data, b"jp2c") == Box(16, None)
    assert find(data + box(b"jxlc", b""), b"jxlc") is None, "nothing comes after it"


def test_a_head_may_end_anywhere_and_a_length_may_lie() -> None:
    data = box(b"ftyp", b"xx", long=True) + box(b"jp2c", b"code")
    for end in range(len(data)):
        found = find(data[:end], b"jp2c")
        assert (found is not None) == (end >= 26)
    assert find(struct.pack(">L4s", 4, b"evil") * 3, b"jp2c") is None


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_it_ends(data: bytes) -> None:
    found = find(data, b"jp2c")
    assert found is None or data[found.start - 8 : found.start - 4] == b"jp2c" or data[found.start - 12 : found.start - 8] == b"jp2c"
