"""Retrieve Capabilities Transaction (PS3.18 8.9), and the same for tools that read OpenAPI.

The documents are made once from the table of routes, when the application is; only the public URL goes in on the way out,
for it depends on the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import orjson
from aiohttp import web

from gateway.backends.base import URL_BASE
from gateway.dicomweb.media import Offer, choose
from gateway.errors import NotAcceptable
from gateway.web import documents
from gateway.web.conditional import Validators, tag
from gateway.web.public_url import public_root
from gateway.web.service import Service, accept_of, base_url

WADL = Offer("application/vnd.sun.wadl+xml")
JSON = Offer("application/json")


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents in UTF-8; `URL_BASE` in quotes stands in each of them for the URL that it is about.

    :param store: of any store, by its media type.
    :param gateway: OpenAPI, of all routes.
    """

    store: Mapping[Offer, bytes]
    gateway: bytes


DOCUMENTS: web.AppKey[Documents] = web.AppKey("documents", Documents)

_MARK = f'"{URL_BASE}"'.encode()


async def of_store(request: web.Request, service: Service) -> web.StreamResponse:
    """``OPTIONS {base}`` and ``OPTIONS {base}/``. A CORS preflight does not come here: the middleware answers it."""
    service.backend(request)  # a store that is not there can do nothing
    offer = choose(accept_of(request), (WADL, JSON))
    if offer is None:
        raise NotAcceptable(f"capabilities are {WADL.media_type} or {JSON.media_type}")
    body = _about(request.app[DOCUMENTS].store[offer], base_url(request, service), offer)
    response = await documents.told(request, service, body, offer.media_type, etag=tag(body))
    response.headers["Allow"] = "OPTIONS"
    return response


async def openapi_page(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET /openapi.json``."""
    root = public_root(request, service.public_url, service.trusted_proxies)
    body = _about(request.app[DOCUMENTS].gateway, root, JSON)
    return await documents.found(request, service, body, JSON.media_type, Validators(tag(body)))


def _about(document: bytes, url: str, offer: Offer) -> bytes:
    quoted = quoteattr(url).encode() if offer is WADL else orjson.dumps(url)
    return document.replace(_MARK, quoted, 1)
