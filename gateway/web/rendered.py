"""Retrieve Transaction: rendered resources and thumbnails, which people look at (PS3.18 10.4.1.1.3, 10.4.1.1.4).

What a browser might run comes with a policy that lets it run nothing: a document of some sender has the gateway's own origin,
and a script in it could ask for all that its reader may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from aiohttp import web

from gateway.backends.base import Body, Retrieve, View
from gateway.dicomweb.media import Accept
from gateway.dicomweb.rendering import AS_IT_IS, PARAMETERS, Rendering, parse_rendering, undivided
from gateway.dicomweb.resources import Resource
from gateway.web import wado
from gateway.web.service import Service, accept_of

PICTURES = ("image/jpeg", "image/png", "image/gif")
"""What is drawn."""

OCTETS = "application/octet-stream"
_NAMES: Mapping[str, str] = MappingProxyType({"application/pdf": "document.pdf", "text/xml": "document.xml"})
"""Under what name a browser saves a document. Its title, and who it is about, are nobody's business but the reader's."""

_MODELS = ("model/stl", "model/obj", "model/mtl", "model/gltf+json", "model/gltf-binary")
HELD = ("video/mp4", "video/mpeg", "video/mp2t", "video/h264", "video/h265", *_NAMES, *_MODELS, OCTETS)
"""What an instance may hold for people; it goes out as it is."""

_INERT = (*PICTURES, "video/", "multipart/", OCTETS)
"""What no browser finds anything in to run."""

POLICY = "default-src 'none'; sandbox"
"""Nothing is loaded and nothing runs; the page has an origin of its own. Browsers show a PDF all the same."""


async def retrieve_rendered(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET …/rendered`` of a study, series, instance or frames of one."""
    return await _retrieve(request, service, View.RENDERED, PARAMETERS)


async def retrieve_thumbnail(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET …/thumbnail`` of a study, series, instance or frame."""
    return await _retrieve(request, service, View.THUMBNAIL, PARAMETERS[:1])


async def _retrieve(request: web.Request, service: Service, view: View, names: tuple[str, ...]) -> web.StreamResponse:
    rendering = parse_rendering(request.query.items(), names) if request.query_string else AS_IT_IS
    if view is View.THUMBNAIL:
        undivided(rendering.viewport, "a thumbnail")
    body = await drawn(request, service, view, wado.resource_of(request), accept_of(request), rendering)
    return await answer(request, service, body, rendering)


async def drawn(request: web.Request, service: Service, view: View, resource: Resource, accept: Accept, rendering: Rendering) -> Body:
    """What the store draws. What the caller is told of his wishes is no part of the picture, so the store is not asked for it."""
    plain = replace(rendering, warnings=()) if rendering.warnings else rendering
    return await service.backend(request).retrieve(Retrieve(resource, view, accept, rendering=plain))


async def answer(request: web.Request, service: Service, body: Body, rendering: Rendering) -> web.StreamResponse:
    """A body for people as an answer. Its date says little: more may be in the picture than one instance."""
    if rendering.warnings:
        body = replace(body, served=replace(body.served, warnings=(*rendering.warnings, *body.served.warnings)))
    return await wado.answer(request, service, body, dated=False, more=guards(body.media_type))


def guards(media_type: str) -> Mapping[str, str]:
    """The headers that let a body be no more than looked at; none where it could do nothing else."""
    if media_type.startswith(_INERT):
        return {}
    name = _NAMES.get(media_type.partition(";")[0])
    return {"Content-Security-Policy": POLICY, "Content-Disposition": f'inline; filename="{name}"' if name else "attachment"}
