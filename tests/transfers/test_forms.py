"""What an instance is written as, by its media type."""

from __future__ import annotations

import pytest

from gateway.backends.base import View
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest
from gateway.transfers.forms import METADATA, STORED, parse_form

INSTANCE = Resource("1", "2", "3")


@pytest.mark.parametrize(
    ("mime", "frames", "names", "view", "media", "syntax"),
    [
        (None, 5, ["1/2/3.dcm"], View.INSTANCES, "application/dicom", "*"),
        ("application/dicom; transfer-syntax=*", 1, ["1/2/3.dcm"], View.INSTANCES, "application/dicom", "*"),
        ("application/dicom", 1, ["1/2/3.dcm"], View.INSTANCES, "application/dicom", "1.2.840.10008.1.2.1"),
        ('application/dicom;transfer-syntax="1.2.3"', 1, ["1/2/3.dcm"], View.INSTANCES, "application/dicom", "1.2.3"),
        ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", 0, ["1/2/3.jpg"], View.RENDERED, "image/jpeg", None),
        ("image/jpeg", 2, ["1/2/3/1.jpg", "1/2/3/2.jpg"], View.RENDERED, "image/jpeg", None),
        ("IMAGE/PNG", 1, ["1/2/3.png"], View.RENDERED, "image/png", None),
        ("application/octet-stream; transfer-syntax=*", 2, ["1/2/3/1", "1/2/3/2"], View.FRAMES, "application/octet-stream", "*"),
        ("application/octet-stream", 1, ["1/2/3"], View.FRAMES, "application/octet-stream", "1.2.840.10008.1.2.1"),
    ],
)
def test_names_and_reads_follow_the_media_type(
    mime: str | None, frames: int, names: list[str], view: View, media: str, syntax: str | None
) -> None:
    written = list(parse_form(mime).files(INSTANCE, frames))
    assert [name for name, _ in written] == names
    for number, (_, retrieve) in enumerate(written, 1):
        assert retrieve.view is view
        assert retrieve.resource.frames == ((number,) if view is not View.INSTANCES else ())
        assert [(one.media, one.transfer_syntax) for one in retrieve.accept.ranges] == [(media, syntax)]


def test_metadata_and_what_is_stored_have_forms_of_their_own() -> None:
    assert parse_form("application/dicom+json") == METADATA
    assert parse_form("") == parse_form(None) == STORED


@pytest.mark.parametrize(
    "mime",
    [
        *("text/plain", "image/gif", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.90", "image/png; transfer-syntax=*", "nothing", 7),
        *("application/dicom; transfer-syntax=x", "application/octet-stream; transfer-syntax=1.2.3", "application/dicom+xml"),
    ],
)
def test_others_are_refused(mime: object) -> None:
    with pytest.raises(BadRequest):
        parse_form(mime)
