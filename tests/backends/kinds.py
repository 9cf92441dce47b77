"""How a backend of each kind is made for the contract suite; those behind which an origin stands, with what they need.

    memory  local                              what rests here
    spool  federation                          a spool in front of one in memory, delivering all the time; two in memory as one
    orthanc  google                            Origin over Debian's Orthanc, over the fake of `tests.origins.google`
    cached-memory  cached-local  cached-orthanc  a cache around each; that around `local` is asked everything twice
    pictured-memory  pictured-local  pictured-orthanc  what makes pictures around each; around the cache of the last

One Orthanc serves all tests of a process, and one that overwrites those of what is replaced: each finds it empty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.backends.base import Backend
from gateway.backends.cached.disk import DiskTier
from gateway.backends.federation import Federation
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured.pictured import Pictured
from gateway.backends.policy import OnDuplicate
from gateway.backends.spool.spooled import Spooled
from gateway.backends.upstream.area import Area
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.credentials import Nobody
from gateway.backends.upstream.origin import Origin
from gateway.backends.upstream.profiles import PROFILES
from tests.backends.pictured.picturing import pictured
from tests.backends.spool.spools import Settled
from tests.backends.twice import ROOM, Twice, cached
from tests.origins.google import google
from tests.origins.orthanc import Orthanc, shared

LOOKS = 50
"""How often a spool looks again while things move: a test moves few, and then every count has to be right."""

SCAN = 10_000
"""Results that a search at an origin looks through."""

AREA = 256 << 20
"""Bytes of instances out of which frames are cut."""

Make = Callable[..., Backend]
Maker = Callable[[Path, OnDuplicate], Backend]


def memory(_: Path, on_duplicate: OnDuplicate) -> Backend:
    return MemoryBackend(on_duplicate=on_duplicate)


def local(folder: Path, on_duplicate: OnDuplicate) -> Backend:
    return LocalStore(folder, on_duplicate=on_duplicate, durable=False)


def cached_memory(folder: Path, on_duplicate: OnDuplicate) -> Backend:
    return cached(memory(folder, on_duplicate), folder)


def cached_local(folder: Path, on_duplicate: OnDuplicate) -> Backend:
    inner = local(folder, on_duplicate)
    disk = DiskTier(folder / "cache", ROOM)
    return Twice(cached(inner, folder, disk=disk), disk)


def in_front_of(url: str, profile: str, folder: Path) -> Origin:
    """An origin as a backend; what is cut out of its instances rests below `folder`."""
    area = Area(folder / "area", AREA)
    return Origin(Client(url, Nobody(), name="default"), PROFILES[profile], area=area, scan=SCAN)


def an_orthanc(*, overwrites: bool = False) -> Orthanc:
    """Debian's Orthanc, emptied.

    :param overwrites: whether it takes other bytes under the same UIDs instead of those that it has.
    """
    orthanc = shared(OverwriteInstances=True) if overwrites else shared()
    orthanc.empty()
    return orthanc


def orthanc(folder: Path, on_duplicate: OnDuplicate) -> Backend:
    return in_front_of(an_orthanc(overwrites=on_duplicate is OnDuplicate.REPLACE).url, "orthanc", folder)


def cached_orthanc(folder: Path, on_duplicate: OnDuplicate) -> Backend:
    return cached(orthanc(folder, on_duplicate), folder)


def pictured_memory(folder: Path, on_duplicate: OnDuplicate) -> Pictured:
    return pictured(memory(folder, on_duplicate), folder)


def pictured_local(folder: Path, on_duplicate: OnDuplicate) -> Pictured:
    return pictured(local(folder, on_duplicate), folder)


def pictured_orthanc(folder: Path, on_duplicate: OnDuplicate) -> Pictured:
    return pictured(cached_orthanc(folder, on_duplicate), folder, decides=False)


def spool(folder: Path, on_duplicate: OnDuplicate) -> Spooled:
    origin = MemoryBackend(on_duplicate=on_duplicate)
    return Spooled(LocalStore(folder, on_duplicate=on_duplicate, durable=False), {"default": origin}, name="default", looks=LOOKS)


def settled_spool(folder: Path, on_duplicate: OnDuplicate) -> Backend:
    return Settled(spool(folder, on_duplicate))


def federation(_: Path, on_duplicate: OnDuplicate) -> Backend:
    return Federation({name: MemoryBackend(on_duplicate=on_duplicate) for name in ("first", "second")}, name="default")


MAKERS: Mapping[str, Maker] = {
    "memory": memory,
    "local": local,
    "spool": spool,
    "federation": federation,
    "cached-memory": cached_memory,
    "cached-local": cached_local,
    "orthanc": orthanc,
    "cached-orthanc": cached_orthanc,
    "pictured-memory": pictured_memory,
    "pictured-local": pictured_local,
    "pictured-orthanc": pictured_orthanc,
}
KINDS = (*MAKERS, "google")

MOVES = {
    "test_validators_stay",
    "test_every_body_has_validators",
    "test_validators_change_with_the_instance",
    "test_a_study_changes_with_each_of_its_instances",
}
"""Tests that take a store for one place. When an instance moves from a spool to its origin its validators change, once; here
everything has moved before it is looked at. `tests.backends.spool.test_spooled` shows the moment itself."""


@asynccontextmanager
async def making(kind: str, folder: Path) -> AsyncIterator[Make]:
    """Makes backends of one kind; they are closed at the end, before what they stand in front of."""
    if kind != "google":
        async with _closing(MAKERS[kind] if kind != "settled" else settled_spool, folder) as make:
            yield make
        return
    async with google() as origin, _closing(lambda own, _: in_front_of(origin.url, "google", own), folder) as make:
        yield make


@asynccontextmanager
async def _closing(maker: Maker, folder: Path) -> AsyncIterator[Make]:
    made: list[Backend] = []

    def make(on_duplicate: OnDuplicate = OnDuplicate.REJECT) -> Backend:
        made.append(maker(folder / f"store{len(made)}", on_duplicate))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            await one.aclose()
