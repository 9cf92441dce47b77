"""Every URL that the gateway answers, on one screen (PS3.18 tables 10.3-1, 10.4.1-1, 10.6.1-1)."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import NamedTuple, Protocol

from aiohttp import web

from gateway.metrics import Transaction
from gateway.web import health, qido, stow, wado
from gateway.web.service import Service


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
    Route("DELETE", _STUDY, "delete", wado.delete),
    Route("DELETE", _SERIES, "delete", wado.delete),
    Route("DELETE", _INSTANCE, "delete", wado.delete),
)

SERVICE_ROUTES = (
    Route("GET", "/healthz", "health", health.alive),
    Route("GET", "/readyz", "health", health.ready),
    Route("GET", "/metrics", "other", health.metrics_page),
    Route("GET", "/version", "other", health.version_page),
)


def add_routes(app: web.Application, service: Service) -> dict[object, Transaction]:
    """Adds all routes; returns the transaction of each (method, canonical path)."""
    transactions: dict[object, Transaction] = {}
    everything = [*SERVICE_ROUTES, *(route._replace(path=base + route.path) for base in BASES for route in STORE_ROUTES)]
    for route in everything:
        added = app.router.add_route(route.method, route.path, partial(route.handler, service=service))
        assert added.resource is not None  # noqa: S101 - a route with a path has one; narrows the type
        transactions[route.method, added.resource.canonical] = route.transaction
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, partial(route.handler, service=service))
            transactions["HEAD", added.resource.canonical] = route.transaction
    return transactions
