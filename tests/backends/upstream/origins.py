"""Stores in front of origins: our own gateway, Orthanc, a fake Google, or a handler that plays one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.backends.base import Backend
from gateway.backends.upstream.area import Area
from gateway.backends.upstream.client import Client, Timeouts
from gateway.backends.upstream.credentials import Credentials, Nobody
from gateway.backends.upstream.origin import Origin
from gateway.backends.upstream.profiles import GENERIC, GOOGLE, ORTHANC, Profile, with_overrides
from gateway.dicom.elements import Limits
from tests.origins import google, orthanc
from tests.origins.endpoints import Handler
from tests.origins.endpoints import origin as played
from tests.web import gate

QUICK = Timeouts(connect=5, first_byte=20, idle=20)
AREA = 64 << 20

OURS = with_overrides(GENERIC, {"retrieves_single": True, "frames": "cut"})
"""What our own gateway can do, as far as these tests need it; frames are cut, for an origin that has them is the simpler case."""


@asynccontextmanager
async def store_at(
    url: str,
    folder: Path,
    profile: Profile = OURS,
    *,
    credentials: Credentials | None = None,
    area: int = AREA,
    decodes: bool = True,
    **settings: Any,
) -> AsyncIterator[Origin]:
    """A store whose origin is at `url`."""
    client = Client(url, credentials or Nobody(), name="pacs", timeouts=QUICK, **settings)
    origin = Origin(client, profile, area=Area(folder / "area", area), scan=1000, limits=Limits(), decodes=decodes)
    try:
        yield origin
    finally:
        await origin.aclose()


@asynccontextmanager
async def gateway(folder: Path, profile: Profile = OURS, **settings: Any) -> AsyncIterator[tuple[Origin, gate.Gate]]:
    """A store in front of a gateway that keeps instances in memory."""
    async with (
        gate.opened(gate.settings(folder, "memory")) as there,
        store_at(f"http://{there.host}{gate.BASE}", folder, profile, **settings) as store,
    ):
        yield store, there


@asynccontextmanager
async def playing(handler: Handler, folder: Path, profile: Profile = OURS, **settings: Any) -> AsyncIterator[Origin]:
    """A store whose origin is a function."""
    async with played(handler) as server, store_at(str(server.make_url("/dicom-web")), folder, profile, **settings) as store:
        yield store


@asynccontextmanager
async def each(kind: str, folder: Path) -> AsyncIterator[Backend]:
    """A store in front of an empty origin of that kind."""
    if kind == "gateway":
        async with gateway(folder) as (store, _):
            yield store
    elif kind == "orthanc":
        there = orthanc.shared()
        there.empty()
        async with store_at(there.url, folder, ORTHANC) as store:
            yield store
    else:
        async with google.google() as fake, store_at(fake.url, folder, GOOGLE) as store:
            yield store
