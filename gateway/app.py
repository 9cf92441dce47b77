"""The composition root: settings -> stores -> web application.

The only room that knows both the settings and the rooms that they are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from gateway import opening_relays
from gateway.backends.catalog import DEFAULT
from gateway.backends.notifying.notifications import Notifications
from gateway.backends.operations import updating
from gateway.backends.operations.operating import Operating
from gateway.backends.operations.work import Kind
from gateway.backends.projects import Projects
from gateway.config import Settings
from gateway.dicomweb.multipart import MultipartLimits
from gateway.healthcare.names import parsed_store_name
from gateway.metrics import Transaction
from gateway.opening import Opening
from gateway.sections.google import Emulator, Healthcare
from gateway.sections.limits import Limits as LimitSettings
from gateway.sections.stores import Store
from gateway.streams import Budget, IntakeLimits
from gateway.transfers import exporting, importing
from gateway.transfers.folders import Folder
from gateway.transfers.places import Allowed, Place, Places
from gateway.transfers.uris import Uri
from gateway.web import middleware
from gateway.web import repeats as repeating
from gateway.web.bulkparts import BulkArea
from gateway.web.compression import Compression
from gateway.web.middleware import IN_FLIGHT, Edge, InFlight
from gateway.web.mishaps import Mishaps
from gateway.web.repeats import REPEATS, Repeats
from gateway.web.routes import add_routes, places
from gateway.web.service import SearchLimits, Service
from gateway.web.status import STATUS, Shown, Status
from gateway.web.tokens import TokenFile
from gateway.web.viewer import VIEWER, Source, Viewer

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
NOTIFICATIONS: web.AppKey[Notifications] = web.AppKey("notifications", Notifications)


async def build(settings: Settings, *, slot: int = 0) -> web.Application:
    """The web application of one worker process, its stores opened.

    :param slot: the worker's number, from 0.
    :raises StoreUnavailable: when a store's folder cannot be used.
    """
    opening = await asyncio.to_thread(Opening, settings)  # it looks how many CPUs there are
    catalog = await opening.catalog()
    notifications = opening.notifications
    creating, notified = settings.healthcare.create, notifications.made
    projects = Projects(catalog, settings.data / "_healthcare", opening.made, creating=creating, notified=notified)
    budget, limits = Budget(settings.limits.buffered_bytes), intake_limits(settings.limits)
    transfers = Places(bucket_opener(settings.healthcare), Folder, allowed(settings.healthcare))
    kinds: dict[str, Kind] = {
        importing.KIND: importing.Importing(projects, transfers, limits, budget, lambda name: operating.deleting(name)),
        exporting.KIND: exporting.Exporting(projects, transfers),
        updating.KIND: updating.Updating(projects, lambda name: operating.deleting(name)),
    }
    operating = Operating(projects, kinds)
    await operating.begin()
    await notifications.begin(lambda name: projects.backend(parsed_store_name(name)))
    service = Service(
        catalog,
        budget,
        limits,
        _search_limits(settings.limits),
        settings.server.public_url,
        settings.limits.stow_in_flight,
        settings.server.trusted_proxies,
        Compression(settings.limits.kept_bytes),
        settings.server.cache_control,
        projects=projects,
        operating=operating,
        bulk=BulkArea(settings.data / "_bulk", settings.limits.bulk_bytes),
        allowed=transfers.allowed,
        relays=await opening_relays.relays(opening, settings),
    )
    in_flight = InFlight()
    transactions: dict[object, Transaction] = {}
    mishaps = _mishaps(settings.emulator)
    repeats = Repeats(
        trusting=bool(settings.server.trusted_proxies),
        tokens=settings.server.token_file is not None,
        bound=repeating.BOUND if mishaps is None else 0,  # what is given again meets no mishap
    )
    origins = frozenset(settings.server.cors_origins)
    tokens = None if settings.server.token_file is None else TokenFile(settings.server.token_file)
    edge = Edge(tokens, origins, settings.server.stall_timeout, transactions, repeats, mishaps)
    # client_max_size bounds what aiohttp would read into memory by itself; bodies are streamed, and have limits of their own.
    app = web.Application(middlewares=[middleware.make(edge, in_flight)], client_max_size=1 << 16)
    app[IN_FLIGHT] = in_flight
    app[SERVICE] = service
    app[NOTIFICATIONS] = notifications
    app[REPEATS] = repeats
    app[VIEWER] = await _viewer(settings)
    app[STATUS] = Status(shown(settings.stores), tokens=edge.tokens, viewer=app[VIEWER] is not None)
    transactions.update(add_routes(app, service, bearer=edge.tokens is not None))
    app.on_response_prepare.append(middleware.on_prepare(edge))
    app.on_cleanup.append(_close)
    return app


def allowed(healthcare: Healthcare) -> Allowed:
    """Where callers may import from and export to."""
    return Allowed(healthcare.folders, healthcare.buckets)


def bucket_opener(healthcare: Healthcare) -> Callable[[Uri], Place]:
    """Opens buckets; what is needed for that is loaded when there is one."""

    def bucket(uri: Uri) -> Place:
        from gateway.transfers.buckets import Endpoints

        return Endpoints(healthcare.gcs_endpoint, healthcare.s3_endpoint).bucket(uri)

    return bucket


async def _viewer(settings: Settings) -> Viewer | None:
    """The viewer in the folder that the settings name, with all stores.

    :raises StoreUnavailable: when there is none in it.
    """
    if settings.server.viewer is None:
        return None
    names = sorted(settings.stores, key=lambda name: name != DEFAULT)
    sources = [Source(name, *(place.removeprefix("/").format(store=name) for place in places(name))) for name in names]
    return await asyncio.to_thread(Viewer, settings.server.viewer, sources, bearer=settings.server.token_file is not None)


def shown(stores: Mapping[str, Store]) -> list[Shown]:
    """The stores as the status page has them."""
    return [Shown(name, _kind(store), places(name)[0].removeprefix("/").format(store=name)) for name, store in stores.items()]


def _kind(store: Store) -> str:
    match store.backend:
        case "local":
            return "files and an index on disk"
        case "memory":
            return "in memory, gone with the process"
        case "federation":
            return f"{', '.join(store.members)} as one"
    what = "spool in front of an origin" if store.delivery == "spool" else "in front of an origin"
    return f"{what} ({store.profile})"


def _mishaps(emulator: Emulator) -> Mishaps | None:
    return Mishaps(emulator.error_rate, emulator.statuses, emulator.retry_after) if emulator.error_rate else None


async def _close(app: web.Application) -> None:
    service = app[SERVICE]
    if service.operating is not None:
        await service.operating.aclose()
    await app[NOTIFICATIONS].stop()
    if service.projects is not None:
        await service.projects.aclose()
    if service.relays is not None:
        await service.relays.aclose()
    await service.catalog.aclose()


def intake_limits(limits: LimitSettings) -> IntakeLimits:
    """The bounds of one request's body."""
    multipart = MultipartLimits(limits.preamble_bytes, limits.part_headers, limits.part_header_bytes, limits.parts)
    return IntakeLimits(multipart, limits.instance_bytes, limits.header_bytes)


def _search_limits(limits: LimitSettings) -> SearchLimits:
    return SearchLimits(limits.results_default, limits.results_max, limits.instances_default, limits.instances_max, limits.offset_max)
