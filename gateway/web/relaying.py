"""Requests for projects that are bound to the real API (``healthcare.relays``), passed on and answered as it answers.

1. What is below such a project is never answered here: DICOM stores by a backend in front of the origin, everything else (FHIR, HL7v2,
   consent, access control, operations, datasets) by the origin itself, as a stream in both directions.
2. The path is judged before anything goes out (`paths`): nothing that a caller writes leads beside what is bound.
3. The caller's credentials stay here, in whichever place they came, unless the settings say that they are what the origin is shown;
   so does what belongs to a connection, to the way to us, or to a browser.
4. Of the answer's headers those go on that callers need (`PASSED`). Our URLs stand where the origin's stood (`rewriting`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
from functools import wraps

from aiohttp import web

from gateway.backends.base import Body
from gateway.backends.relays import Relay, Relayed
from gateway.errors import BadRequest, NotImplementedHere
from gateway.healthcare import paths
from gateway.healthcare.names import StoreName
from gateway.web import receiving
from gateway.web.context import context_of
from gateway.web.public_url import public_root
from gateway.web.rewriting import Rewriter, rewritten
from gateway.web.sending import send
from gateway.web.service import Handler, Service

GOOGLE = "https://healthcare.googleapis.com"
"""What the API's own URLs begin with, also where it is asked by another name (private endpoints)."""

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""Not TRACE, whose answer would show the gateway's credentials, nor CONNECT."""

OVERRIDE = "X-HTTP-Method-Override"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_STORED = frozenset({"store", "search", "retrieve", "metadata", "frames", "bulkdata", "rendered", "delete"})
"""Transactions of a DICOM store that its backend knows."""

PASSED = frozenset(
    """
    accept-ranges allow cache-control content-disposition content-language content-location content-range content-type etag expires
    last-modified link location preference-applied retry-after vary warning x-progress
    """.split()
)
"""Headers of an answer that callers get; where their own credentials are judged, WWW-Authenticate too."""

_URLS = frozenset({"content-location", "link", "location"})

_STAY = frozenset(
    """
    accept-encoding authorization connection content-length cookie expect forwarded host keep-alive origin proxy-authenticate
    proxy-authorization proxy-connection referer te trailer transfer-encoding upgrade via x-real-ip x-request-id
    """.split()
)
"""Headers of a request that are not the origin's business. Answers come uncoded, for their URLs are read."""

_STAY_BEGINNING = (
    *("sec-", "x-forwarded-", "x-original-", "x-rewrite-"),
    *("x-goog-iam-", "x-goog-iap-", "x-goog-authenticated-", "x-amzn-oidc-", "x-ms-", "x-auth-request-", "cf-"),
)
"""What proxies say of the way to us, and of who came it: Google's, Amazon's, Microsoft's and Cloudflare's, nginx and oauth2-proxy."""

_SECRET = re.compile("authori[sz]ation|cookie|jwt|password|secret|token|(?<!^x-goog-)api-?key")
"""In a name: a credential, by whatever scheme. Those of Google's own have their rule."""

_CREDENTIALS = frozenset({"x-goog-api-key", "x-goog-user-project"})
"""What says of a caller at Google who he is and who pays: with the gateway's own credentials it would say two things at once."""


def relay_of(request: web.Request, service: Service) -> Relay | None:
    """The relay that a request is for; None where it is answered here."""
    return None if service.relays is None else service.relays.find(_segments(request)[1:])


def or_relayed(handler: Handler) -> Handler:
    """The same handler, for what is not bound."""

    @wraps(handler)
    async def found(request: web.Request, /, service: Service) -> web.StreamResponse:
        relay = relay_of(request, service)
        return await handler(request, service=service) if relay is None else await passed(request, service, relay)

    return found


async def at_store(request: web.Request, service: Service, relay: Relay, name: StoreName, handler: Handler) -> web.StreamResponse:
    """What is below a DICOM store of the origin.

    :param handler: answers where the store's backend can.
    """
    paths.rewritten(_segments(request))
    if _goes_past(request):
        return await passed(request, service, relay)
    async with relay.store(name) as backend:
        context_of(request).backend = backend
        return await handler(request, service=service)


def _goes_past(request: web.Request) -> bool:
    """Whether the backend has no words for it: deletions that are operations, changes, storage classes, metrics."""
    transaction = context_of(request).transaction
    if OVERRIDE in request.headers:
        return True
    if transaction not in _STORED or request.method in ("PUT", "PATCH") or "Storage-Class" in request.headers:
        return True
    return transaction == "delete" and "instance" not in request.match_info


def _check_override(request: web.Request) -> None:
    """Google's own clients ask by POST where a URL would become too long, and say that it is a GET.

    :raises BadRequest: for whatever else would be done in place of what is asked for, unseen by all who look at methods.
    """
    if (real := request.headers.get(OVERRIDE)) is not None and (request.method, real.strip().upper()) != ("POST", "GET"):
        raise BadRequest(f"{OVERRIDE} makes a GET of a POST and nothing else; ask by the method that is meant")


async def passed(request: web.Request, service: Service, relay: Relay) -> web.StreamResponse:
    """Passes a request on.

    :raises BadRequest: for a path that is not what it seems. :raises NotImplementedHere: for a method of HTTP that is not passed on.
    """
    if request.method not in METHODS:
        raise NotImplementedHere(f"{', '.join(sorted(METHODS))} are passed on, and nothing else")
    found = _segments(request)
    _check_override(request)
    target = paths.rewritten(found) + paths.without_secrets(request.rel_url.raw_query_string, paths.API_KEY if relay.own else frozenset())
    changes, study = _changes(request.method, found[1:])
    if changes:
        relay.changed(study)
    try:
        return await _passed(request, service, relay, target)
    finally:
        if changes:
            relay.changed(study)


async def _passed(request: web.Request, service: Service, relay: Relay, target: str) -> web.StreamResponse:
    headers = _asked(request, relay)
    if not request.body_exists:
        async with relay.ask(request.method, target, headers, None) as answer:
            return await _answered(request, service, relay, answer)
    if "Content-Length" in request.headers:
        headers["Content-Length"] = request.headers["Content-Length"]
    async with (
        aclosing(receiving.chunks(request, context_of(request))) as body,
        relay.ask(request.method, target, headers, body) as answer,
    ):
        return await _answered(request, service, relay, answer)


def _segments(request: web.Request) -> list[str]:
    return paths.segments(request.rel_url.raw_path)


def _changes(method: str, segments: Sequence[str]) -> tuple[bool, str | None]:
    """Whether a request may change instances, and those of which study; None for any."""
    if method in _SAFE:
        return False, None
    if segments[6:7] != ["dicomStores"]:
        return method == "DELETE" and len(segments) <= 6, None
    study = segments[10].partition(":")[0] if segments[8:10] == ["dicomWeb", "studies"] and len(segments) > 10 else None
    return True, study or None


# -- headers


def _asked(request: web.Request, relay: Relay) -> dict[str, str]:
    """The headers that go on; several of one name are one list (RFC 9110 5.3)."""
    connection = {one.strip().lower() for line in request.headers.getall("Connection", ()) for one in line.split(",")}
    stay = _STAY | connection | (_CREDENTIALS if relay.own else frozenset())
    names = dict.fromkeys(name.lower() for name in request.headers)
    gone = {name for name in names if name in stay or name.startswith(_STAY_BEGINNING) or _SECRET.search(name)}
    return {name: ", ".join(request.headers.getall(name)) for name in names if name not in gone}


def _told(answer: Relayed, relay: Relay, ours: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        low = name.lower()
        if low in PASSED or (low == "www-authenticate" and not relay.own):
            headers[name] = _ours(value, relay, ours) if low in _URLS else value
    return headers


def _ours(value: str, relay: Relay, ours: str) -> str:
    for root in _roots(relay):
        value = value.replace(f"{root}/v1", f"{ours}/v1")
    return value


def _roots(relay: Relay) -> tuple[str, ...]:
    return tuple(dict.fromkeys((relay.root, GOOGLE)))


# -- answers


async def _answered(request: web.Request, service: Service, relay: Relay, answer: Relayed) -> web.StreamResponse:
    ours = public_root(request, service.public_url, service.trusted_proxies)
    headers = _told(answer, relay, ours)
    media = next((headers.pop(name) for name in tuple(headers) if name.lower() == "content-type"), "application/octet-stream")
    if answer.status in (204, 304):
        await answer.pieces.aclose()
        return web.Response(status=answer.status, headers=headers)
    body = Body(media, answer.pieces, answer.length)
    if (rewriter := _rewriter(media, answer.status, relay, ours)) is not None:
        body = Body(media, rewritten(answer.pieces, rewriter), None)
    return await send(request, body, answer.status, headers)


def _rewriter(media: str, status: int, relay: Relay, ours: str) -> Rewriter | None:
    kind = media.partition(";")[0].strip().lower()
    if status == 206 or kind.rpartition("+")[2].rpartition("/")[2] not in ("json", "xml"):
        return None
    return Rewriter(_roots(relay), ours, everywhere=kind.startswith("application/dicom+"))
