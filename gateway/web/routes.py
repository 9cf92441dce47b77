"""Every URL that the gateway answers, on one screen (PS3.18 tables 10.3-1, 10.4.1-1, 10.6.1-1)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

import orjson
from aiohttp import web

from gateway.metrics import Transaction
from gateway.web import capabilities, health, openapi, qido, stow, wadl, wado
from gateway.web.capabilities import DOCUMENTS, Documents
from gateway.web.description import describe
from gateway.web.service import SearchLimits, Service


class Handler(Protocol):
    """What answers a request."""

    def __call__(self, request: web.Request, /, service: Service) -> Awaitable[web.StreamResponse]:
        """The answer, or a `GatewayError`."""
        ...


BASES = ("/dicom-web", "/stores/{store}/dicom-web")
"""Where a store's DICOMweb services begin: the default store, and any store by name."""


class Route(NamedTuple):
    """:param path: below a base for the services of a store, else from the root."""

    method: str
    path: str
    transaction: Transaction
    handler: Handler


_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"

STORE_ROUTES = (
    Route("OPTIONS", "", "capabilities", capabilities.of_store),
    Route("OPTIONS", "/", "capabilities", capabilities.of_store),
    Route("POST", "/studies", "store", stow.store),
    Route("POST", _STUDY, "store", stow.store),
    Route("GET", "/studies", "search", qido.search_studies),
    Route("GET", "/series", "search", qido.search_series),
    Route("GET", "/instances", "search", qido.search_instances),
    Route("GET", _STUDY + "/series", "search", qido.search_series),
    Route("GET", _STUDY + "/instances", "search", qido.search_instances),
    Route("GET", _SERIES + "/instances", "search", qido.search_instances),
    Route("GET", _STUDY, "retrieve", wado.retrieve_instances),
    Route("GET", _SERIES, "retrieve", wado.retrieve_instances),
    Route("GET", _INSTANCE, "retrieve", wado.retrieve_instances),
    Route("GET", _STUDY + "/metadata", "metadata", wado.retrieve_metadata),
    Route("GET", _SERIES + "/metadata", "metadata", wado.retrieve_metadata),
    Route("GET", _INSTANCE + "/metadata", "metadata", wado.retrieve_metadata),
    Route("GET", _INSTANCE + "/frames/{frames}", "frames", wado.retrieve_frames),
    Route("GET", _INSTANCE + "/bulkdata/{bulk:.+}", "bulkdata", wado.retrieve_bulkdata),
    Route("GET", _STUDY + "/bulkdata", "bulkdata", wado.retrieve_all_bulkdata),
    Route("GET", _SERIES + "/bulkdata", "bulkdata", wado.retrieve_all_bulkdata),
    Route("GET", _INSTANCE + "/bulkdata", "bulkdata", wado.retrieve_all_bulkdata),
    Route("GET", _STUDY + "/pixeldata", "bulkdata", wado.retrieve_pixeldata),
    Route("GET", _SERIES + "/pixeldata", "bulkdata", wado.retrieve_pixeldata),
    Route("GET", _INSTANCE + "/pixeldata", "bulkdata", wado.retrieve_pixeldata),
    Route("DELETE", _STUDY, "delete", wado.delete),
    Route("DELETE", _SERIES, "delete", wado.delete),
    Route("DELETE", _INSTANCE, "delete", wado.delete),
)

SERVICE_ROUTES = (
    Route("GET", "/healthz", "health", health.alive),
    Route("GET", "/readyz", "health", health.ready),
    Route("GET", "/metrics", "other", health.metrics_page),
    Route("GET", "/version", "other", health.version_page),
    Route("GET", "/openapi.json", "capabilities", capabilities.openapi_page),
)


def everything() -> Iterator[Route]:
    """All routes with their whole paths; HEAD wherever GET is."""
    yield from _with_head(SERVICE_ROUTES)
    for base in BASES:
        yield from (route._replace(path=base + route.path) for route in _with_head(STORE_ROUTES))


def _with_head(routes: Iterable[Route]) -> Iterator[Route]:
    for route in routes:
        yield route
        if route.method == "GET":
            yield route._replace(method="HEAD")


def add_routes(app: web.Application, service: Service, *, bearer: bool = False) -> dict[object, Transaction]:
    """Adds all routes, and the documents that describe them; returns the transaction of each (method, canonical path).

    :param bearer: whether callers are asked for tokens.
    """
    transactions: dict[object, Transaction] = {}
    for route in sorted(everything(), key=_turn):
        added = app.router.add_route(route.method, route.path, partial(route.handler, service=service), expect_handler=_patient)
        assert added.resource is not None  # noqa: S101 - a route with a path has one; narrows the type
        transactions[route.method, added.resource.canonical] = route.transaction
    app[DOCUMENTS] = documents(service.search_limits, bearer=bearer)
    return transactions


_BUSIEST: tuple[Transaction, ...] = ("frames", "metadata", "search", "retrieve", "bulkdata")
"""What is asked for most comes first: aiohttp tries one pattern after the other, and ten of them cost a frame 10 % of its CPU time."""


def _turn(route: Route) -> int:
    return _BUSIEST.index(route.transaction) if route.transaction in _BUSIEST else len(_BUSIEST)


async def _patient(_: web.Request) -> None:
    """``Expect: 100-continue`` is answered by who reads the body, when it is clear that it will be read."""


def documents(limits: SearchLimits, *, bearer: bool) -> Documents:
    """What describes a store, and the whole gateway."""
    store = wadl.application(describe(route, limits, bearer=bearer) for route in _with_head(STORE_ROUTES))
    whole = openapi.document([describe(route, limits, bearer=bearer) for route in everything()], bearer=bearer)
    return Documents({capabilities.WADL: wadl.to_xml(store), capabilities.JSON: wadl.to_json(store)}, orjson.dumps(whole))
