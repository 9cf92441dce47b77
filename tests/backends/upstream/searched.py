"""Searches at the two origins of the tests, with what is stored there put beside the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from gateway.backends.upstream.client import Client
from gateway.backends.upstream.credentials import Nobody
from gateway.backends.upstream.profiles import PROFILES, Profile
from gateway.backends.upstream.searching import SCAN, Searching
from tests.origins.google import Google, google
from tests.origins.orthanc import Orthanc, shared


@dataclass(frozen=True)
class Place:
    """An origin, and the gateway's searches in it."""

    origin: Google | Orthanc
    client: Client
    profile: Profile

    @property
    def searching(self) -> Searching:
        return Searching(self.client, self.profile)

    def but(self, *, scan: int = SCAN, **settings: Any) -> Searching:
        """Searches by another profile, or within other bounds."""
        return Searching(self.client, replace(self.profile, **settings), scan=scan)

    async def put(self, *files: bytes) -> None:
        """Stores instances without the gateway."""
        if isinstance(self.origin, Orthanc):
            await asyncio.to_thread(self.origin.upload, *files)
            return
        async with aiohttp.ClientSession() as session:
            for data in files:
                async with session.post(f"{self.origin.url}/studies", data=data, headers={"Content-Type": "application/dicom"}) as answer:
                    assert answer.status == 200, await answer.text()

    async def direct(self, path: str, **params: str) -> list[Mapping[str, Any]]:
        """What the origin itself finds."""
        async with aiohttp.ClientSession() as session, session.get(self.origin.url + path, params=params) as answer:
            assert answer.status in (200, 204), await answer.text()
            found: list[Mapping[str, Any]] = json.loads(await answer.read() or b"[]")
            return found


def client_of(url: str, **options: Any) -> Client:
    return Client(url, Nobody(), name="archive", **options)


@asynccontextmanager
async def at_google(*, counted: bool = True) -> AsyncIterator[Place]:
    async with google(counted=counted) as origin:
        client = client_of(origin.url)
        yield Place(origin, client, PROFILES["google"])
        await client.aclose()


@asynccontextmanager
async def at_orthanc() -> AsyncIterator[Place]:
    origin = await asyncio.to_thread(shared)
    await asyncio.to_thread(origin.empty)
    client = client_of(origin.url)
    yield Place(origin, client, PROFILES["orthanc"])
    await client.aclose()
