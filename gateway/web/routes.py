"""Every URL that the gateway answers (PS3.18 tables 10.3-1, 10.4.1-1, 10.6.1-1); what Google's API has of it too is in `shared_routes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import orjson
from aiohttp import web

from gateway.backends.catalog import DEFAULT
from gateway.metrics import Transaction
from gateway.web import capabilities, health, healthcare_routes, openapi, rendered, status, viewer, wadl, wado, wado_uri
from gateway.web.capabilities import DOCUMENTS, Documents
from gateway.web.description import describe
from gateway.web.service import Route, SearchLimits, Service
from gateway.web.shared_routes import FRAMES, INSTANCE, SERIES, SHARED, STUDY

BASES = ("/dicom-web", "/stores/{store}/dicom-web")
"""Where a store's DICOMweb services begin: the default store, and any store by name."""

URI_BASES = ("/wado", "/stores/{store}/wado")
"""Beside them WADO-URI, which has no resources below it (PS3.18 chapter 9)."""


def places(store: str) -> tuple[str, str]:
    """Where a store's DICOMweb services are, and its WADO-URI, as patterns of its name: the default store is at the roots."""
    at = 0 if store == DEFAULT else 1
    return BASES[at], URI_BASES[at]


STORE_ROUTES = (
    Route("OPTIONS", "", "capabilities", capabilities.of_store),
    Route("OPTIONS", "/", "capabilities", capabilities.of_store),
    *SHARED,
    Route("GET", STUDY + "/rendered", "rendered", rendered.retrieve_rendered),
    Route("GET", SERIES + "/rendered", "rendered", rendered.retrieve_rendered),
    Route("GET", STUDY + "/thumbnail", "rendered", rendered.retrieve_thumbnail),
    Route("GET", SERIES + "/thumbnail", "rendered", rendered.retrieve_thumbnail),
    Route("GET", INSTANCE + "/thumbnail", "rendered", rendered.retrieve_thumbnail),
    Route("GET", FRAMES + "/thumbnail", "rendered", rendered.retrieve_thumbnail),
    Route("GET", STUDY + "/bulkdata", "bulkdata", wado.retrieve_all_bulkdata),
    Route("GET", SERIES + "/bulkdata", "bulkdata", wado.retrieve_all_bulkdata),
    Route("GET", INSTANCE + "/bulkdata", "bulkdata", wado.retrieve_all_bulkdata),
    Route("GET", STUDY + "/pixeldata", "bulkdata", wado.retrieve_pixeldata),
    Route("GET", SERIES + "/pixeldata", "bulkdata", wado.retrieve_pixeldata),
    Route("GET", INSTANCE + "/pixeldata", "bulkdata", wado.retrieve_pixeldata),
    Route("DELETE", STUDY, "delete", wado.delete),
    Route("DELETE", SERIES, "delete", wado.delete),
    Route("DELETE", INSTANCE, "delete", wado.delete),
)

SERVICE_ROUTES = (
    Route("GET", "/healthz", "health", health.alive),
    Route("GET", "/readyz", "health", health.ready),
    Route("GET", "/metrics", "other", health.metrics_page),
    Route("GET", "/version", "other", health.version_page),
    Route("GET", "/openapi.json", "capabilities", capabilities.openapi_page),
    Route("GET", "/", "page", status.page),
    Route("GET", "/favicon.ico", "page", status.icon),
    Route("GET", "/viewer", "page", viewer.page),
    Route("GET", "/viewer/", "page", viewer.page),
    Route("GET", "/viewer/{file:.+}", "page", viewer.file),
)


def everything() -> Iterator[Route]:
    """All routes with their whole paths; HEAD wherever GET is."""
    yield from _with_head(SERVICE_ROUTES)
    for base in BASES:
        yield from (route._replace(path=base + route.path) for route in _with_head(STORE_ROUTES))
    yield from _with_head(Route("GET", base, "rendered", wado_uri.retrieve) for base in URI_BASES)


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
        _add(app, route, service, transactions)
    for place in (*_with_head(healthcare_routes.places()), *healthcare_routes.others()):
        _add(app, place, service, transactions)
    app[DOCUMENTS] = documents(service.search_limits, bearer=bearer)
    return transactions


def _add(app: web.Application, route: Route, service: Service, transactions: dict[object, Transaction]) -> None:
    added = app.router.add_route(route.method, route.path, partial(route.handler, service=service), expect_handler=_patient)
    assert added.resource is not None  # noqa: S101 - a route with a path has one; narrows the type
    transactions[route.method, added.resource.canonical] = route.transaction


_BUSIEST: tuple[Transaction, ...] = ("frames", "rendered", "metadata", "search", "retrieve", "bulkdata")
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
