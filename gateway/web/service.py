"""What the handlers share: the stores, the limits, and the public base URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from gateway.backends.base import Backend
from gateway.backends.catalog import DEFAULT, Catalog
from gateway.errors import Busy
from gateway.streams import Budget, IntakeLimits

SERVICE = "dicomweb-gateway"
"""Names the gateway in Warning and Server headers."""


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
    :param stow_in_flight: stores at once; one more is answered 503.
    """

    catalog: Catalog
    budget: Budget
    intake_limits: IntakeLimits = field(default_factory=IntakeLimits)
    search_limits: SearchLimits = field(default_factory=SearchLimits)
    public_url: str | None = None
    stow_in_flight: int = 64
    _storing: int = 0

    def backend(self, request: web.Request) -> Backend:
        """:raises NotFound: when the URL names a store that does not exist."""
        return self.catalog.get(request.match_info.get("store", DEFAULT))

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


def base_url(request: web.Request, service: Service) -> str:
    """The public URL of the store that the request is for, without a slash at its end."""
    store = request.match_info.get("store")
    path = "/dicom-web" if store is None else f"/stores/{store}/dicom-web"
    return (service.public_url or f"{request.scheme}://{_host(request)}") + path


def _host(request: web.Request) -> str:
    """The host and port that the client used, as far as it says.

    Python's dicomweb-client leaves the port out of Host. On loopback, where nobody but this process can be meant, it is put
    back; elsewhere a Host without a port may be the name of a proxy on the usual one, and `server.public_url` decides.
    """
    host = request.host
    socket = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return f"{host}:{socket[1]}" if host in _LOOPBACK and socket is not None else host


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
