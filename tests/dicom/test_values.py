"""Values of each VR as DICOM JSON has them."""

from __future__ import annotations

import math
from struct import pack
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.charset import DEFAULT, character_set
from gateway.dicom.values import CONVERT, BadValue

UTF_8 = character_set(b"ISO_IR 192")


def values(vr: str, raw: bytes, little: bool = True) -> list[Any]:
    return CONVERT[vr](raw, UTF_8, little)


@pytest.mark.parametrize("vr", sorted(CONVERT))
def test_no_bytes_no_values(vr: str) -> None:
    assert values(vr, b"") == []


@pytest.mark.parametrize("vr", ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"])
@pytest.mark.parametrize("raw", [b" ", b"    ", b"\0", b" \0"])
def test_padding_alone_is_no_value(vr: str, raw: bytes) -> None:
    assert values(vr, raw) == []


@pytest.mark.parametrize("vr", ["AE", "CS", "LO", "SH"])
def test_spaces_on_both_sides_go(vr: str) -> None:
    assert values(vr, b" A B \\ C ") == ["A B", "C"]


@pytest.mark.parametrize("vr", ["UC", "PN"])
def test_leading_spaces_that_count_stay(vr: str) -> None:
    found = values(vr, b" A \\ B ")
    assert found == ([{"Alphabetic": " A"}, {"Alphabetic": " B"}] if vr == "PN" else [" A", " B"])


@pytest.mark.parametrize("vr", ["LT", "ST", "UT", "UR"])
def test_single_text_keeps_backslashes_and_leading_spaces(vr: str) -> None:
    assert values(vr, b" a\\b \0") == [" a\\b"]


def test_uids_lose_their_padding() -> None:
    assert values("UI", b"1.2\0") == ["1.2"]
    assert values("UI", b"1.2\0\\1.3 ") == ["1.2", "1.3"]


@pytest.mark.parametrize("vr", ["AE", "CS", "DA", "DS", "IS", "LO", "SH", "TM", "UC", "UI"])
def test_an_empty_value_among_others_is_null(vr: str) -> None:
    assert values(vr, b"1\\\\2\\ ")[1] is None
    assert len(values(vr, b"1\\\\2")) == 3


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"1", 1),
        (b"+007 ", 7),
        (b" -180", -180),
        (b"0.703125", 0.703125),
        (b".5", 0.5),
        (b"5.", 5.0),
        (b"-1.25E-03", -0.00125),
        (b"1e5", 100000.0),
        (b"999999999999999", 999999999999999),
        (b"1,5", "1,5"),
        (b"nan", "nan"),
        (b"inf", "inf"),
        (b"1e999", "1e999"),
        (b"1_0", "1_0"),
        (b"0x10", "0x10"),
        (b"5 mm", "5 mm"),
        (b"--5", "--5"),
        (b".", "."),
        (b"1234567890123456", "1234567890123456"),
        (b"\xb2", "²"),
    ],
)
def test_decimal_strings(raw: bytes, value: Any) -> None:
    found = values("DS", raw)
    assert found == [value]
    assert type(found[0]) is type(value)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"42 ", 42),
        (b"-7", -7),
        (b"1.0", 1),
        (b"1.5", "1.5"),
        (b"1e3", 1000),
        (b"1e300", "1e300"),
        (b"1A", "1A"),
        (b"12345678901234567890", "12345678901234567890"),
    ],
)
def test_integer_strings(raw: bytes, value: Any) -> None:
    found = values("IS", raw)
    assert found == [value]
    assert type(found[0]) is type(value)


def test_one_odd_number_does_not_cost_the_others() -> None:
    assert values("DS", b"1\\x\\2.5") == [1, "x", 2.5]
    assert values("IS", b"1\\1.5\\") == [1, "1.5", None]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("Doe^Jane", [{"Alphabetic": "Doe^Jane"}]),
        ("Yamada=山田=やまだ ", [{"Alphabetic": "Yamada", "Ideographic": "山田", "Phonetic": "やまだ"}]),
        ("=山田", [{"Ideographic": "山田"}]),
        ("Hong==홍 ", [{"Alphabetic": "Hong", "Phonetic": "홍"}]),
        ("A^B\\\\=C", [{"Alphabetic": "A^B"}, None, {"Ideographic": "C"}]),
        ("a=b=c=d", [{"Alphabetic": "a", "Ideographic": "b", "Phonetic": "c=d"}]),
        ("==", []),
        ("==\\", [None, None]),
    ],
)
def test_names(raw: str, value: list[Any]) -> None:
    assert values("PN", raw.encode()) == value


def test_a_backslash_inside_a_character_is_no_delimiter() -> None:
    gb, sjis, jis = character_set(b"GB18030"), character_set(b"ISO_IR 13"), character_set(b"\\ISO 2022 IR 87")
    assert CONVERT["LO"]("乗".encode("gb18030") + b"\\b", gb, True) == ["乗", "b"]
    assert "乗".encode("gb18030")[1:] == b"\\"
    assert CONVERT["PN"]("表".encode("shift_jis"), sjis, True) == [{"Alphabetic": "表"}]
    assert "表".encode("shift_jis")[1:] == b"\\"
    assert CONVERT["SH"](b"\x1b$B\x30\x5c\x1b(B\\x", jis, True) == [b"\x1b$B\x30\x5c\x1b(B".decode("iso2022_jp"), "x"]


@pytest.mark.parametrize("vr", ["CS", "UI", "DA", "UR", "AE"])
def test_vrs_of_the_default_repertoire_ignore_the_character_set(vr: str) -> None:
    assert values(vr, b"\xe4") == ["ä"]


@pytest.mark.parametrize(
    ("vr", "code", "numbers"),
    [
        ("US", "H", [0, 65535]),
        ("SS", "h", [-32768, 1]),
        ("UL", "I", [2**32 - 1]),
        ("SL", "i", [-(2**31), 5]),
        ("UV", "Q", [2**64 - 1, 2**53 + 1]),
        ("SV", "q", [-(2**63)]),
        ("FL", "f", [0.5, -2.0]),
        ("FD", "d", [0.1, 1e300]),
    ],
)
@pytest.mark.parametrize("little", [True, False])
def test_numbers_in_both_byte_orders(vr: str, code: str, numbers: list[float], little: bool) -> None:
    assert values(vr, pack(f"{'<' if little else '>'}{len(numbers)}{code}", *numbers), little) == numbers


def test_large_integers_go_out_digit_by_digit() -> None:
    assert orjson.dumps(values("UV", b"\xff" * 8)) == b"[18446744073709551615]"


def test_tags_are_eight_digits() -> None:
    assert values("AT", b"\x18\x00\x63\x10\x54\x00\xff\xab") == ["00181063", "0054ABFF"]
    assert values("AT", b"\x00\x18\x10\x63", little=False) == ["00181063"]


def test_numbers_that_json_has_not() -> None:
    assert values("FD", pack("<3d", math.nan, math.inf, -math.inf)) == ["NaN", "Infinity", "-Infinity"]
    assert values("FL", pack("<2f", math.inf, 1.0)) == ["Infinity", 1.0]


@pytest.mark.parametrize(("vr", "length"), [("US", 3), ("SL", 2), ("FD", 12), ("AT", 2), ("AT", 6), ("UV", 1)])
def test_a_part_of_a_number_is_refused(vr: str, length: int) -> None:
    with pytest.raises(BadValue):
        values(vr, bytes(length))


@given(st.sampled_from(sorted(CONVERT)), st.binary(max_size=40), st.booleans())
def test_whatever_comes_is_json_or_refused(vr: str, raw: bytes, little: bool) -> None:
    for charset in (DEFAULT, UTF_8, character_set(b"\\ISO 2022 IR 87")):
        try:
            found = CONVERT[vr](raw, charset, little)
        except BadValue:
            continue
        assert orjson.loads(orjson.dumps(found)) == found
        assert "" not in found


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_decimal_strings_keep_the_number(number: float) -> None:
    assert float(values("DS", repr(number).encode())[0]) == number
