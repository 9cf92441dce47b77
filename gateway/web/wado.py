"""Retrieve Transaction, WADO-RS, and deletion (PS3.18 10.4; DELETE as Google, dcm4chee and others have it)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from aiohttp import web

from gateway.backends.base import URL_BASE, Body, Piece, Retrieve, View
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest, RangeNotSatisfiable
from gateway.web import documents
from gateway.web.conditional import Validators, tag, unchanged
from gateway.web.context import context_of
from gateway.web.dialect import dialect_of
from gateway.web.reframing import in_chunks
from gateway.web.sending import send
from gateway.web.served import story
from gateway.web.service import VERSION, Service, accept_of, base_url


class _Mark(NamedTuple):
    """What stands before the base URL, and a byte that begins it or cannot be inside, where a document may be cut."""

    before: bytes
    cut: bytes


# No value can hold these: quotes are escaped in JSON strings, and "<" in XML.
_IN_JSON = _Mark(b'"BulkDataURI":"', b"{")
_IN_XML = _Mark(b'<BulkData uri="', b"<")

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BULK = re.compile(r"[0-9A-F]{8}(?:/\d{1,6}/[0-9A-F]{8})*")


async def retrieve_instances(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET {base}/studies/{study}``, a series or an instance of it."""
    return await _retrieve(request, service, View.INSTANCES)


async def retrieve_metadata(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET …/metadata`` of a study, series or instance."""
    return await _retrieve(request, service, View.METADATA)


async def retrieve_frames(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET …/instances/{instance}/frames/{list}``."""
    return await _retrieve(request, service, View.FRAMES)


async def retrieve_bulkdata(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET …/instances/{instance}/bulkdata/{path}``, as a BulkDataURI of the metadata says."""
    path = request.match_info["bulk"]
    if not _BULK.fullmatch(path):
        raise BadRequest("the bulk data path is not one that metadata names")
    return await _retrieve(request, service, View.BULKDATA, path)


async def retrieve_all_bulkdata(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET …/bulkdata`` of a study, series or instance: every value that a BulkDataURI of its metadata names."""
    return await _retrieve(request, service, View.BULKDATA)


async def retrieve_pixeldata(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET …/pixeldata`` of a study, series or instance: the pixel data of the top level."""
    return await _retrieve(request, service, View.PIXELDATA)


async def delete(request: web.Request, service: Service) -> web.StreamResponse:
    """``DELETE`` of a study, series or instance: 204, and 410 from then on."""
    context_of(request).instances += await service.backend(request).delete(resource_of(request))
    return web.Response(status=204)


def resource_of(request: web.Request) -> Resource:
    """What the path names.

    :raises BadRequest: when a UID is none, or the list of frames is none.
    """
    names = request.match_info
    return Resource.parse(names.get("study"), names.get("series"), names.get("instance"), names.get("frames"))


async def _retrieve(request: web.Request, service: Service, view: View, bulk: str | None = None) -> web.StreamResponse:
    retrieve = Retrieve(resource_of(request), view, accept_of(request), bulk)
    body = await service.backend(request).retrieve(retrieve)
    dated = retrieve.resource.instance is not None
    if view is View.FRAMES and dialect_of(request).reframed:
        body = in_chunks(body)
    if view is not View.METADATA:
        return await answer(request, service, body, dated=dated)
    base = base_url(request, service)
    etag = _document_tag(body.etag, base + retrieve.resource.path, body.media_type)
    mark = _IN_XML if body.media_type.startswith("multipart/") else _IN_JSON
    validators = Validators(etag, body.weak, body.modified, dated)
    body = replace(body, pieces=_with_urls(body.pieces, mark, base.encode()), length=None)
    return await documents.streamed(request, service, body, validators)


async def answer(
    request: web.Request, service: Service, body: Body, *, dated: bool, more: Mapping[str, str] = MappingProxyType({})
) -> web.StreamResponse:
    """A body of bytes as an answer: 304 when the caller has it, 206 when he asks for a range of it that can be had.

    :param body: is closed.
    :param dated: whether every change moves its date.
    :param more: headers beside the usual ones.
    """
    validators = Validators(body.etag, body.weak, body.modified, dated)
    headers = {**service.caching, **validators.headers, **story(body.served), **more}
    if unchanged(request, validators):
        await body.aclose()
        context_of(request).still = body.served.still
        return web.Response(status=304, headers=headers)
    status = 200
    if body.select is not None and body.length is not None:
        headers["Accept-Ranges"] = "bytes"
        if request.method == "GET" and (wanted := await _range(request, body, body.length)):
            start, stop = wanted
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{body.length}"
            body, status = body.select(start, stop), 206
    return await send(request, body, status, headers)


@lru_cache(maxsize=1024)
def _document_tag(etag: str | None, url: str, media_type: str) -> str | None:
    """The validator of metadata that goes out at `url`: the URLs inside begin like it, and the writer of documents may learn."""
    media = media_type.partition("; boundary=")[0]
    return None if etag is None else tag(etag, url, media, VERSION)


async def _with_urls(pieces: AsyncGenerator[Piece, None], mark: _Mark, base: bytes) -> AsyncGenerator[Piece, None]:
    """Puts the public base URL in; nothing that is kept depends on what Host some caller sent."""
    old, new = mark.before + URL_BASE.encode(), mark.before + base
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, bytes):
                for some in _slices(piece, mark.cut):
                    yield some.replace(old, new)
            else:
                yield piece


SLICE = 1 << 20
"""Bytes of a document that are looked through at once: about a millisecond. One instance may have tens of MiB."""


def _slices(piece: bytes, cut: bytes) -> Iterator[bytes]:
    """The piece in slices that begin with `cut`: no mark has one inside, so none is cut in two."""
    start, end = 0, len(piece)
    while end - start > SLICE:
        stop = piece.rfind(cut, start + 1, start + SLICE)
        stop = stop if stop > 0 else piece.find(cut, start + SLICE)
        if stop < 0:
            break
        yield piece[start:stop]
        start = stop
    yield piece[start:] if start else piece


async def _range(request: web.Request, body: Body, length: int) -> tuple[int, int] | None:
    """The one range that is asked for, as start and stop; None where the whole body is the answer (RFC 9110 14.2).

    Several ranges, other units and what cannot be read are answered with the whole body, which is always allowed.

    :raises RangeNotSatisfiable: when it starts beyond the end.
    """
    condition = request.headers.get("If-Range")
    if condition is not None and (body.weak or condition != f'"{body.etag}"'):  # compared strongly (RFC 9110 13.1.5)
        return None
    found = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        start, stop = max(0, length - int(last)), length
    else:
        start, stop = int(first), min(length, int(last) + 1) if last else length
        if last and int(last) < start:
            return None
    if start >= length or start >= stop:
        await body.aclose()
        raise RangeNotSatisfiable(f"the body has {length} bytes", length)
    return start, stop
