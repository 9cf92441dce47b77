from __future__ import annotations

import email.policy
from collections.abc import Iterable, Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import pairwise

import pytest
from dicomweb_client.web import DICOMwebClient
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.dicomweb.framing import closing, part_head
from gateway.dicomweb.media import MediaType, parse_media_type
from gateway.dicomweb.multipart import Data, End, Event, MultipartLimits, Part, PartEnd, Scanner, boundary_of
from gateway.errors import GatewayError, MalformedMultipart, TooLarge

B = b"bound"
DEFAULT = MultipartLimits()
SMALL = MultipartLimits(preamble_bytes=40, part_headers=3, part_header_bytes=60, parts=4)

Parts = list[tuple[dict[str, str], bytes, bool]]


def events_of(chunks: Iterable[bytes], boundary: bytes = B, limits: MultipartLimits = SMALL) -> Iterator[Event]:
    scanner = Scanner(boundary, limits)
    for chunk in chunks:
        yield from scanner.feed(chunk)
    yield from scanner.close()


def scan(chunks: Iterable[bytes], boundary: bytes = B, limits: MultipartLimits = DEFAULT) -> tuple[Parts, bool, str]:
    """The parts (headers, data, complete), whether the closing delimiter came, and the error that ended it all."""
    parts: Parts = []
    finished = False
    try:
        for event in events_of(chunks, boundary, limits):
            match event:
                case Part(headers):
                    parts.append((dict(headers), b"", False))
                case Data(data):
                    assert data
                    parts[-1] = (parts[-1][0], parts[-1][1] + data, False)
                case PartEnd(complete):
                    parts[-1] = (*parts[-1][:2], complete)
                case End():
                    finished = True
    except GatewayError as error:
        return parts, finished, f"{type(error).__name__}: {error.message}"
    return parts, finished, ""


def each_byte(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(p, len(body)) for p in places), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


# -- any split gives the same

BITS = [
    b"\r",
    b"\n",
    b"\r\n",
    b"-",
    b"--",
    b"\r\n--",
    b"\r\n--bou",
    b"--bound",
    b"\r\n--bound",
    b"\r\n--bound--",
    b" ",
    b"x",
    b"\r\n\r\n",
    b"A: b\r\n",
    b":",
    b"\x00",
]
STREAMS = st.lists(st.sampled_from(BITS), max_size=30).map(b"".join)
# Mostly well formed, so that the search gets past the first delimiter.
BODIES = st.lists(st.sampled_from([*BITS[:7], b"x", b"\x00" * 20]), max_size=8).map(b"".join)
GOOD_BITS = [b"\r\n--bound\r\n\r\n", b"\r\n--bound\r\nA: b\r\n\r\n", b"\r\n--bound \t\r\nA: b\r\n\r\n", b"\r\n--bound--"]
GOOD_STREAMS = st.lists(st.sampled_from(GOOD_BITS) | BODIES, max_size=12).map(b"".join)
PLACES = st.lists(st.integers(0, 300), max_size=12)


@given(STREAMS | GOOD_STREAMS | st.binary(max_size=100), PLACES)
def test_any_split_of_any_bytes_gives_the_same_parts_and_the_same_error(stream: bytes, places: list[int]) -> None:
    whole = scan([stream], limits=SMALL)
    assert scan(each_byte(stream), limits=SMALL) == whole
    assert scan(cut(stream, places), limits=SMALL) == whole


@pytest.mark.parametrize("size", range(1, 80))
def test_any_size_of_piece_gives_the_same_parts(size: int) -> None:
    body = b"preamble\r\n--bound\r\nContent-Type: a/b\r\n\r\n\r\n--boun\r\n--\r\r\n--bound\t\r\n\r\nsecond\r\n--bound--\r\nepilogue"
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    assert scan(pieces) == ([({"content-type": "a/b"}, b"\r\n--boun\r\n--\r", True), ({}, b"second", True)], True, "")


NAMES = st.sampled_from(["content-location", "content-id", "x-a"])
VALUES = st.text(alphabet="abc/:;=\"' \t.", max_size=20).map(str.strip)
PARTS = st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=2), BODIES), min_size=1, max_size=5)


@given(PARTS, PLACES)
def test_what_is_framed_is_read_back(parts: list[tuple[dict[str, str], bytes]], places: list[int]) -> None:
    assume(not any(b"--bound" in body for _, body in parts))
    framed = b"".join(part_head("bound", "a/b", tuple(headers.items())) + body for headers, body in parts) + closing("bound")
    expected = [({"content-type": "a/b", **headers}, body, True) for headers, body in parts]
    assert scan(cut(framed, places)) == (expected, True, "")
    assert scan(each_byte(framed)) == (expected, True, "")


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_reads_what_the_standard_librarys_parser_reads(bodies: list[bytes]) -> None:
    # The email parser takes text; Latin-1 without the line ends that it would touch keeps every byte.
    bodies = [bytes(b for b in body if b > 0x1F and b != 0x7F and not 0x80 <= b < 0xA0) for body in bodies]
    framed = b"".join(part_head("bound", "a/b") + body for body in bodies) + closing("bound")
    message = BytesParser(policy=email.policy.default).parsebytes(b"Content-Type: multipart/related; boundary=bound\r\n\r\n" + framed)
    assert isinstance(message, EmailMessage)
    judged = [part.get_payload(decode=True) for part in message.iter_parts()]
    assert [data for _, data, _ in scan([framed])[0]] == judged == bodies


# -- nothing is copied, little is held


class Watched(bytes):
    """Counts how often it is searched from front to back."""

    finds = 0

    def find(self, *args: object) -> int:
        self.finds += 1
        return super().find(*args)  # type: ignore[arg-type]  # passed on as they came


def in_body() -> Scanner:
    scanner = Scanner(B)
    assert scanner.feed(b"--bound\r\n\r\nx") == [Part({}), Data(b"x")]
    return scanner


def test_a_piece_without_a_delimiter_goes_on_as_the_object_that_came() -> None:
    piece = bytes(64 * 1024)
    (event,) = in_body().feed(piece)
    assert isinstance(event, Data)
    assert event.data is piece


def test_a_piece_is_searched_once() -> None:
    piece = Watched(b"\r\n--bou" * 10_000 + b"x")
    in_body().feed(piece)
    assert piece.finds == 1


@given(st.lists(BODIES, max_size=8))
def test_less_than_a_delimiter_is_held_back(pieces: list[bytes]) -> None:
    scanner = in_body()
    fed = given_out = 0
    for piece in pieces:
        fed += len(piece)
        given_out += sum(len(event.data) for event in scanner.feed(piece) if isinstance(event, Data))
        assert fed - given_out < len(b"\r\n--bound")


def test_equal_header_blocks_are_read_once() -> None:
    events = list(events_of([b"--bound\r\nA: b\r\n\r\n1\r\n--bound\r\nA: b\r\n\r\n2\r\n--bound--"]))
    first, second = (event for event in events if isinstance(event, Part))
    assert first is second


def test_headers_cannot_be_changed() -> None:
    (part, *_) = events_of([b"--bound\r\nA: b\r\n\r\n1\r\n--bound--"])
    assert isinstance(part, Part)
    with pytest.raises(TypeError):
        part.headers["a"] = "c"  # type: ignore[index]  # that it is refused is what is tested


# -- what senders do (PROTOCOL: parser accepts)


@pytest.mark.parametrize(
    "body",
    [
        b"--bound\r\nA: b\r\n\r\ndata\r\n--bound--\r\n",
        b"\r\n--bound\r\nA: b\r\n\r\ndata\r\n--bound--",
        b"This is a multipart message.\r\n--bound\r\nA: b\r\n\r\ndata\r\n--bound--",
        b"--bound\r\nA: b\r\n\r\ndata\r\n--bound--\r\nepilogue\r\n--bound\r\nA: b\r\n\r\nnot a part\r\n--bound--",
        b"--bound \t \r\nA: b\r\n\r\ndata\r\n--bound-- \r\n",
        b"--bound\r\na:b\r\n\r\ndata\r\n--bound--",
        b"--bound\r\nA \t:  b \t\r\n\r\ndata\r\n--bound--",
        b"--bound\r\nA:\r\n b\r\n\r\ndata\r\n--bound--",
        b"--bound\r\nA: b\r\na: b\r\n\r\ndata\r\n--bound--",
    ],
    ids=["plain", "no-final-crlf", "preamble", "epilogue", "padding", "lower-case", "blanks", "folded", "repeated"],
)
def test_accepts(body: bytes) -> None:
    assert scan([body]) == ([({"a": "b"}, b"data", True)], True, "")


def test_parts_without_headers_and_without_bodies() -> None:
    body = b"--bound\r\n\r\n\r\n--bound\r\nA: b\r\n\r\n--bound\r\n\r\n--bound\r\n\r\nx\r\n--bound--"
    assert scan([body]) == ([({}, b"", True), ({"a": "b"}, b"", True), ({}, b"", True), ({}, b"x", True)], True, "")


def test_a_body_may_begin_with_what_looks_like_a_boundary() -> None:
    assert scan([b"--bound\r\n\r\n--boun\r\n--bound--"])[0] == [({}, b"--boun", True)]
    assert scan(each_byte(b"--bound\r\n\r\n--boun\r\n--bound--"))[0] == [({}, b"--boun", True)]


def test_a_line_feed_alone_makes_no_delimiter() -> None:
    assert scan([b"--bound\r\n\r\nx\n--bound--\r\n--bound--"])[0] == [({}, b"x\n--bound--", True)]


@pytest.mark.parametrize("boundary", ["=/:?()+,'.-_", "a b", "b" * 256, "x"])
def test_boundaries_of_any_printable_characters(boundary: str) -> None:
    media = parse_media_type(f'multipart/related; boundary="{boundary}"')
    body = f"--{boundary}\r\n\r\ndata\r\n--{boundary}--".encode()
    assert scan(each_byte(body), boundary_of(media)) == ([({}, b"data", True)], True, "")


# -- clients, as recorded on the wire


def test_client_dicomweb_client_starts_with_crlf_and_ends_without() -> None:
    content_type = 'multipart/related; type="application/dicom"; boundary="0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"'
    body = DICOMwebClient._encode_multipart_message([b"first", b"\r\nsecond\r\n"], content_type)
    assert body.startswith(b"\r\n--")
    assert body.endswith(b"--")
    dicom = {"content-type": "application/dicom"}
    expected = ([(dicom, b"first", True), (dicom, b"\r\nsecond\r\n", True)], True, "")
    assert scan([body], boundary_of(parse_media_type(content_type))) == expected


def test_client_orthanc_sends_73_characters_unquoted() -> None:
    boundary = "4e6b2c1a-5b4f-4d5e-8a3f-0c6b9d1e2f3a-4e6b2c1a-5b4f-4d5e-8a3f-0c6b9d1e2f3a"
    assert len(boundary) == 73
    media = parse_media_type(f"multipart/related; type=application/dicom; boundary={boundary}")
    body = f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: 4\r\n\r\nDICM\r\n--{boundary}--".encode()
    assert scan(each_byte(body), boundary_of(media))[0][0][1:] == (b"DICM", True)


def test_client_microsofts_notebook_names_no_type() -> None:
    media = parse_media_type("multipart/related; boundary=ABCD1234")
    assert media.param("type") is None
    assert boundary_of(media) == b"ABCD1234"


def test_client_postman_names_headers_as_it_likes() -> None:
    body = b"--bound\r\ncontent-TYPE:application/dicom\r\nMIME-Version: 1.0\r\n\r\nx\r\n--bound--\r\n"
    assert scan([body])[0] == [({"content-type": "application/dicom", "mime-version": "1.0"}, b"x", True)]


# -- a body that ends too early


@pytest.mark.parametrize("rest", [b"", b"data", b"data\r\n--bou", b"data\r\n", b"--bou"])
def test_a_part_that_is_cut_off_is_incomplete(rest: bytes) -> None:
    parts, finished, error = scan([b"--bound\r\n\r\nfirst\r\n--bound\r\nA: b\r\n\r\n" + rest])
    assert [(headers, complete) for headers, _, complete in parts] == [({}, True), ({"a": "b"}, False)]
    assert (finished, error) == (False, "")


@pytest.mark.parametrize("rest", [b"", b" ", b"-", b"\r", b"\r\n", b"\r\nA: b", b"\r\nA: b\r\n\r"])
def test_a_boundary_that_is_not_the_last_announces_a_part(rest: bytes) -> None:
    parts, finished, error = scan([b"--bound\r\n\r\nfirst\r\n--bound" + rest])
    assert parts == [({}, b"first", True), ({}, b"", False)]
    assert (finished, error) == (False, "")


@pytest.mark.parametrize("body", [b"", b"\r\n", b"preamble only", b"--boun", b"x--bound\r\n\r\ndata\r\n--boun"])
def test_a_body_without_the_boundary_is_malformed(body: bytes) -> None:
    assert scan([body])[2].startswith("MalformedMultipart: the boundary")


def test_finished_tells_whether_the_closing_delimiter_came() -> None:
    scanner = in_body()
    assert [(scanner.feed(piece), scanner.finished) for piece in (b"\r\n--bound-", b"-", b"x")] == [
        ([PartEnd(True)], False),
        ([End()], True),
        ([], True),
    ]
    assert scanner.close() == []


def test_a_multipart_body_has_a_part() -> None:
    assert scan([b"--bound--"])[2] == "MalformedMultipart: the multipart body has no part"


# -- attacks


def test_attack_endless_preamble_is_refused_within_its_limit() -> None:
    scanner = Scanner(B)
    with pytest.raises(MalformedMultipart, match=r"limits\.preamble_bytes = 4096"):
        scanner.feed(bytes(64 * 1024))
    with pytest.raises(MalformedMultipart):
        scanner.feed(b"--bound\r\n")
    with pytest.raises(MalformedMultipart):
        scanner.close()


def test_the_preamble_may_be_as_long_as_its_limit() -> None:
    rest = b"\r\n--bound\r\n\r\nx\r\n--bound--"
    assert scan([b"p" * 4096 + rest])[0] == [({}, b"x", True)]
    assert scan([b"p" * 4097 + rest])[0] == []


def test_attack_flood_of_header_lines() -> None:
    flood = b"".join(b"H%d: x\r\n" % i for i in range(5000))
    assert "part_header" in scan([b"--bound\r\n" + flood + b"\r\nx"])[2]
    few = b"".join(b"H%d: x\r\n" % i for i in range(33))
    assert "limits.part_headers = 32" in scan([b"--bound\r\n" + few + b"\r\nx"])[2]


def test_attack_one_endless_header() -> None:
    scanner = Scanner(B)
    with pytest.raises(MalformedMultipart, match=r"limits\.part_header_bytes = 16384"):
        scanner.feed(b"--bound\r\nA: " + b"x" * 300_000)


@pytest.mark.parametrize("chunked", [False, True])
def test_headers_may_be_as_long_as_their_limit(chunked: bool) -> None:
    def outcome(size: int) -> str:
        body = b"--bound\r\nA:" + b"x" * (size - 2) + b"\r\n\r\ndata\r\n--bound--"
        return scan(cut(body, range(0, len(body), 1000)) if chunked else [body])[2]

    assert outcome(16 * 1024) == ""
    assert "part_header_bytes" in outcome(16 * 1024 + 1)


def test_attack_twenty_thousand_empty_parts_are_read_and_one_more_is_too_many() -> None:
    empty = b"--b\r\n\r\n\r\n"
    parts, finished, error = scan([empty * 20_000 + b"--b--"], b"b")
    assert (len(parts), finished, error) == (20_000, True, "")
    parts, finished, error = scan([empty * 20_001 + b"--b--"], b"b")
    assert (len(parts), finished) == (20_000, False)
    assert error.startswith("TooLarge: more parts in one request than limits.parts = 20000")


def test_the_error_comes_after_the_events_before_it() -> None:
    scanner = Scanner(B, SMALL)
    assert scanner.feed(b"--bound\r\n\r\nx\r\n--boundary\r\n") == [Part({}), Data(b"x"), PartEnd(True)]
    with pytest.raises(MalformedMultipart, match="behind a boundary"):
        scanner.feed(b"more")
    with pytest.raises(MalformedMultipart, match="behind a boundary"):
        scanner.close()


def test_too_many_parts_is_413() -> None:
    scanner = Scanner(B, SMALL)
    assert scanner.feed(b"--bound\r\n\r\n\r\n" * 4 + b"--bound") == [Part({}), PartEnd(True)] * 4
    with pytest.raises(TooLarge) as error:
        scanner.feed(b"\r\n")
    assert error.value.status == 413


@pytest.mark.parametrize("kind", ["multipart/related; boundary=x", "Multipart/Mixed", "  MULTIPART/form-data"])
def test_attack_nested_multipart(kind: str) -> None:
    error = scan([f"--bound\r\nContent-Type: {kind}\r\n\r\n--x\r\n".encode()])[2]
    assert error == "MalformedMultipart: part 1 is a multipart itself; parts are not looked into twice"


@pytest.mark.parametrize(
    "line",
    [
        b"A: b\rC: d",
        b"A: b\nC: d",
        b"A: b\x00",
        b"A: \x1b[31m",
        b"A b: c",
        b"no colon",
        b": value",
        b"A: b\r\nA: c",
        b"\xe9: x",
        b" folded: first",
        b"A:" + b" " * 16_000 + b"\x00",
    ],
)
def test_attack_control_characters_and_nonsense_in_headers(line: bytes) -> None:
    parts, _, error = scan([b"--bound\r\n" + line + b"\r\n\r\nx\r\n--bound--"])
    assert parts == []
    assert error.startswith("MalformedMultipart")


def test_attack_endless_padding_behind_a_boundary() -> None:
    assert scan([b"--bound" + b" " * 256 + b"\r\n\r\nx\r\n--bound--"])[0] == [({}, b"x", True)]
    assert scan([b"--bound" + b" " * 256 + b"\rx"])[2].startswith("MalformedMultipart")
    assert scan([b"--bound" + b" " * 257 + b"\r\n\r\nx\r\n--bound--"])[2].startswith("MalformedMultipart")


def test_an_epilogue_costs_nothing() -> None:
    scanner = in_body()
    scanner.feed(b"\r\n--bound--")
    assert all(scanner.feed(bytes(1000)) == [] for _ in range(100))


def test_errors_never_echo_the_body() -> None:
    assert "Doe" not in scan([b"--bound\r\nDoe^John\r\n\r\nx"])[2]


# -- the boundary


@pytest.mark.parametrize(
    "params", [(), (("boundary", ""),), (("boundary", "b" * 257),), (("boundary", "a "),), (("boundary", "é"),), (("boundary", "a\t"),)]
)
def test_a_boundary_that_cannot_be_one(params: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(MalformedMultipart):
        boundary_of(MediaType("multipart/related", params))
