"""WADO-URI (PS3.18 chapter 9): one instance, or a picture of it, by the parameters of a URL.

What goes out, when ``contentType`` and Accept leave it open: an instance where a transfer syntax is named, a picture where it is
said how that shall look, and else a picture of an image with one frame and the instance itself of everything else (9.4, 9.5).
Where a picture cannot be drawn the instance takes its place, if the caller can take that.
"""

from __future__ import annotations

from dataclasses import replace

import orjson
from aiohttp import hdrs, web

from gateway.backends.base import Backend, Body, Retrieve, View
from gateway.dicom import dictionary
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, Range, choose, parse_accept
from gateway.dicomweb.query import parse_query
from gateway.dicomweb.rendering import AS_IT_IS
from gateway.dicomweb.rendering_uri import Asked, parse_uri
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable, NotFound
from gateway.web import rendered, wado
from gateway.web.service import Service

DICOM = Offer("application/dicom")
PICTURES = tuple(map(Offer, (*rendered.PICTURES, *rendered.HELD)))
"""What an instance may be drawn as, or holds for people."""


async def retrieve(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET /wado``, and ``/stores/{store}/wado``."""
    asked = parse_uri(request.query.items())
    accept = parse_accept(request.headers.getall(hdrs.ACCEPT, ()), asked.content_type)
    backend = service.backend(request)
    if not await _wants_a_picture(backend, asked, accept):
        return await wado.answer(request, service, await _instance(backend, asked, accept), dated=True)
    try:
        body = await rendered.drawn(request, service, View.RENDERED, asked.resource, _without_dicom(accept), asked.rendering)
    except (NotAcceptable, NotFound) as error:
        named = asked.resource.frames or asked.rendering.presentation  # what is not there may be one of these, and not the pixels
        if choose(accept, (DICOM,)) is None or (isinstance(error, NotFound) and named):
            raise
        return await wado.answer(request, service, await _instance(backend, asked, accept), dated=True)
    return await rendered.answer(request, service, body, asked.rendering)


async def _wants_a_picture(backend: Backend, asked: Asked, accept: Accept) -> bool:
    """:raises NotAcceptable: when neither a picture nor an instance would do."""
    one, other = choose(accept, (DICOM, *PICTURES)), choose(accept, (*PICTURES, DICOM))
    if one is None:
        raise NotAcceptable("WADO-URI gives application/dicom, image/jpeg, image/png, image/gif, and what an instance holds for people")
    if (one == DICOM) == (other == DICOM):
        return one != DICOM
    if asked.syntax is not None:
        return False
    shown = replace(asked.rendering, quality=None) != AS_IT_IS
    return shown or bool(asked.resource.frames) or await _has_one_frame(backend, asked.resource)


async def _has_one_frame(backend: Backend, resource: Resource) -> bool:
    """Whether the instance is an image with one frame; False also where it is not there, which its retrieval will tell."""
    wanted = [("SOPInstanceUID", resource.instance or ""), ("includefield", "Rows,NumberOfFrames")]
    parents = Resource(resource.study, resource.series)
    matches = await backend.search(parse_query("instance", parents, wanted, dictionary, max_limit=1, default_limit=1))
    found = orjson.loads(matches.results[0]) if matches.results else {}
    rows, frames = (found.get(tag, {}).get("Value", [None])[0] for tag in ("00280010", "00280008"))
    return rows is not None and str(frames or 1) == "1"


async def _instance(backend: Backend, asked: Asked, accept: Accept) -> Body:
    """The instance in the transfer syntax that is asked for, or else in Explicit VR Little Endian (PS3.18 9.4.1.2)."""
    ranges = tuple(one for one in (*accept.ranges, *accept.fallback) if one.media == DICOM.media_type and one.q and one.transfer_syntax)
    if asked.syntax is not None:
        ranges = (Range(DICOM.media_type, None, asked.syntax),)
    ranges += (Range(DICOM.media_type, None, EXPLICIT_LITTLE_ENDIAN if ranges else None, 0.001),)
    rendering = replace(AS_IT_IS, quality=asked.rendering.quality)
    return await backend.retrieve(Retrieve(replace(asked.resource, frames=()), View.INSTANCES, Accept(ranges), rendering=rendering))


def _without_dicom(accept: Accept) -> Accept:
    """What is left of the media types for a picture."""
    ranges, fallback = (tuple(one for one in some if one.media != DICOM.media_type) for some in (accept.ranges, accept.fallback))
    return Accept(ranges, fallback) if ranges else Accept(fallback)
