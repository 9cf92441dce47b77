"""What the handlers share: the stores, the limits, and the public base URL."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple, Protocol
from urllib.parse import quote

from aiohttp import hdrs, web

from gateway.backends.base import Backend
from gateway.backends.catalog import DEFAULT, Catalog
from gateway.backends.operations.operating import Operating
from gateway.backends.projects import Projects
from gateway.backends.relays import Relays
from gateway.dicomweb.media import Accept, parse_accept
from gateway.errors import Busy
from gateway.metrics import Transaction
from gateway.streams import Budget, IntakeLimits
from gateway.transfers.places import Allowed
from gateway.web.bulkparts import BulkArea
from gateway.web.compression import Compression
from gateway.web.context import CONTEXT
from gateway.web.finished import Finished
from gateway.web.public_url import Network, public_root

SERVICE = "dicomweb-gateway"
"""Names the gateway in Warning and Server headers."""

VERSION = version(SERVICE)
"""Of the package; it lies in a file, which is read once."""


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Results of one search: without a limit in the URL, and at most. Instances have their own, for studies have thousands."""

    results_default: int = 1000
    results_max: int = 5000
    instances_default: int = 10_000
    instances_max: int = 50_000
    offset_max: int = 1_000_000


@dataclass(slots=True)
class Service:
    """:param public_url: scheme, host and prefix that clients see; None takes the Host header of each request.
    :param trusted_proxies: addresses whose Forwarded headers are believed.
    :param stow_in_flight: stores at once; one more is answered 503.
    :param compression: of answers; one a process.
    :param cache_control: of what was found.
    :param finished: documents of searches; one a process.
    :param projects: datasets and stores by their names in the Cloud Healthcare API; None where there are none.
    :param operating: what runs long on them.
    :param bulk: where bulk data wait that come apart from their metadata.
    :param relays: projects that are bound to the real Cloud Healthcare API; None where there are none.
    :param allowed: where callers may import from and export to.
    """

    catalog: Catalog
    budget: Budget
    intake_limits: IntakeLimits = field(default_factory=IntakeLimits)
    search_limits: SearchLimits = field(default_factory=SearchLimits)
    public_url: str | None = None
    stow_in_flight: int = 64
    trusted_proxies: tuple[Network, ...] = ()
    compression: Compression = field(default_factory=Compression)
    cache_control: str = "private, no-cache"
    finished: Finished = field(default_factory=Finished)
    projects: Projects | None = None
    operating: Operating | None = None
    bulk: BulkArea = field(default_factory=BulkArea)
    relays: Relays | None = None
    allowed: Allowed = field(default_factory=Allowed)
    _storing: int = 0

    def backend(self, request: web.Request) -> Backend:
        """:raises NotFound: when the URL names a store that does not exist."""
        context = request.get(CONTEXT)
        found = None if context is None else context.backend
        return self.catalog.get(request.match_info.get("store", DEFAULT)) if found is None else found

    @property
    def caching(self) -> dict[str, str]:
        """What caches may do with an answer that was found (RFC 9111), and what of the request it depends on."""
        return {"Cache-Control": self.cache_control, "Vary": "Accept, Accept-Encoding"}

    @contextmanager
    def store_slot(self) -> Iterator[None]:
        """One of the places for concurrent stores.

        :raises Busy: when all are taken.
        """
        if self._storing >= self.stow_in_flight:
            raise Busy("too many stores at once (limits.stow_in_flight); try again")
        self._storing += 1
        try:
            yield
        finally:
            self._storing -= 1


class Handler(Protocol):
    """What answers a request."""

    def __call__(self, request: web.Request, /, service: Service) -> Awaitable[web.StreamResponse]:
        """The answer, or a `GatewayError`."""
        ...


class Route(NamedTuple):
    """:param path: below a base for the services of a store, else from the root."""

    method: str
    path: str
    transaction: Transaction
    handler: Handler


def accept_of(request: web.Request) -> Accept:
    """What the caller can take, by ``accept=`` in the URL and the Accept header (PS3.18 8.7.8).

    :raises BadRequest: when it is too long to be read.
    """
    return _accept(*asked_for(request))


def asked_for(request: web.Request) -> tuple[tuple[str, ...], str | None]:
    """What a caller can take in his own words: each Accept header, and ``accept=`` of the URL."""
    return tuple(request.headers.getall(hdrs.ACCEPT, ())), request.query.get("accept")


@lru_cache(maxsize=256)
def _accept(headers: tuple[str, ...], query: str | None) -> Accept:
    """Clients ask in the same few words all day. What is too long raises, and is not remembered."""
    return parse_accept(headers, query)


def base_url(request: web.Request, service: Service) -> str:
    """The public URL of the store that the request is for, without a slash at its end."""
    names = request.match_info
    store = names.get("store")
    if "dataset" in names:
        api = request.path[1:].partition("/")[0]
        where = (names["project"], "locations", names["location"], "datasets", names["dataset"], "dicomStores", names["store"])
        path = f"/{api}/projects/{'/'.join(quote(one, safe='') for one in where)}/dicomWeb"
    else:
        path = "/dicom-web" if store is None else f"/stores/{store}/dicom-web"
    return public_root(request, service.public_url, service.trusted_proxies) + path
