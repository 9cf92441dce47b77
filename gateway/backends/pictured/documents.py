"""Encapsulated documents as they are: PDF, CDA, models (PS3.3 C.24.2).

A document says itself what it is (0042,0012). What it says is taken at its word only for types that are shown as such; all else goes
out as octets, so that nobody can have a browser run a file that was stored as a document.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.backends.base import Body, Retrieve, View
from gateway.backends.pictured.choosing import DOCUMENTS, OCTETS
from gateway.backends.pictured.passing import passing
from gateway.backends.pictured.sources import ONE
from gateway.backends.pictured.studio import Studio
from gateway.backends.pictured.subject import Subject
from gateway.backends.representations import whole
from gateway.pixels.image import Json, number, text
from gateway.pixels.render.dataset import Attributes, bulk_path
from gateway.pixels.work import NotDrawable

_DOCUMENT, _TYPE, _LENGTH = "00420011", "00420012", "00420015"
_KNOWN = {"application/xml": "text/xml", "text/x-hl7-text+xml": "text/xml", "application/sla": "model/stl"}
_BY_CLASS = {
    "1.2.840.10008.5.1.4.1.1.104.1": "application/pdf",
    "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}


def type_of(data: Json) -> str:
    """The media type of a document: one of `DOCUMENTS`, or octets."""
    said = text(data, _TYPE).lower().partition(";")[0].strip()
    said = _KNOWN.get(said, said) or _BY_CLASS.get(text(data, "00080016"), "")
    return said if said in DOCUMENTS else OCTETS


async def document(studio: Studio, subject: Subject) -> Body:
    """The document without the byte that makes its length even (Encapsulated Document Length)."""
    data, media = subject.header.data, type_of(subject.header.data)
    body = await _stored(studio, subject)
    length = number(data, _LENGTH)
    padded = length is not None and (body.length is None or body.length - 1 <= length < body.length)
    return passing(body, media, length=length if padded else None, warnings=subject.rendering.warnings)


async def _stored(studio: Studio, subject: Subject) -> Body:
    """The value: bulk data, or in the metadata itself as some origins have small ones."""
    element = subject.header.data[_DOCUMENT]
    if isinstance(element, dict) and (path := bulk_path(element)) is not None:
        return await studio.sources.inner.retrieve(Retrieve(subject.alone, View.BULKDATA, ONE, path))
    if value := Attributes(subject.header.data).octets(_DOCUMENT):
        return replace(whole(OCTETS, value, "", 0.0), etag=None)
    raise NotDrawable("the instance holds an empty document")
