"""Specific Character Set: the examples of PS3.5 annexes H to K, and what archives do to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes

from gateway.dicom.charset import DEFAULT, character_set

YAMADA = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
KATAKANA = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
HONG = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
ZHANG = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="

TERMS = [
    *(b"ISO_IR %d" % number for number in (13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 192, 203)),
    *(b"\\ISO 2022 IR %d" % number for number in (6, 13, 58, 87, 100, 101, 126, 144, 149, 159, 166)),
    b"",
    b"ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159",
    b"ISO 2022 IR 100\\ISO 2022 IR 126",
    b"GB18030",
    b"GBK",
    b"ISO_IR 999",
    b"\xff\xfe",
]


@pytest.mark.parametrize(
    ("term", "raw", "text"),
    [
        (b"", b"plain", "plain"),
        (b"ISO_IR 6", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (b"ISO_IR 101", b"W\xb1ek", "Wąek"),
        (b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
        (b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea", "قباني"),
        (b"ISO_IR 138", b"\xf9\xf8\xe5\xef", "שרון"),
        (b"ISO_IR 144", b"\xbb\xee\xda\xe1\xd5\xdc\xd1\xe3\xe0\xd3", "Люксембург"),
        (b"ISO_IR 148", b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
        (b"ISO_IR 166", b"\xb9\xd2\xc1\xca\xa1\xd8\xc5", "นามสกุล"),
        (b"ISO_IR 203", b"\xa4", "€"),
        (b"ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        (b"ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
        (b"GB18030", "Wang=王^小东".encode("gb18030"), "Wang=王^小东"),
        (b"GBK", "Wang=王^小东".encode("gbk"), "Wang=王^小东"),
        (b"\\ISO 2022 IR 87", YAMADA, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87", KATAKANA, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (b"\\ISO 2022 IR 159", b"\x1b$(D0!\x1b(B", "丂"),
        (b"\\ISO 2022 IR 149", HONG, "Hong^Gildong=洪^吉洞=홍^길동"),
        (b"\\ISO 2022 IR 58", ZHANG, "Zhang^XiaoDong=张^小东="),
    ],
)
def test_text_of_each_set(term: bytes, raw: bytes, text: str) -> None:
    assert character_set(term).decode(raw, True) == text


@pytest.mark.parametrize("term", [b"ISO_IR 100 ", b"iso_ir 100", b"ISO-IR 100", b"ISO IR 100", b"ISOIR100", b"ISO_2022_IR_100\0"])
def test_misspelt_terms_are_understood(term: bytes) -> None:
    assert character_set(term) == character_set(b"ISO_IR 100")


@pytest.mark.parametrize("term", [b"UTF-8", b"utf8", b"ISO_IR 192\\ISO 2022 IR 87"])
def test_utf_8_under_other_names(term: bytes) -> None:
    assert character_set(term).decode("Grüße\x1b(B".encode()) == "Grüße\x1b(B"


@pytest.mark.parametrize("term", [b"ISO_IR 999", b"LATIN1", b"rot13", b"idna", b"\xff"])
def test_an_unknown_term_loses_no_byte(term: bytes) -> None:
    raw = bytes(range(1, 256))
    assert character_set(term).decode(raw.replace(b"\x1b", b"")).encode("latin-1") == raw.replace(b"\x1b", b"")


def test_a_delimiter_brings_back_the_first_set() -> None:
    greek = character_set(b"ISO 2022 IR 100\\ISO 2022 IR 126")
    assert greek.decode(b"\x1b-F\xeb\xf0\\\xe8") == "λπ\\è"
    assert greek.decode(b"\x1b-F\xeb\r\n\xe8") == "λ\r\nè"


def test_carets_end_an_extension_in_names_only() -> None:
    greek = character_set(b"ISO 2022 IR 100\\ISO 2022 IR 126")
    assert greek.decode(b"\x1b-F\xeb^\xe8", True) == "λ^è"
    assert greek.decode(b"\x1b-F\xeb^\xe8") == "λ^θ"


def test_a_forgotten_second_escape_is_forgiven_where_the_first_set_is_ascii() -> None:
    assert character_set(b"\\ISO 2022 IR 149").decode(b"\x1b$)C\xb1\xe6\r\n\xb5\xbf") == "길\r\n동"


def test_escapes_are_obeyed_although_the_set_is_not_listed() -> None:
    assert DEFAULT.decode(b"\x1b$B;3ED\x1b(B!") == "山田!"


def test_an_unknown_escape_stays() -> None:
    assert DEFAULT.decode(b"a\x1b-Zb\x1b") == "a\x1b-Zb\x1b"


def test_high_bytes_between_two_byte_characters_are_of_the_other_set() -> None:
    assert character_set(b"ISO 2022 IR 13\\ISO 2022 IR 87").decode(b"\x1b$B;3\xd4ED\x1b(J") == "山ﾔ田"


def test_what_cannot_be_decoded_is_marked() -> None:
    assert character_set(b"ISO_IR 192").decode(b"a\xffb") == "a\ufffdb"
    assert "\ufffd" in character_set(b"\\ISO 2022 IR 87").decode(b"\x1b$B\x7f\x7f\x1b(B")


@given(st.sampled_from(TERMS), st.binary(max_size=60), st.booleans())
def test_any_bytes_give_text_that_utf_8_can_hold(term: bytes, raw: bytes, name: bool) -> None:
    character_set(term).decode(raw, name).encode("utf-8")


@given(
    st.sampled_from(TERMS),
    st.lists(st.sampled_from([b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b-F", b"\\", b"=", b"\xb1\xe6", b";3", b"\x1b"])),
)
def test_any_row_of_escapes_gives_text(term: bytes, pieces: list[bytes]) -> None:
    character_set(term).decode(b"".join(pieces), True).encode("utf-8")


@given(st.sampled_from(TERMS), st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_ascii_is_ascii_in_every_set(term: bytes, text: str) -> None:
    assert character_set(term).decode(text.encode()) == text


@pytest.mark.parametrize("term", ["", "ISO_IR 100", "ISO_IR 144", "ISO_IR 166", "GB18030", "ISO_IR 192", "ISO_IR 13"])
@given(raw=st.binary(max_size=30).filter(lambda raw: b"\x1b" not in raw))
def test_pydicom_reads_single_sets_alike(term: str, raw: bytes) -> None:
    assert character_set(term.encode()).decode(raw) == decode_bytes(raw, convert_encodings(term), set())
