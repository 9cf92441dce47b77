from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.byteorder import WORD, swapped
from gateway.dicom.vrs import LONG, SHORT


@pytest.mark.parametrize(
    ("size", "expected"), [(1, "0102030405060708"), (2, "0201040306050807"), (4, "0403020108070605"), (8, "0807060504030201")]
)
def test_each_word_is_reversed(size: int, expected: str) -> None:
    assert swapped(bytes(range(1, 9)), size).hex() == expected


def test_what_is_left_over_stays() -> None:
    assert swapped(b"abc", 2) == b"bac"
    assert swapped(b"a", 8) == b"a"


@given(st.binary(), st.sampled_from([1, 2, 4, 8]))
def test_twice_is_nothing(raw: bytes, size: int) -> None:
    assert swapped(swapped(raw, size), size) == raw


def test_strings_of_bytes_have_no_words() -> None:
    known = {*SHORT.values(), *LONG.values()}
    assert known - WORD.keys() == set("AE AS CS DA DS DT IS LO LT OB PN SH SQ ST TM UC UI UN UR UT".split())
