from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from dicomweb_client.web import DICOMwebClient
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.framing import closing, content_type, new_boundary, part_head
from gateway.dicomweb.media import parse_media_type
from gateway.dicomweb.multipart import boundary_of

DICOM = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"


def test_a_body_as_it_goes_out() -> None:
    assert content_type("application/dicom", "b") == 'multipart/related; type="application/dicom"; boundary=b'
    assert part_head("b", DICOM) == b"\r\n--b\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n"
    assert (
        part_head("b", "image/jpeg", [("Content-Location", "/x")]) == b"\r\n--b\r\nContent-Type: image/jpeg\r\nContent-Location: /x\r\n\r\n"
    )
    assert part_head("b", "a/b", first=True) == b"--b\r\nContent-Type: a/b\r\n\r\n"
    assert closing("b") == b"\r\n--b--\r\n"


def test_every_boundary_is_new() -> None:
    assert len({new_boundary() for _ in range(100)}) == 100


def test_client_dcmweb_lower_cases_the_content_type_and_cuts_the_boundary_at_a_semicolon() -> None:
    boundary = new_boundary()
    cut = content_type("application/dicom", boundary).lower().split("boundary=")[1].split(";")[0]
    assert cut == boundary


def test_a_boundary_needs_no_quotes_and_can_be_read_back() -> None:
    boundary = new_boundary()
    assert re.fullmatch("[0-9a-f]{32}", boundary)
    assert boundary_of(parse_media_type(content_type("image/jpeg", boundary))) == boundary.encode()


def test_client_ohif_finds_the_end_of_the_head_in_512_bytes() -> None:
    url = "https://gateway.example.org/dicom-web" + "/studies/{0}/series/{0}/instances/{0}/frames/12345".format("1" * 64)
    head = part_head(new_boundary(), "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", [("Content-Location", url)])
    assert len(head) <= 512
    assert head.split(b"\r\n")[2].startswith(b"Content-Type: ")


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_client_dicomweb_client_reads_every_part(bodies: list[bytes]) -> None:
    boundary = new_boundary()
    heads = [part_head(boundary, DICOM, first=number == 0) for number in range(len(bodies))]
    content = b"".join(head + body for head, body in zip(heads, bodies, strict=True)) + closing(boundary)
    response: Any = FakeResponse(content, content_type("application/dicom", boundary))
    client = DICOMwebClient("http://localhost")
    assert [bytes(part) for part in client._decode_multipart_message(response, stream=False)] == bodies


class FakeResponse(SimpleNamespace):
    """As much of a response as the client's reader touches."""

    def __init__(self, content: bytes, kind: str) -> None:
        super().__init__(content=content, headers={"content-type": kind})

    def __enter__(self) -> FakeResponse:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\n", "\r", "a\x00", "é", "a\x7f"])
def test_attack_header_values_cannot_make_new_lines(bad: str) -> None:
    for make in (
        lambda: part_head("b", bad),
        lambda: part_head(bad, "a/b"),
        lambda: part_head("b", "a/b", [("Content-Location", bad)]),
        lambda: part_head("b", "a/b", [(bad, "x")]),
        lambda: content_type(bad, "b"),
        lambda: content_type("a/b", bad),
        lambda: closing(bad),
    ):
        with pytest.raises(ValueError, match="header"):
            make()


@given(st.text(max_size=30))
def test_any_header_value_is_one_line_or_refused(value: str) -> None:
    try:
        head = part_head("b", "a/b", [("Content-Location", value)])
    except ValueError:
        return
    assert head.split(b"\r\n") == [b"", b"--b", b"Content-Type: a/b", b"Content-Location: " + value.encode(), b"", b""]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "Content-Type:"])
def test_a_header_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        part_head("b", "a/b", [(name, "x")])
