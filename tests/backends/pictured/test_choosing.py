"""What kind of thing an instance is, and the form in which a caller gets it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.backends.pictured.choosing import PICTURES, Kind, chosen, kind_of, offered
from gateway.dicomweb.media import Offer, parse_accept
from gateway.errors import BadRequest, NotAcceptable
from gateway.pixels.image import Image

ROWS: dict[str, Any] = {"00280010": {"vr": "US", "Value": [2]}, "00280011": {"vr": "US", "Value": [2]}}
TEN = {"00280008": {"vr": "IS", "Value": ["10"]}}
TOTAL: dict[str, Any] = {"00480006": {"vr": "UL", "Value": [4]}, "00480007": {"vr": "UL", "Value": [4]}}
NAVIGATION = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
PICTURE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.mark.parametrize(
    ("data", "syntax", "kind"),
    [
        (ROWS, "1.2.840.10008.1.2.1", Kind.IMAGE),
        (ROWS | TEN, "1.2.840.10008.1.2.4.50", Kind.IMAGE),
        (ROWS, "1.2.840.10008.1.2.4.102", Kind.VIDEO),
        (ROWS, "1.2.840.10008.1.2.4.105.1", Kind.VIDEO),
        (ROWS | {"00620002": {"vr": "SQ"}}, "1.2.840.10008.1.2.1", Kind.SEGMENTATION),
        (ROWS | TEN | TOTAL, "1.2.840.10008.1.2.1", Kind.SLIDE),
        (ROWS | TOTAL, "1.2.840.10008.1.2.1", Kind.IMAGE),
        ({"00420011": {"vr": "OB"}}, "1.2.840.10008.1.2.1", Kind.DOCUMENT),
        ({"54000100": {"vr": "SQ"}}, "1.2.840.10008.1.2.1", Kind.WAVEFORM),
        ({"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.11.1"]}}, "1.2.840.10008.1.2.1", Kind.PRESENTATION),
        ({"00080060": {"vr": "CS", "Value": ["SR"]}}, "1.2.840.10008.1.2.1", Kind.NOTHING),
    ],
)
def test_kinds(data: dict[str, Any], syntax: str, kind: Kind) -> None:
    assert kind_of(data, Image.of(data, syntax)) is kind


@pytest.mark.parametrize(
    ("accept", "media", "multipart"),
    [
        ("*/*", "image/jpeg", False),
        (PICTURE, "image/jpeg", False),
        (NAVIGATION, "image/jpeg", False),
        ("image/png", "image/png", False),
        ("image/gif;q=0.9, image/png;q=0.5", "image/gif", False),
        ('multipart/related; type="image/png"', "image/png", True),
        ("multipart/related", "image/jpeg", True),
    ],
)
def test_the_best_form_is_chosen(accept: str, media: str, multipart: bool) -> None:
    assert chosen(parse_accept([accept]), offered(PICTURES, PICTURES), "it") == Offer(media, multipart=multipart)


def test_a_navigation_gets_a_document() -> None:
    assert chosen(parse_accept([NAVIGATION]), offered(["application/pdf"], []), "it").media_type == "application/pdf"


def test_the_url_wins_over_the_header() -> None:
    header = ['multipart/related; type="application/octet-stream"; transfer-syntax=*']
    assert chosen(parse_accept(header, "image/png"), offered(PICTURES, PICTURES), "it") == Offer("image/png")


def test_what_is_left_of_the_header_is_asked_last() -> None:
    assert chosen(parse_accept(["image/png"], "video/mp4"), offered(PICTURES, PICTURES), "it") == Offer("image/png")


@pytest.mark.parametrize(
    "accept", ["image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", 'multipart/related; type="image/png"; transfer-syntax=*']
)
def test_a_transfer_syntax_is_refused(accept: str) -> None:
    with pytest.raises(BadRequest):
        chosen(parse_accept([accept]), offered(PICTURES, PICTURES), "it")


def test_a_refusal_names_what_can_be_had() -> None:
    with pytest.raises(NotAcceptable, match="a study can be had as multipart/related; type=") as caught:
        chosen(parse_accept(["image/jpeg"]), offered([], ["image/jpeg"]), "a study")
    assert "image/jpeg" in caught.value.message
