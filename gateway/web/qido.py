"""Search Transaction, QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from http import HTTPStatus

from aiohttp import web

from gateway.backends.base import URL_BASE, Matches, Served
from gateway.backends.documents import XML, metadata_body
from gateway.dicom import dictionary
from gateway.dicomweb.media import Offer, choose, parse_accept
from gateway.dicomweb.query import parse_query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import NotAcceptable
from gateway.web import documents
from gateway.web.conditional import Validators, tag
from gateway.web.context import context_of
from gateway.web.dialect import Dialect, dialect_of
from gateway.web.finished import Document, Finished
from gateway.web.served import story, warnings
from gateway.web.service import VERSION, Service, accept_of, asked_for, base_url

OFFERS = (Offer("application/dicom+json"), Offer("application/json"), XML)
"""PS3.18 table 10.6.4-1: JSON is the default, and XML has to be there as well."""


async def search_studies(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET {base}/studies``."""
    return await _search(request, service, "study")


async def search_series(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET {base}/series`` and ``{base}/studies/{study}/series``."""
    return await _search(request, service, "series")


async def search_instances(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET {base}/instances``, and below a study or a series."""
    return await _search(request, service, "instance")


async def _search(request: web.Request, service: Service, level: Level) -> web.StreamResponse:
    media_type = _chosen(*asked_for(request))
    if media_type is None:
        raise NotAcceptable('search results are application/dicom+json, or multipart/related; type="application/dicom+xml"')
    dialect = dialect_of(request)
    dialect.check_keys(level, request.query)
    limits = dialect.limits or service.search_limits
    default, most = limits.results_default, limits.results_max
    if level == "instance":
        default, most = limits.instances_default, limits.instances_max
    query = parse_query(
        level,
        Resource.parse(request.match_info.get("study"), request.match_info.get("series")),
        list(request.query.items()),
        dictionary,
        max_limit=most,
        default_limit=default,
        max_offset=limits.offset_max,
    )
    matches = await service.backend(request).search(query)
    if not matches.results:
        context_of(request).still = matches.served.still
        return _warned(web.Response(status=204, headers=service.caching | story(matches.served)), matches, dialect)
    base = base_url(request, service).encode()
    body, etag = await _made(matches, base, media_type, service.finished)
    if media_type == XML.media_type:
        validators = Validators(tag(etag, VERSION), weak=True, modified=matches.modified)
        return await _in_xml(request, service, replace(matches, served=_told(matches, dialect)), base, validators)
    validators = Validators(etag, modified=matches.modified)
    response = await documents.found(request, service, body, media_type, validators, matches.served)
    return response if response.status == HTTPStatus.NOT_MODIFIED else _warned(response, matches, dialect)


@lru_cache(maxsize=256)
def _chosen(headers: tuple[str, ...], query: str | None) -> str | None:
    """The media type that suits the caller, by his own words: to choose it anew takes a tenth of a search that was kept."""
    offer = choose(parse_accept(headers, query), OFFERS)
    return None if offer is None else offer.media_type


INLINE = 128 << 10
"""Bytes of results that are joined and hashed on the loop, in a fifth of a millisecond."""

BATCH = 500
"""Results that are joined at once, in about a millisecond; nothing else runs meanwhile, in whatever thread that happens."""

PLACES = 4 * BATCH
"""Places in a batch that are looked at one by one: twice as many as there are URLs, mostly. More of them is a flood."""

# No text value can hold these: quotes inside JSON strings are escaped. What is in an attribute may come in either order.
_MARKS = (b'"00081190":{"vr":"UR","Value":["', b'"BulkDataURI":"')
_AT = URL_BASE.encode()


async def _made(matches: Matches, base: bytes, media_type: str, finished: Finished) -> Document:
    document = finished.get(matches, base, media_type)
    if document is None:
        work = partial(_document, matches, base, media_type)
        small = sum(map(len, matches.results)) <= INLINE
        document = work() if small else await asyncio.to_thread(work)
        finished.put(matches, base, media_type, document)
    return document


def _document(matches: Matches, base: bytes, media_type: str) -> Document:
    """The results, and an entity tag for them and for the Warning that goes with them."""
    body = _array(matches.results, base)
    return Document(body, tag(body, media_type, str(matches.remaining)))


def _array(results: Sequence[bytes], base: bytes) -> bytes:
    """The results as one JSON array, with the public base URL put in."""
    batches = (b",".join(results[start : start + BATCH]) for start in range(0, len(results), BATCH))
    return b"[" + b",".join([_public(batch, base) for batch in batches]) + b"]"


def _public(batch: bytes, base: bytes) -> bytes:
    """One pass for all marks: half the time of replacing one after the other."""
    *before, rest = batch.split(_AT, PLACES)
    pieces: list[bytes] = []
    for piece in before:
        pieces += piece, base if piece.endswith(_MARKS) else _AT
    if _AT in rest:
        for mark in _MARKS:
            rest = rest.replace(mark + _AT, mark + base)
    return b"".join([*pieces, rest])


XML_BATCH = 50
"""Results that are written as XML in one hop to a thread, in some milliseconds."""


async def _in_xml(request: web.Request, service: Service, matches: Matches, base: bytes, validators: Validators) -> web.StreamResponse:
    """A part for each result (PS3.18 10.6.3.1), written while they go out: XML has several times the bytes of JSON."""
    body = metadata_body(accept_of(request), _batches(matches.results, base), None, asyncio.to_thread)
    return await documents.streamed(request, service, replace(body, served=matches.served), validators)


async def _batches(results: Sequence[bytes], base: bytes) -> AsyncGenerator[list[bytes], None]:
    for start in range(0, len(results), XML_BATCH):
        yield [_public(one, base) for one in results[start : start + XML_BATCH]]


def _warned(response: web.Response, matches: Matches, dialect: Dialect) -> web.Response:
    """PS3.18 10.6.3.2 gives the text. An origin that does not count leaves the number out."""
    if said := _told(matches, dialect).warnings:
        response.headers["Warning"] = warnings(said)
    return response


def _told(matches: Matches, dialect: Dialect) -> Served:
    """How the results came about, and how many are left."""
    if matches.remaining == 0 or not dialect.counts:
        return matches.served
    number = "" if matches.remaining is None else f"{matches.remaining} "
    more = f"There are {number}additional results that can be requested"
    return replace(matches.served, warnings=(more, *matches.served.warnings))
