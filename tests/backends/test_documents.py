"""Metadata as bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from xml.etree import ElementTree

import pytest

from gateway.backends.base import Backend, View
from gateway.backends.documents import metadata_body, metadata_offer
from gateway.backends.validators import State
from gateway.dicomweb.media import parse_accept
from gateway.errors import NotAcceptable
from tests.backends.made import JSON, parts, study, uploads, wants

XML = parse_accept(['multipart/related; type="application/dicom+xml"'])
STATE = State("digest", 5.0, 3)
NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


async def some_batches(*batches: list[bytes], ended: list[str] | None = None) -> AsyncGenerator[list[bytes], None]:
    try:
        for batch in batches:
            yield batch
    finally:
        if ended is not None:
            ended.append("ended")


async def test_batches_become_one_array_piece_by_piece() -> None:
    body = metadata_body(JSON, some_batches([b"{}", b'{"a":1}'], [b'{"b":2}']), STATE, asyncio.to_thread)
    assert (body.media_type, body.length, body.instances) == ("application/dicom+json", None, 3)
    assert [piece async for piece in body.pieces] == [b'[{},{"a":1}', b',{"b":2}', b"]"]


async def test_the_first_objects_are_out_before_later_ones_are_asked_for() -> None:
    ended: list[str] = []
    body = metadata_body(JSON, some_batches([b"{}"], [b"{}"], ended=ended), STATE, asyncio.to_thread)
    assert await anext(body.pieces) == b"[{}"
    assert not ended
    await body.aclose()
    assert ended == ["ended"]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("*/*", "application/dicom+json"),
        ("application/json, application/dicom+json;q=0.5", "application/json"),
        ('multipart/related; type="application/dicom+xml"', "application/dicom+xml"),
        ("multipart/related; type=application/dicom+xml; q=0.5, application/dicom+json; q=0.4", "application/dicom+xml"),
    ],
)
def test_metadata_is_json_by_either_name_or_xml(accept: str, media: str) -> None:
    assert metadata_offer(parse_accept([accept])).media_type == media


def test_metadata_is_nothing_else() -> None:
    with pytest.raises(NotAcceptable, match=r"application/dicom\+json"):
        metadata_offer(parse_accept(["text/html"]))


async def test_xml_is_a_document_an_instance() -> None:
    body = metadata_body(XML, some_batches([b"{}", b'{"00100020":{"vr":"LO","Value":["P<1>"]}}'], [b"{}"]), STATE, asyncio.to_thread)
    assert body.media_type.startswith('multipart/related; type="application/dicom+xml"; boundary=')
    media, documents = zip(*await parts(body), strict=True)
    assert set(media) == {"application/dicom+xml"}
    roots = [ElementTree.fromstring(document) for document in documents]  # noqa: S314 - our own document
    assert [root.tag for root in roots] == [NATIVE + "NativeDicomModel"] * 3
    (attribute,) = roots[1]
    assert attribute.attrib == {"tag": "00100020", "vr": "LO", "keyword": "PatientID"}
    assert [value.text for value in attribute] == ["P<1>"]


async def test_a_study_in_xml_names_its_bulk_data(backend: Backend) -> None:
    await backend.store(uploads(study("1.1")))
    body = await backend.retrieve(wants(View.METADATA, XML, "1.1"))
    documents = [document for _, document in await parts(body)]
    assert len(documents) == 4
    assert b'<BulkData uri="@/studies/1.1/series/1.1.1/instances/1.1.1.1/bulkdata/7FE00010"/>' in documents[0]


@pytest.mark.parametrize("media", ["application/dicom+json", "application/json", "application/dicom+xml"])
def test_a_document_says_when_it_changed_and_which_one_it_is(media: str, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = XML if media.endswith("xml") else parse_accept([media])

    def etag(state: State) -> str | None:
        body = metadata_body(accept, some_batches(), state, asyncio.to_thread)
        assert (body.modified, body.weak) == (5.0, accept is XML)
        return body.etag

    first = etag(STATE)
    assert first == etag(STATE) is not None
    assert etag(STATE._replace(digest="other")) != first
    monkeypatch.setattr("gateway.backends.documents.MODEL", "another writer")
    assert etag(STATE) != first


def test_each_form_of_a_document_has_a_tag_of_its_own() -> None:
    accepts = [JSON, parse_accept(["application/json"]), XML]
    assert len({metadata_body(accept, some_batches(), STATE, asyncio.to_thread).etag for accept in accepts}) == 3
