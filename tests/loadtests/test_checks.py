from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import orjson
import pytest
from PIL import Image

from loadtests import checks
from loadtests.checks import Mismatch

BOUNDARY = "4f0c"
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def items(tag: str, *values: str | int) -> dict[str, Any]:
    return {"vr": "SQ", "Value": [{tag: {"vr": "UI", "Value": [value]}} for value in values]}


def answer(**attributes: dict[str, Any]) -> bytes:
    return orjson.dumps({key.removeprefix("t"): value for key, value in attributes.items()})


def multipart(*bodies: bytes, start: bytes = b"\r\n", end: bytes = b"--\r\n") -> bytes:
    head = b"--4f0c\r\nContent-Type: application/dicom\r\n\r\n"
    return start + b"".join(head + body + b"\r\n" for body in bodies) + b"--4f0c" + end


def test_a_store_that_names_everything_passes() -> None:
    checks.stored(answer(t00081199=items("00081155", "1.2", "1.3")), ["1.3", "1.2"])


def test_an_empty_failed_sequence_is_no_failure() -> None:
    checks.stored(answer(t00081199=items("00081155", "1.2"), t00081198={"vr": "SQ"}), ["1.2"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (answer(t00081199=items("00081155", "1.2")), "lacks 1 of 2 UIDs, for example 1.3"),
        (answer(t00081199=items("00081155", "1.2", "1.3", "1.4")), "1 UIDs that do not belong"),
        (answer(t00081199=items("00081155", "1.2", "1.3", "1.3")), "repeats 1 UIDs"),
        (answer(t00081198=items("00081197", 272, 272), t00081199=items("00081155", "1.2", "1.3")), "2 of 2 instances failed.* 0110"),
        (answer(t00081198={"vr": "SQ", "Value": [{}]}), "reason unknown"),
        (answer(t0008119A=items("00081197", 272), t00081199=items("00081155", "1.2", "1.3")), "1 parts failed"),
        (answer(t00081199={"vr": "SQ", "Value": "1.2"}), "not a sequence of items"),
        (answer(), "lacks 2 of 2"),
        (b"[]", "not a JSON object"),
        (b"<html>", "not JSON"),
    ],
)
def test_a_store_that_names_anything_else_does_not(body: bytes, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        checks.stored(body, ["1.2", "1.3"])


def test_an_allowed_status_passes() -> None:
    checks.expect_status(204, (200, 204), b"")


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "no body"), (None, "no body"), (b"a\r\n  b\xff", "a b\N{REPLACEMENT CHARACTER}"), (b"x" * 1000, "x" * 160 + "$")],
)
def test_another_status_shows_what_the_server_said(body: bytes | None, message: str) -> None:
    with pytest.raises(Mismatch, match=f"^status 500 instead of 200 or 204: {message}"):
        checks.expect_status(500, (200, 204), body)


def test_results_are_an_array_or_no_content() -> None:
    assert checks.matches(200, b'[{"a":{}}]') == [{"a": {}}]
    assert checks.matches(204, b"") == checks.matches(204, None) == []


@pytest.mark.parametrize(("status", "body"), [(200, b""), (200, None), (200, b"{}"), (200, b"[1]"), (204, b"[]")])
def test_anything_else_is_no_result(status: int, body: bytes | None) -> None:
    with pytest.raises(Mismatch):
        checks.matches(status, body)


def test_the_first_value_of_an_attribute() -> None:
    assert checks.value({"00100020": {"vr": "LO", "Value": ["A", "B"]}}, "00100020") == "A"


@pytest.mark.parametrize("attributes", [{}, {"00100020": {"vr": "LO"}}, {"00100020": {"Value": []}}, {"00100020": None}])
def test_an_attribute_without_value_is_a_mismatch(attributes: dict[str, Any]) -> None:
    with pytest.raises(Mismatch, match="no value of 00100020"):
        checks.value(attributes, "00100020")


def test_single_values() -> None:
    checks.equal("A", "A", "PatientID")
    with pytest.raises(Mismatch, match="PatientID is 'B' instead of 'A'"):
        checks.equal("B", "A", "PatientID")


@pytest.mark.parametrize(
    ("found", "message"),
    [(b"abcX", "byte 3 on"), (b"abc", "frame: 3 bytes .* 4 expected .* byte 3"), (b"abcde", "byte 4"), (b"", "byte 0")],
)
def test_bytes_that_differ_are_located(found: bytes, message: str) -> None:
    checks.same_bytes(b"abcd", b"abcd", "frame")
    with pytest.raises(Mismatch, match=message):
        checks.same_bytes(found, b"abcd", "frame")


@pytest.mark.parametrize(
    "content_type", [MULTIPART, MULTIPART.replace(BOUNDARY, f'"{BOUNDARY}"'), MULTIPART.upper().replace("4F0C", "4f0c")]
)
@pytest.mark.parametrize("start", [b"", b"\r\n", b"preamble\r\n"])
@pytest.mark.parametrize("end", [b"--", b"--\r\n", b"--\r\nepilogue"])
def test_parts_come_out_whole(content_type: str, start: bytes, end: bytes) -> None:
    bodies = [b"one", b"", b"\r\n\r\n--4f0\r\n"]
    assert checks.parts(content_type, multipart(*bodies, start=start, end=end)) == bodies


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("multipart/related", multipart(b"x"), "without a boundary"),
        (MULTIPART, multipart(b"x", end=b""), "cut off"),
        (MULTIPART, b"", "cut off"),
        (MULTIPART, b"\r\n--4f0c\r\nContent-Type: a/b\r\n--4f0c--", "headers have no end"),
    ],
)
def test_broken_multipart_is_a_mismatch(content_type: str, body: bytes, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        checks.parts(content_type, body)


def test_every_cut_is_noticed() -> None:
    whole = multipart(b"body", end=b"--")
    for length in range(len(whole)):
        with pytest.raises(Mismatch):
            checks.parts(MULTIPART, whole[:length])


@pytest.mark.parametrize(("content_type", "make"), [("application/dicom", bytes), (MULTIPART, multipart)])
def test_one_item_comes_with_or_without_multipart(content_type: str, make: Callable[[bytes], bytes]) -> None:
    assert checks.sole_part(content_type, make(b"body")) == b"body"


def test_one_item_is_not_two() -> None:
    with pytest.raises(Mismatch, match="2 parts"):
        checks.sole_part(MULTIPART, multipart(b"a", b"b"))


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [
        (503, "7", 7.0),
        (429, "0", 0.0),
        (503, "Thu, 01 Jan 1970 00:00:50 GMT", 40.0),
        (503, "Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        (503, "", None),
        (500, "7", None),
        (200, "7", None),
    ],
)
def test_a_busy_server_says_when_to_come_back(status: int, retry_after: str, expected: float | None) -> None:
    assert checks.wait_asked(status, retry_after, now=10.0) == expected


@pytest.mark.parametrize("retry_after", ["soon", "-1", "1.5"])
def test_a_retry_after_that_says_nothing_is_a_mismatch(retry_after: str) -> None:
    with pytest.raises(Mismatch, match="neither seconds nor a date"):
        checks.wait_asked(503, retry_after, now=10.0)


def test_not_modified_is_an_answer_without_a_body() -> None:
    assert checks.unchanged(304, b"", '"1"', '"1"')
    with pytest.raises(Mismatch, match="status 304 with a body of 1 bytes"):
        checks.unchanged(304, b"x", '"1"', '"1"')


@pytest.mark.parametrize("tag", ['"2"', ""])
def test_what_has_changed_comes_whole(tag: str) -> None:
    assert not checks.unchanged(200, b"x", '"1"', tag)


@pytest.mark.parametrize(("asked", "tag"), [('"1"', '"1"'), ('W/"1"', '"1"'), ('"1"', 'W/"1"')])
def test_what_has_not_changed_must_not_come_again(asked: str, tag: str) -> None:
    with pytest.raises(Mismatch, match="instead of 304"):
        checks.unchanged(200, b"x", asked, tag)


def same_files(*found: bytes) -> None:
    def index_of(file: bytes) -> int | None:
        return file[0] if file[0] < 3 else None

    checks.same_files(found, 3, index_of, lambda index: bytes((index, 9)))


def test_files_may_come_in_any_order() -> None:
    same_files(b"\x02\x09", b"\x00\x09", b"\x01\x09")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((b"\0\x09", b"\1\x09"), "2 instances instead of 3"),
        ((b"\0\x09", b"\1\x09", b"\1\x09"), "1 instances came twice"),
        ((b"\0\x09", b"\1\x09", b"\7\x09"), "not of this study"),
        ((b"\0\x09", b"\1\x09", b"\2\x08"), "differ .* from byte 1 on"),
    ],
)
def test_other_files_are_a_mismatch(found: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        same_files(*found)


def jpeg(columns: int, rows: int, marker: int = 0xC0) -> bytes:
    app = b"\xff\xe0\x00\x04\xff\xc0"  # a segment whose content looks like a frame header
    tables = b"\xff\xc4\x00\x03x"
    frame = bytes((0xFF, marker, 0, 11, 8)) + rows.to_bytes(2) + columns.to_bytes(2) + b"\x01\x01\x11\x00"
    return b"\xff\xd8" + app + tables + frame + b"\xff\xda\x00\x02pixels\xff\xd9"


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2])
@pytest.mark.parametrize("content_type", ["image/jpeg", "Image/JPEG; charset=x"])
def test_a_picture_has_a_size(marker: int, content_type: str) -> None:
    assert checks.jpeg_size(content_type, jpeg(640, 480, marker)) == (640, 480)


def test_the_size_is_that_which_a_real_encoder_wrote() -> None:
    file = BytesIO()
    Image.new("L", (37, 21)).save(file, "JPEG")
    assert checks.jpeg_size("image/jpeg", file.getvalue()) == (37, 21)


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("image/png", jpeg(1, 1), "image/png instead of image/jpeg"),
        ("", jpeg(1, 1), "nothing instead"),
        ("image/jpeg", jpeg(1, 1)[:-1], "without its beginning or its end"),
        ("image/jpeg", b"", "without its beginning or its end"),
        ("image/jpeg", b"\xff\xd8\xff\xd9", "without a frame header"),
        ("image/jpeg", b"\xff\xd8\xff\xe0\xff\xff123456789\xff\xd9", "without a frame header"),
    ],
)
def test_what_is_no_picture_is_a_mismatch(content_type: str, body: bytes, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        checks.jpeg_size(content_type, body)
