"""A JSON or XML document as an answer: its validators, its content coding, and 304."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from gateway.backends.base import PLAIN, Body, Served
from gateway.web.compression import MINIMUM
from gateway.web.conditional import Validators, coded, unchanged
from gateway.web.context import context_of
from gateway.web.encoding import Coding, Wanted, wanted
from gateway.web.sending import send
from gateway.web.served import story
from gateway.web.service import Service


async def found(
    request: web.Request, service: Service, data: bytes, media_type: str, validators: Validators, served: Served = PLAIN
) -> web.Response:
    """A document that GET names: 304 when the caller has it, else coded as he likes it best. What is compressed is kept.

    :param validators: of the document without a content coding; their tag is strong.
    """
    context_of(request).still = served.still
    coding = _coding(request, data)
    validators = _coded(validators, coding)
    headers = service.caching | validators.headers | story(served)
    if unchanged(request, validators):
        return web.Response(status=304, headers=headers)
    return await _response(service, data, media_type, coding, headers, validators.etag)


async def streamed(request: web.Request, service: Service, body: Body, validators: Validators) -> web.StreamResponse:
    """Likewise a document that is made while it goes out: how long it is shows too late, so none is too short for a coding.

    :param body: is closed.
    :param validators: of the document without a content coding.
    """
    coding = wanted_of(request).coding
    own = _coded(validators, coding)
    if unchanged(request, own):
        await body.aclose()
        context_of(request).still = body.served.still
        return web.Response(status=304, headers=service.caching | own.headers | story(body.served))
    made = None if coding is None else service.compression.body(coding, body, own.etag)
    headers = service.caching | story(body.served)
    if made is None or coding is None:
        return await send(request, service.compression.plain(body, validators.etag), headers=headers | validators.headers)
    return await send(request, made, headers=headers | own.headers | {"Content-Encoding": coding})


async def told(
    request: web.Request, service: Service, data: bytes, media_type: str, status: int = 200, etag: str | None = None
) -> web.Response:
    """A document that answers something other than GET: it has no validators, and no cache may hold it.

    :param etag: what would be its validator, when it is worth keeping compressed.
    """
    coding = _coding(request, data)
    return await _response(service, data, media_type, coding, {}, coded(etag, coding), status)


def wanted_of(request: web.Request) -> Wanted:
    """What the caller can decode."""
    return wanted(request.headers.getall("Accept-Encoding", ()))


def _coded(validators: Validators, coding: Coding | None) -> Validators:
    return validators if coding is None else replace(validators, etag=coded(validators.etag, coding))


def _coding(request: web.Request, data: bytes) -> Coding | None:
    coding, plain = wanted_of(request)
    return None if plain and len(data) < MINIMUM else coding


async def _response(
    service: Service, data: bytes, media: str, coding: Coding | None, headers: dict[str, str], etag: str | None, status: int = 200
) -> web.Response:
    headers |= {"Content-Type": media}
    if coding is not None:
        data = await service.compression.document(coding, data, etag)
        headers["Content-Encoding"] = coding
    return web.Response(body=data, status=status, headers=headers)
