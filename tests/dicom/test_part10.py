from __future__ import annotations

import warnings

import pytest
from pydicom.uid import AllTransferSyntaxes

from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, codec_of, find_start, guess_syntax, known_syntax, uid_text

PN_EXPLICIT, PN_IMPLICIT, PN_BIG = b"\x10\0\x10\0PN\x04\0", b"\x10\0\x10\0\x04\0\0\0", b"\0\x10\0\x10PN\0\x04"
META, CLASS = b"\2\0\0\0UL\4\0", b"\x08\0\x16\0UI\x1a\0"


@pytest.mark.parametrize(
    ("head", "start"),
    [
        (bytes(128) + b"DICM" + META, 132),
        (b"\x08\0" * 64 + b"DICM" + META, 132),
        (bytes(128) + b"DICM" + CLASS, 132),
        (CLASS + bytes(120) + b"DICM" + CLASS, 0),
        (META, 0),
        (CLASS, 0),
        (b"\x04\0\x30\x11CS\x08\0", 0),
        (b"\0\x08\0\x16UI\0\x1a", 0),
        (b"\x10\0\x10\0PN\x04\0", None),
        (b"\x08\0\x16\0UI", None),
        (b"", None),
        (bytes(200), None),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", None),
        (b'{"00080018":', None),
        (b"%PDF-1.7 and more", None),
    ],
)
def test_where_a_file_begins(head: bytes, start: int | None) -> None:
    assert find_start(head) == start


@pytest.mark.parametrize(
    ("head", "syntax"),
    [
        (CLASS, EXPLICIT),
        (b"\x08\0\x16\0\x1a\0\0\0", IMPLICIT),
        (b"\0\x08\0\x16UI\0\x1a", BIG_ENDIAN),
        (b"\x08\0\x16\0ZZ\0\0", IMPLICIT),
        (b"\x08\0", IMPLICIT),
    ],
)
def test_a_missing_transfer_syntax_is_guessed_from_the_first_element(head: bytes, syntax: str) -> None:
    assert guess_syntax(head) == syntax


@pytest.mark.parametrize(
    ("syntax", "head", "explicit", "little"),
    [
        (EXPLICIT, PN_EXPLICIT, True, True),
        (IMPLICIT, PN_IMPLICIT, False, True),
        (BIG_ENDIAN, PN_BIG, True, False),
        (EXPLICIT, PN_IMPLICIT, False, True),
        (IMPLICIT, PN_EXPLICIT, True, True),
        (IMPLICIT, b"", False, True),
        (EXPLICIT, b"\x10\0", True, True),
        ("1.2.840.10008.1.2.4.50", PN_EXPLICIT, True, True),
    ],
)
def test_the_first_vr_is_believed_more_than_the_transfer_syntax(syntax: str, head: bytes, explicit: bool, little: bool) -> None:
    codec = codec_of(syntax, head)
    assert (codec.explicit, codec.little) == (explicit, little)


def test_known_transfer_syntaxes_are_those_of_the_standard() -> None:
    assert all(known_syntax(syntax) for syntax in AllTransferSyntaxes)
    assert all(known_syntax(syntax) for syntax in DEFLATED)
    assert known_syntax("1.2.840.10008.1.2.4.52")
    assert not known_syntax("1.2.840.10008.5.1.4.1.1.2")
    assert not known_syntax("")


def test_text_that_is_no_uid_is_shown_to_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not known_syntax("Doe^Jane")


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"1.2.3\0", "1.2.3"), (b"1.2 \0", "1.2"), (b" 1.2", "1.2"), (b"1.\xe9", "1.\ufffd"), (b"\0\0", ""), (b"1.2\0.3", "1.2\0.3")],
)
def test_padding_is_no_part_of_a_uid(value: bytes, text: str) -> None:
    assert uid_text(value) == text
