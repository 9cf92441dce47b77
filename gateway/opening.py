"""Settings -> stores: which backend stands behind which name, and what several of them share.

    memory                   MemoryBackend
    local                    LocalStore
    upstream                 Cached(Origin), or with cache = false Origin alone
    upstream, delivery=spool Spooled(LocalStore, {own name: Cached(Origin), other names of routes: those stores})
    federation               Federation of other stores

Around each but the last, whose members draw themselves, stands Pictured(it, Cached(Making)).

Stores that others need are opened first. What is opened is closed in the reverse order, also when a later one fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gateway import logs
from gateway.backends.base import Backend
from gateway.backends.cached.cached import Cached
from gateway.backends.cached.disk import DiskTier
from gateway.backends.cached.generations import Generations
from gateway.backends.cached.keys import MADE
from gateway.backends.cached.memory import MemoryTier
from gateway.backends.catalog import Catalog, Closing, close_all
from gateway.backends.federation import Federation
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured.headers import Headers
from gateway.backends.pictured.making import Making
from gateway.backends.pictured.pictured import Pictured
from gateway.backends.pictured.reading import Shelf
from gateway.backends.pictured.sources import Sources
from gateway.backends.policy import OnDuplicate
from gateway.backends.projects import CONFIGURED
from gateway.backends.spool.spooled import FOLDER, Spooled
from gateway.backends.upstream.area import Area
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.origin import Origin
from gateway.config import Settings
from gateway.dicom.elements import Limits
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN
from gateway.errors import NotFound, StoreUnavailable
from gateway.healthcare.names import StoreName
from gateway.opening_notifications import notifications_of, targets_of
from gateway.opening_origins import asked_how, client_of, profile_of, routes_of
from gateway.pixels.limits import PixelLimits
from gateway.pixels.pool import Pool
from gateway.sections.limits import Limits as LimitSettings
from gateway.sections.pixels import Pixels as PixelSettings
from gateway.sections.stores import Store

log = logs.get_logger()

_SYNTAX = {"explicit": EXPLICIT_LITTLE_ENDIAN, "stored": "*"}


@dataclass(frozen=True, slots=True)
class _Inner:
    """A store that is to be pictured.

    :param generations: its stamps. :param outlives: whether what it holds outlives the process.
    :param decides: see `Pictured`. :param exact: likewise.
    :param scope: stands for the caller. :param ttl: seconds that pictures are believed; None for those of the settings.
    """

    backend: Backend
    generations: Generations
    outlives: bool = True
    decides: bool = True
    exact: bool = False
    scope: Callable[[], str] = lambda: ""
    ttl: float | None = None


class Opening:
    """The stores of one process.

    :param settings: name them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = structure_limits(settings.limits)
        self._stores: dict[str, Backend] = {}
        self._pool = pool_of(settings)
        self._pixel_limits = pixel_limits(settings.pixels)
        self.notifications = notifications_of(settings)
        self._opened: list[Closing] = [self._pool, self.notifications]  # closed last
        self._memory = MemoryTier(settings.cache.memory_bytes)
        self._disk: DiskTier | None = None
        self._tiers_open = False
        self._headers = Headers()
        self._shelf = Shelf(settings.data / "_pixels", settings.pixels.area_bytes // settings.workers)

    async def catalog(self) -> Catalog:
        """All stores, in the order of the settings.

        :raises StoreUnavailable: when a folder or a file of one cannot be used.
        """
        try:
            opened = {name: await self.store(name) for name in self._settings.stores}
        except BaseException:
            await self.aclose()
            raise
        return Catalog(opened, self._opened[::-1])

    async def store(self, name: str) -> Backend:
        """One store, with those that it needs; the caller calls `aclose`.

        :raises NotFound: when the settings have no store of that name.
        :raises StoreUnavailable: when something of it cannot be used.
        """
        if name not in self._stores:
            store = self._settings.stores.get(name)
            if store is None:
                raise NotFound(f"there is no store {name!r}; the settings have {', '.join(sorted(self._settings.stores))}")
            opened = await self._open(name, store)
            self._stores[name] = self.notifications.around(opened, str(StoreName(CONFIGURED, name)), targets_of(store))
            self._opened.append(self._stores[name])
        return self._stores[name]

    async def made(self, folder: Path) -> Backend:
        """A store that a caller made, in a folder of its own; the caller calls `aclose`."""
        await self._open_tiers()
        store = Store(root=folder)
        return self._pictured(folder.name, store, _Inner(await self._local(store), await _stamps(store), exact=True))

    async def relayed(self, name: str, store: Store, client: Client, stamps: Generations) -> Backend:
        """A DICOM store behind a relay; the caller calls `aclose`.

        :param client: of its DICOMweb root. :param stamps: of all stores of the relay.
        """
        await self._open_tiers()
        return self._pictured(name, store, await self._asked(name, store, client, stamps))

    async def aclose(self) -> None:
        """Closes what was opened."""
        await close_all(self._opened[::-1])

    async def _open(self, name: str, store: Store) -> Backend:
        if store.backend == "federation":
            return Federation({member: await self.store(member) for member in store.members}, name=name)
        await self._open_tiers()
        if store.backend == "memory":
            return self._pictured(name, store, _Inner(self._in_memory(store), Generations(None), outlives=False, exact=True))
        if store.backend == "local":
            stamps = await _stamps(store)
            return self._pictured(name, store, _Inner(await self._local(store), stamps, exact=True))
        return self._pictured(name, store, await self._upstream(name, store))

    def _in_memory(self, store: Store) -> MemoryBackend:
        return MemoryBackend(
            on_duplicate=OnDuplicate(store.on_duplicate),
            limits=self._limits,
            default_transfer_syntax=_SYNTAX[store.default_transfer_syntax],
        )

    async def _local(self, store: Store, below: str = "") -> LocalStore:
        opened = partial(
            LocalStore,
            store.root / below,
            on_duplicate=OnDuplicate(store.on_duplicate),
            durable=store.durability == "full",
            min_free=store.min_free_bytes,
            limits=self._limits,
            default_transfer_syntax=_SYNTAX[store.default_transfer_syntax],
        )
        return await asyncio.to_thread(opened)

    # -- origins

    async def _upstream(self, name: str, store: Store) -> _Inner:
        inner = await self._origin(name, store)
        if store.delivery == "direct":
            return inner
        origin = inner.backend
        self._opened.append(origin)
        routes = routes_of(name, store)
        others = {to: await self.store(to) for route in routes for to in route.to if to != name}
        local = await self._local(store, FOLDER)
        spooled = Spooled(local, {name: origin} | others, routes, name=name, attempts=store.spool.attempts, batch=store.spool.batch)
        return replace(inner, backend=spooled)

    async def _origin(self, name: str, store: Store) -> _Inner:
        return await self._asked(name, store, await asyncio.to_thread(client_of, name, store), await _stamps(store))

    async def _asked(self, name: str, store: Store, client: Client, stamps: Generations) -> _Inner:
        area = await asyncio.to_thread(Area, store.root / "area", store.origin.area_bytes // self._settings.workers)
        origin = Origin(
            client,
            profile_of(name, store),
            area=area,
            scan=store.origin.scan_results,
            limits=self._limits,
            default_transfer_syntax=_SYNTAX[store.default_transfer_syntax],
            decodes=False,  # that is done here
        )
        settings, asked = self._settings.cache, asked_how(store)
        inner = _Inner(
            origin,
            stamps,
            decides=False,
            scope=lambda: asked + client.credentials.scope,
            ttl=settings.content_ttl if client.credentials.own else settings.ttl,  # who may see it, only the origin knows
        )
        return replace(inner, backend=self._cached(name, inner)) if store.cache else inner

    # -- what is kept

    def _cached(self, name: str, inner: _Inner, **options: Any) -> Cached:
        settings = self._settings.cache
        given: dict[str, Any] = {
            "memory": self._memory,
            "disk": self._disk if inner.outlives else None,
            "ttl": settings.ttl,
            "content_ttl": settings.content_ttl if inner.ttl is None else inner.ttl,
            "stale_if_error": settings.stale_if_error,
            "entry_bytes": settings.entry_bytes,
            "scope": inner.scope,
        }
        return Cached(inner.backend, name=name, generations=inner.generations, **given | options)

    def _pictured(self, name: str, store: Store, inner: _Inner) -> Pictured:
        default = _SYNTAX[store.default_transfer_syntax]
        limits = self._pixel_limits
        sources = Sources(
            inner.backend, name=name, headers=self._headers, area=self._shelf, scope=inner.scope, frame_bytes=limits.frame_bytes
        )
        making = replace(inner, backend=Making(sources, self._pool, limits, default))
        nothing = {} if store.cache else {"memory": MemoryTier(0), "disk": None}  # equal questions wait for one answer all the same
        made = self._cached(name, making, kinds=MADE, scope=lambda: f"pixels {inner.scope()}", **nothing)
        return Pictured(inner.backend, made, sources, default=default, decides=inner.decides, exact=inner.exact)

    async def _open_tiers(self) -> None:
        if not self._tiers_open:
            self._tiers_open = True
            folder = self._settings.data / "cache"
            if any(store.root == folder for store in self._settings.stores.values()):
                folder = folder.with_name("_cache")  # which no store can be called
            if bound := self._settings.cache.disk_bytes:
                await self._open_disk(folder, bound)

    async def _open_disk(self, folder: Path, bound: int) -> None:
        """The tier on disk; without one where the disk refuses it, for a cache is nothing that a gateway must not start for."""
        try:
            self._disk = await asyncio.to_thread(DiskTier, folder, bound)
        except FileExistsError as error:
            raise StoreUnavailable(str(error)) from None
        except OSError as error:
            log.warning("nothing is kept on disk", error=str(error))
        else:
            self._opened.append(self._disk)


async def _stamps(store: Store) -> Generations:
    return await asyncio.to_thread(Generations, store.root / "generations")


def pool_of(settings: Settings) -> Pool:
    """What decodes and draws; it costs nothing before its first job."""
    pixels = settings.pixels
    return Pool(
        processes=settings.pixel_processes,
        queue=pixels.queue,
        seconds=pixels.job_seconds,
        memory=pixels.memory_bytes,
        result=2 * pixels.frame_bytes,  # a frame that is in a file with others, or grew by being encoded
    )


def pixel_limits(pixels: PixelSettings) -> PixelLimits:
    """The bounds of what is decoded and drawn."""
    return PixelLimits(pixels.frame_bytes, pixels.picture_pixels, pixels.cine_frames, pixels.area_bytes)


def structure_limits(limits: LimitSettings) -> Limits:
    """The bounds of one instance's structure."""
    return Limits(
        elements=limits.elements,
        items=limits.items,
        fragments=limits.fragments,
        depth=limits.depth,
        inflated=limits.inflated_bytes,
        value_kept=limits.value_bytes,
        header=limits.header_bytes,
    )
