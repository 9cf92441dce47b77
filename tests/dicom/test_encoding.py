"""Values of DICOM JSON as bytes: the way back from `values`, and what is no value."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.charset import character_set
from gateway.dicom.encoding import ROOM, NotAValue, decoded, encoded
from gateway.dicom.values import CONVERT

UTF_8 = character_set(b"ISO_IR 192")
NUMBERS = {"SL": (-(2**31), 2**31 - 1), "SS": (-(2**15), 2**15 - 1), "SV": (-(2**63), 2**63 - 1), "UL": (0, 2**32 - 1)}
NUMBERS |= {"US": (0, 2**16 - 1), "UV": (0, 2**64 - 1)}


def there_and_back(vr: str, values: list[Any]) -> list[Any]:
    return CONVERT[vr](encoded(vr, values), UTF_8, True)


@pytest.mark.parametrize(
    ("vr", "values", "raw"),
    [
        ("CS", ["ORIGINAL", None, "AXIAL"], b"ORIGINAL\\\\AXIAL"),
        ("UI", ["1.2", "1.3"], b"1.2\\1.3"),
        ("LO", ["Zoë", "山"], "Zoë\\山".encode()),
        ("LT", ["a\\b"], b"a\\b"),
        ("UR", ["http://x/y"], b"http://x/y"),
        ("PN", [{"Alphabetic": "A^B", "Phonetic": "C"}, None, {"Ideographic": "山"}], "A^B==C\\\\=山".encode()),
        ("PN", ["A^B=C"], b"A^B=C"),
        ("AT", ["00100010", "7fe00010"], b"\x10\0\x10\0\xe0\x7f\x10\0"),
        ("DS", [1, 1.5, "1.50", None], b"1\\1.5\\1.50\\"),
        ("IS", [7, 8.0, "-9"], b"7\\8\\-9"),
        ("SH", [5], b"5"),
        ("US", [1, "2", 3.0], b"\1\0\2\0\3\0"),
        ("SS", [-1], b"\xff\xff"),
        ("FL", ["1.5", 2], b"\0\0\xc0\x3f\0\0\0\x40"),
        ("FD", ["-Infinity"], b"\0\0\0\0\0\0\xf0\xff"),
    ],
)
def test_values_become_bytes(vr: str, values: list[Any], raw: bytes) -> None:
    assert encoded(vr, values) == raw


@pytest.mark.parametrize("vr", NUMBERS)
def test_numbers_hold_what_their_vr_holds(vr: str) -> None:
    least, most = NUMBERS[vr]
    assert there_and_back(vr, [least, most]) == [least, most]
    assert there_and_back(vr, [str(most)]) == [most]
    for beyond in (least - 1, most + 1):
        with pytest.raises(NotAValue, match="beyond"):
            encoded(vr, [beyond])


@given(st.floats(min_value=-1e308, max_value=1e308))
def test_a_decimal_string_has_room_and_keeps_what_fits(value: float) -> None:
    raw = encoded("DS", [value])
    assert len(raw) <= ROOM
    assert math.isclose(float(raw), value, rel_tol=1e-8, abs_tol=1e-307)


@given(st.from_regex(r"-?[0-9]{0,6}\.[0-9]{1,6}", fullmatch=True))
def test_a_decimal_that_was_short_comes_back_exactly(text: str) -> None:
    assert float(encoded("DS", [float(text)])) == float(text)


@given(st.floats(width=32, allow_nan=False))
def test_floats_come_back(value: float) -> None:
    shown = value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    assert there_and_back("FL", [shown]) == there_and_back("FD", [shown]) == [shown]


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("US", 1.5), ("US", True), ("US", "1_0"), ("US", "0x1"), ("US", None), ("US", {}), ("US", "9" * 5000),
        ("FD", "one"), ("FD", "1_0"), ("FD", None), ("FD", True), ("FL", 1e300),
        ("AT", "0010001"), ("AT", 1048592), ("AT", None),
        ("CS", "漢"), ("CS", {}), ("CS", False), ("UI", ["1"]), ("LO", {"Alphabetic": "A"}), ("PN", [1]), ("PN", {"Alphabetic": {}}),
        ("DS", math.inf), ("DS", "漢"), ("IS", "漢"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused_and_not_shown(vr: str, value: Any) -> None:
    with pytest.raises(NotAValue) as caught:
        encoded(vr, [value])
    assert not isinstance(value, str) or value not in str(caught.value)


@pytest.mark.parametrize("vr", ["LT", "ST", "UT", "UR"])
def test_text_has_one_value(vr: str) -> None:
    with pytest.raises(NotAValue, match="more values than one"):
        encoded(vr, ["a", "b"])


@pytest.mark.parametrize("vr", ["OB", "OD", "OF", "OL", "OV", "OW", "UN", "SQ"])
def test_other_vrs_have_no_value(vr: str) -> None:
    with pytest.raises(NotAValue, match="InlineBinary"):
        encoded(vr, [1])


def test_base64_may_have_lines_and_nothing_else_besides() -> None:
    assert decoded("AAEC\r\n Aw==") == b"\0\1\2\3"
    for text in ("AAEC*", "AAE", None, 7, "ä"):
        with pytest.raises(NotAValue, match="InlineBinary"):
            decoded(text)
