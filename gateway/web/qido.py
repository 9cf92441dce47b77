"""Search Transaction, QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from gateway.backends.base import URL_BASE, Matches
from gateway.dicom import dictionary
from gateway.dicomweb.media import Offer, choose
from gateway.dicomweb.query import parse_query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import NotAcceptable
from gateway.web.service import SERVICE, Service, accept_of, base_url

OFFERS = (Offer("application/dicom+json"), Offer("application/json"))


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
    offer = choose(accept_of(request), OFFERS)
    if offer is None:
        raise NotAcceptable("search results are application/dicom+json")
    limits = service.search_limits
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
    warnings = _warnings(matches, fuzzy=query.fuzzy)
    if not matches.results:
        return _warned(web.Response(status=204), warnings)
    base = base_url(request, service).encode()
    few = len(matches.results) <= BATCH
    body = _array(matches.results, base) if few else await asyncio.to_thread(_array, matches.results, base)
    return _warned(web.Response(body=body, headers={"Content-Type": offer.media_type}), warnings)


BATCH = 500
"""Results that are joined at once, in about a millisecond; nothing else runs meanwhile, in whatever thread that happens."""

# No text value can hold this: quotes inside JSON strings are escaped.
_MARK = b'"00081190":{"vr":"UR","Value":["' + URL_BASE.encode()


def _array(results: Sequence[bytes], base: bytes) -> bytes:
    """The results as one JSON array, with the public base URL put in."""
    batches = (b",".join(results[start : start + BATCH]) for start in range(0, len(results), BATCH))
    return b"[" + b",".join([batch.replace(_MARK, _MARK[:-1] + base) for batch in batches]) + b"]"


def _warnings(matches: Matches, *, fuzzy: bool) -> list[str]:
    warnings = []
    if matches.remaining:
        warnings.append(f"There are {matches.remaining} additional results that can be requested")
    if fuzzy:
        warnings.append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
    return warnings


def _warned(response: web.Response, warnings: list[str]) -> web.Response:
    """PS3.18 10.6.3.2 and 8.3.4.2 give the texts; 8.4.1 the code."""
    for text in warnings:
        response.headers.add("Warning", f"299 {SERVICE}: {text}")
    return response
