"""What happens around every request: identity, limits, errors, CORS, metrics and one log line.

One function does it, in the order in which it is read, because each layer of middleware costs every request a task's
worth of calls.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from multidict import istr

from gateway import logs, metrics
from gateway.backends.caller import CALLER, NOBODY, Caller
from gateway.errors import Busy, GatewayError, InstanceError, NotAuthenticated, RangeNotSatisfiable, StoreUnavailable
from gateway.metrics import Transaction
from gateway.web.context import CONTEXT, Context, new_request_id, request_id_of
from gateway.web.dialect import GOOGLE, dialect_of
from gateway.web.mishaps import Mishaps
from gateway.web.recording import record
from gateway.web.repeats import Repeats, noted
from gateway.web.service import SERVICE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN: frozenset[Transaction] = frozenset({"health", "page"})
"""Transactions that need no credentials: probes have none, and pages are opened by people before they can show any."""

_CORS_REQUEST_HEADERS = (
    "Authorization, Accept, Cache-Control, Content-Type, If-Modified-Since, If-None-Match, If-Range, Range, X-Request-Id"
)
_CORS_EXPOSED = "Accept-Ranges, Age, Content-Location, Content-Range, ETag, Location, Retry-After, Warning, X-Cache, X-Request-Id"
LEFT = 499
"""What is counted and logged when the client left before its answer was whole; nginx's number for it."""

_CORS_SECONDS = "600"

_FRESH = re.compile(r"\bno-cache\b|\bmax-age=0+\b", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 2.1."""

_log = logs.get_logger()


class InFlight:
    """The requests of this process that are being answered; the server waits for them before it goes."""

    def __init__(self) -> None:
        self.count = 0
        self.draining = False
        """Set by the server on its way out; readiness says so, and answers close their connection."""
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """A request begins."""
        self.count += 1
        self._idle.clear()

    def leave(self) -> None:
        """A request is answered."""
        self.count -= 1
        if self.count == 0:
            self._idle.set()

    async def idle(self) -> None:
        """Returns when no request is being answered."""
        while self.count:
            await self._idle.wait()


IN_FLIGHT: web.AppKey[InFlight] = web.AppKey("in_flight", InFlight)


@dataclass(frozen=True, slots=True)
class Edge:
    """What the outside may do.

    :param tokens: asked for the bearer tokens that are let in, each time; None lets everybody in.
    :param cors_origins: origins of browser viewers, or ``*``.
    :param stall_timeout: seconds without a byte, either way, before a connection is cut.
    :param repeats: is shown every answer; None keeps none.
    :param mishaps: errors on purpose; None for none.
    """

    tokens: Callable[[], Awaitable[Sequence[bytes]]] | None = None
    cors_origins: frozenset[str] = frozenset()
    stall_timeout: float = 30.0
    transactions: Mapping[object, Transaction] = field(default_factory=dict)
    repeats: Repeats | None = None
    mishaps: Mishaps | None = None


def make(edge: Edge, in_flight: InFlight) -> Middleware:
    """The middleware."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        transaction = edge.transactions.get((request.method, resource.canonical if resource else None), "other")
        context = Context(request_id_of(request.headers) or new_request_id(), transaction, edge.stall_timeout)
        request[CONTEXT] = context
        CALLER.set(_caller(request))
        gauge = metrics.of_transaction(transaction).in_flight
        in_flight.enter()
        gauge.inc()
        status = LEFT
        try:
            response = await _answer(request, handler, edge, context)
            status = response.status
            if not response.prepared:
                context.sent += _to_send(request, response)
                if in_flight.draining:
                    response.force_close()
            return response
        except ConnectionError:
            # The client left, or the answer broke off after its headers were out. There is nobody left to tell; aiohttp
            # wants some answer, and finds that it cannot be sent.
            status = LEFT
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=LEFT)
        finally:
            gauge.dec()
            in_flight.leave()
            record(request.method, context, status, resource.canonical if resource else "none")

    return around


async def _answer(request: web.Request, handler: Handler, edge: Edge, context: Context) -> web.StreamResponse:
    try:
        if request.method == hdrs.METH_OPTIONS and _is_preflight(request):
            return _preflight()
        if edge.tokens is not None:
            if context.transaction in OPEN:
                context.stranger = not await _shows_token(request, edge.tokens)
            else:
                _authenticate(request, await edge.tokens())
        if edge.mishaps is not None and (mishap := edge.mishaps.answer(request)) is not None:
            return mishap
        return await handler(request)
    except GatewayError as error:
        return _refusal(request, error)
    except InstanceError as error:
        return dialect_of(request).problem(HTTPStatus.BAD_REQUEST, error.message)
    except web.HTTPException as error:
        return _from_aiohttp(request, error)
    except ConnectionError:
        raise
    except Exception as error:
        # Something of ours is wrong. The caller learns where to ask, and nothing else.
        _log.error("request failed", request_id=context.request_id, exc_info=error)
        where = f"an error of the gateway; its log has it under {context.request_id}"
        return dialect_of(request).problem(HTTPStatus.INTERNAL_SERVER_ERROR, where)


# -- who


def _caller(request: web.Request) -> Caller:
    """What backends may want to know of the sender."""
    headers = request.headers
    if dialect_of(request) is GOOGLE and "access_token" in request.query:
        return Caller(_authorization(request), _wants_fresh(headers))
    if hdrs.AUTHORIZATION not in headers and hdrs.CACHE_CONTROL not in headers and hdrs.PRAGMA not in headers:
        return NOBODY
    return Caller(headers.get(hdrs.AUTHORIZATION), _wants_fresh(headers))


def _wants_fresh(headers: Mapping[str, str]) -> bool:
    """Whether what is kept will not do (RFC 9111 5.2.1): ``no-cache``, or ``max-age=0``, which browsers send for a page loaded again."""
    return _FRESH.search(headers.get(hdrs.CACHE_CONTROL) or headers.get(hdrs.PRAGMA, "")) is not None


def _authorization(request: web.Request) -> str | None:
    """What a caller shows; Google's API, and nothing else, also takes a token as ``access_token=`` in the URL (RFC 6750 2.3)."""
    if hdrs.AUTHORIZATION in request.headers or dialect_of(request) is not GOOGLE:
        return request.headers.get(hdrs.AUTHORIZATION)
    token = request.query.get("access_token", "")
    return f"Bearer {token}" if _TOKEN.fullmatch(token) else None  # it goes into a header of ours, where a line break would begin another


def is_known(request: web.Request, tokens: Sequence[bytes]) -> bool:
    """Whether the caller shows one of the tokens that are let in."""
    scheme, _, token = (_authorization(request) or "").partition(" ")
    given = token.strip().encode(errors="surrogateescape")  # as aiohttp decoded it: the very bytes that were sent
    known = [hmac.compare_digest(given, one) for one in tokens]  # all are compared: the time tells nothing
    return scheme.lower() == "bearer" and any(known)


async def _shows_token(request: web.Request, tokens: Callable[[], Awaitable[Sequence[bytes]]]) -> bool:
    """Whether the caller may see more than everybody. Probes are answered also when nobody knows who may come in."""
    if hdrs.AUTHORIZATION not in request.headers:
        return False
    with suppress(StoreUnavailable):
        return is_known(request, await tokens())
    return False


def _authenticate(request: web.Request, tokens: Sequence[bytes]) -> None:
    if not is_known(request, tokens):
        raise NotAuthenticated("send Authorization: Bearer with a token that this gateway knows")


# -- errors


def _refusal(request: web.Request, error: GatewayError) -> web.Response:
    response = dialect_of(request).problem(error.status, error.message)
    if isinstance(error, NotAuthenticated):
        response.headers["WWW-Authenticate"] = 'Bearer realm="dicomweb"'
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(error.retry_after if isinstance(error, Busy) else 30)
    if isinstance(error, RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    if not request.content.at_eof():
        response.force_close()  # the rest of a body that was refused is not worth reading
    return response


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Allow": allowed})
        response = dialect_of(request).problem(error.status, f"{request.method} is not possible here; {allowed} are")
        response.headers["Allow"] = allowed
        return response
    if error.status < HTTPStatus.BAD_REQUEST:
        return error
    detail = "no such route; the default store is at /dicom-web" if error.status == HTTPStatus.NOT_FOUND else error.reason
    return dialect_of(request).problem(error.status, detail)


# -- CORS (PS3.18 8.10; the Fetch standard)


def _is_preflight(request: web.Request) -> bool:
    """A browser's question before a request, which is not the OPTIONS of PS3.18 8.9."""
    return "Origin" in request.headers and "Access-Control-Request-Method" in request.headers


def _preflight() -> web.Response:
    return web.Response(
        status=HTTPStatus.NO_CONTENT,
        headers={
            "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            "Access-Control-Allow-Headers": _CORS_REQUEST_HEADERS,
            "Access-Control-Max-Age": _CORS_SECONDS,
        },
    )


def cors_headers(request: web.Request, origins: frozenset[str]) -> dict[str, str]:
    """What lets a browser viewer of an allowed origin read the answer; nothing for all others."""
    if not origins:
        return {}
    origin = request.headers.get("Origin")
    if origin is None or ("*" not in origins and origin not in origins):
        return {"Vary": "Origin"}  # also here: what a cache keeps of this answer is not for browsers of an allowed origin
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _CORS_EXPOSED, "Vary": "Origin"}


# -- at the end


def _to_send(request: web.Request, response: web.StreamResponse) -> int:
    """Bytes of the body of an answer that aiohttp has yet to send."""
    if isinstance(response, web.Response) and request.method != hdrs.METH_HEAD:
        return response.content_length or 0
    return 0


_REQUEST_ID, _TYPE_OPTIONS = istr("X-Request-Id"), istr("X-Content-Type-Options")


def on_prepare(edge: Edge) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """The headers that every answer carries, also one that a handler has begun to send itself."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        context, headers = request.get(CONTEXT), response.headers
        if context is not None:
            headers[_REQUEST_ID] = context.request_id
        headers[_TYPE_OPTIONS] = "nosniff"
        headers[hdrs.SERVER] = SERVICE  # versions are for /version, which asks who wants to know
        headers.setdefault(hdrs.CACHE_CONTROL, "no-store")  # errors, and what was done; what was found says otherwise
        if edge.cors_origins:
            cors = cors_headers(request, edge.cors_origins)
            if "Vary" in cors and "Vary" in headers:
                cors["Vary"] = f"{headers['Vary']}, {cors['Vary']}"
            headers.update(cors)
        noted(edge.repeats, request, response)

    return add
