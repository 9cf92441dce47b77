"""The composition root: settings -> stores -> web application.

The only room that knows both the settings and the rooms that they are for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiofiles
import aiofiles.os
from aiohttp import web

from gateway.config import Limits as LimitSettings
from gateway.config import Settings
from gateway.dicomweb.multipart import MultipartLimits
from gateway.metrics import Transaction
from gateway.opening import Opening
from gateway.streams import Budget, IntakeLimits
from gateway.web import middleware
from gateway.web.compression import Compression
from gateway.web.middleware import IN_FLIGHT, Edge, InFlight
from gateway.web.routes import add_routes
from gateway.web.service import SearchLimits, Service

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)


async def build(settings: Settings, *, slot: int = 0) -> web.Application:
    """The web application of one worker process, its stores opened.

    :param slot: the worker's number, from 0.
    :raises StoreUnavailable: when a store's folder cannot be used.
    """
    catalog = await Opening(settings).catalog()
    service = Service(
        catalog,
        Budget(settings.limits.buffered_bytes),
        intake_limits(settings.limits),
        _search_limits(settings.limits),
        settings.server.public_url,
        settings.limits.stow_in_flight,
        settings.server.trusted_proxies,
        Compression(settings.limits.kept_bytes),
        settings.server.cache_control,
    )
    in_flight = InFlight()
    transactions: dict[object, Transaction] = {}
    edge = Edge(_tokens(settings.server.token_file), frozenset(settings.server.cors_origins), settings.server.stall_timeout, transactions)
    # client_max_size bounds what aiohttp would read into memory by itself; bodies are streamed, and have limits of their own.
    app = web.Application(middlewares=[middleware.make(edge, in_flight)], client_max_size=1 << 16)
    app[IN_FLIGHT] = in_flight
    app[SERVICE] = service
    transactions.update(add_routes(app, service, bearer=edge.tokens is not None))
    app.on_response_prepare.append(middleware.on_prepare(edge))
    app.on_cleanup.append(_close)
    return app


async def _close(app: web.Application) -> None:
    await app[SERVICE].catalog.aclose()


def intake_limits(limits: LimitSettings) -> IntakeLimits:
    """The bounds of one request's body."""
    multipart = MultipartLimits(limits.preamble_bytes, limits.part_headers, limits.part_header_bytes, limits.parts)
    return IntakeLimits(multipart, limits.instance_bytes, limits.header_bytes)


def _search_limits(limits: LimitSettings) -> SearchLimits:
    return SearchLimits(limits.results_default, limits.results_max, limits.instances_default, limits.instances_max, limits.offset_max)


def _tokens(path: Path | None) -> Callable[[], Awaitable[Sequence[bytes]]] | None:
    """Reads the bearer tokens again whenever their file changes, so that they can be rotated without a restart."""
    if path is None:
        return None
    known: tuple[float, tuple[bytes, ...]] = (-1.0, ())

    async def tokens() -> Sequence[bytes]:
        nonlocal known
        modified = (await aiofiles.os.stat(path)).st_mtime
        if modified != known[0]:
            async with aiofiles.open(path, "rb") as file:
                known = modified, tuple(line.strip() for line in await file.readlines() if line.strip())
        return known[1]

    return tokens
