"""Metadata of stored instances as bodies: DICOM JSON or XML (PS3.18 10.4.1.1.2, 8.7.3.1).

What is kept of an instance is its DICOM JSON object; the XML document is written from it on the way out. JSON is one array;
XML is one part an instance, for a document has one root.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import orjson

from gateway.backends.base import Body, Piece
from gateway.backends.representations import Runner
from gateway.backends.validators import State, validator
from gateway.dicom import dictionary
from gateway.dicom.metadata import MODEL
from gateway.dicomweb import framing
from gateway.dicomweb.media import Accept, Offer, choose
from gateway.dicomweb.nativexml import native_xml
from gateway.errors import NotAcceptable

XML = Offer("application/dicom+xml", multipart=True)

METADATA_OFFERS = (Offer("application/dicom+json"), Offer("application/json"), XML)


def metadata_offer(accept: Accept) -> Offer:
    """:raises NotAcceptable: when the caller takes neither JSON nor XML."""
    offer = choose(accept, METADATA_OFFERS)
    if offer is None:
        raise NotAcceptable('metadata is application/dicom+json, or multipart/related; type="application/dicom+xml"')
    return offer


def metadata_body(accept: Accept, batches: AsyncGenerator[list[bytes], None], state: State | None, run: Runner) -> Body:
    """The DICOM JSON objects of `batches` as one document; it starts to go out before the last one is known.

    Its tag hangs on `MODEL` too, so that what a writer of before has given is not taken for what this one gives.

    :param state: of the instances that the objects are of; None where nobody knows, and the body has no tag then.
    """
    offer = metadata_offer(accept)
    if offer is XML:
        boundary = framing.new_boundary()
        body = Body(framing.content_type(XML.media_type, boundary), _parts(batches, boundary, run), weak=True)
    else:
        body = Body(offer.media_type, _array(batches))
    if state is None:
        return body
    etag = validator(state.digest, "metadata", MODEL, offer.media_type)
    return replace(body, etag=etag, modified=state.modified, instances=state.instances)


async def _array(batches: AsyncGenerator[list[bytes], None]) -> AsyncGenerator[Piece, None]:
    opening = b"["
    async with aclosing(batches):
        async for some in batches:
            yield opening + b",".join(some)
            opening = b","
    yield b"]"


async def _parts(batches: AsyncGenerator[list[bytes], None], boundary: str, run: Runner) -> AsyncGenerator[Piece, None]:
    head = framing.part_head(boundary, XML.media_type)
    opening = framing.part_head(boundary, XML.media_type, first=True)
    async with aclosing(batches):
        async for some in batches:
            yield opening + head.join(await run(partial(_documents, some)))
            opening = head
    yield framing.closing(boundary)


def _documents(objects: list[bytes]) -> list[bytes]:
    return [native_xml(orjson.loads(one), dictionary.keyword) for one in objects]
