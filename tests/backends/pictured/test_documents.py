"""Encapsulated documents."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.pictured.documents import document as shown
from gateway.backends.pictured.documents import type_of
from gateway.errors import NotAcceptable, NotFound
from gateway.pixels.work import NotDrawable
from tests.backends.made import parts, read
from tests.backends.pictured.gallery import Gallery, document

NAVIGATION = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize("data", [b"%PDF-1.4 odd", b"%PDF-1.4 even", b"%" * 400_001])
@pytest.mark.parametrize("accept", ["*/*", NAVIGATION, "application/pdf"])
async def test_a_document_without_its_padding(tmp_path: Path, data: bytes, accept: str) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(document(data))
    body = await gallery.body(resource, accept)
    assert (body.media_type, body.length) == ("application/pdf", len(data))
    assert await read(body) == data
    ranged = await gallery.body(resource, accept)
    assert ranged.select is not None
    assert await read(ranged.select(len(data) - 3, len(data))) == data[-3:]


async def test_a_length_that_is_no_padding_is_not_believed(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    for claimed in (2, 100):
        resource = await gallery.add(document(b"%PDF-1.4", EncapsulatedDocumentLength=claimed))
        assert await read(await gallery.body(resource, "*/*")) == b"%PDF-1.4"


async def test_as_the_only_part(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(document(b"%PDF-1.4x"))
    assert await parts(await gallery.body(resource, 'multipart/related; type="application/pdf"')) == [("application/pdf", b"%PDF-1.4x")]


async def test_it_is_no_picture_and_has_no_frames(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(document(b"%PDF-1.4x"))
    with pytest.raises(NotAcceptable, match="application/pdf"):
        await gallery.body(resource, "image/jpeg")
    with pytest.raises(NotFound):
        await gallery.body(type(resource)(resource.study, resource.series, resource.instance, (1,)), "*/*")


@pytest.mark.parametrize(
    ("said", "sop_class", "media"),
    [
        ("application/pdf", "", "application/pdf"),
        ("Application/PDF; version=1.4", "", "application/pdf"),
        ("", "1.2.840.10008.5.1.4.1.1.104.2", "text/xml"),
        ("text/XML", "", "text/xml"),
        ("model/stl", "", "model/stl"),
        ("text/html", "1.2.840.10008.5.1.4.1.1.104.1", "application/octet-stream"),
        ("image/svg+xml", "", "application/octet-stream"),
        ("application/javascript", "", "application/octet-stream"),
        ("", "", "application/octet-stream"),
    ],
)
def test_nobody_gets_a_browser_to_run_a_document(said: str, sop_class: str, media: str) -> None:
    data: dict[str, Any] = {"00420012": {"vr": "LO", "Value": [said]}, "00080016": {"vr": "UI", "Value": [sop_class]}}
    assert type_of(data) == media


async def test_one_that_stands_in_the_metadata_and_an_empty_one(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    subject = await gallery.subject(await gallery.add(document(b"%PDF-1.4x")))
    inline = {"vr": "OB", "InlineBinary": b64encode(b"%PDF-1.4x\0").decode()}
    for element, expected in ((inline, b"%PDF-1.4x"), ({"vr": "OB"}, None)):
        changed = replace(subject, header=replace(subject.header, data={**subject.header.data, "00420011": element}))
        if expected is None:
            with pytest.raises(NotDrawable):
                await shown(gallery.studio, changed)
        else:
            assert await read(await shown(gallery.studio, changed)) == expected
