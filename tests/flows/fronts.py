"""Gateways of their own process in front of origins that live in the test, and a client that asks them many things at once.

Nothing here waits on the loop: the origins that the gateway asks run on it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy

from tests.origins.endpoints import origin
from tests.origins.faults import Faults, faulty
from tests.origins.google import Google, google
from tests.running import Gateway
from tests.web.gate import MULTIPART, multipart

STORED = "application/dicom; transfer-syntax=*"
FRAME = "application/octet-stream; transfer-syntax=*"
JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
INSTANCE = "/studies/1.1/series/1.1.1/instances/1.1.1.1"

PATIENCE = 30.0
"""Seconds until a test is sure that something does not come."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else []

    def values(self, key: str) -> list[str]:
        """The first value of an attribute in each result."""
        return [result[key]["Value"][0] for result in self.json]


class Front:
    """A running gateway, and the connections of its clients."""

    def __init__(self, gateway: Gateway, sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession]) -> None:
        self.gateway = gateway
        self._kept, self._fresh = sessions

    async def ask(
        self,
        method: str,
        path: str,
        accept: str = "*/*",
        *,
        body: bytes | None = None,
        fresh: bool = False,
        root: bool = False,
        **headers: str,
    ) -> Answer:
        """One request; underscores in names of headers are hyphens.

        :param fresh: on a connection of its own, which any worker may get.
        :param root: the path is not below the default store.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()} | {"Accept": accept}
        url = (self.gateway.root if root else self.gateway.url) + path
        session = self._fresh if fresh else self._kept
        async with session.request(method, url, data=body, headers=named) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, accept: str = "*/*", **more: Any) -> Answer:
        return await self.ask("GET", path, accept, **more)

    async def store(self, *files: bytes, **more: Any) -> Answer:
        """A store request; whether each is stored is the caller's to see."""
        return await self.ask("POST", "/studies", JSON, body=multipart(*files), Content_Type=MULTIPART, **more)

    async def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        page = await self.get("/metrics", root=True)
        lines = [line for line in page.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    async def metric(self, name: str, *labels: str) -> float:
        """The sum of a series over all samples that have these labels (``kind="search"``)."""
        samples = await self.metrics()
        return sum(value for key, value in samples.items() if key.partition("{")[0] == name and all(label in key for label in labels))


@asynccontextmanager
async def fronted(folder: Path, settings: str, *, workers: int = 1, ready: str = "/readyz") -> AsyncIterator[Front]:
    """A gateway with these settings (TOML). :param ready: answers 200 when the test may begin."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "gateway.toml"
    config.write_text(settings)
    gateway = Gateway(folder, "--workers", str(workers), "--config", str(config))
    await asyncio.to_thread(gateway.start, ready)
    try:
        timeout = aiohttp.ClientTimeout(total=300)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as kept,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=timeout) as fresh,
        ):
            yield Front(gateway, (kept, fresh))
    finally:
        await asyncio.to_thread(gateway.stop)


@asynccontextmanager
async def before_google(
    folder: Path, *, workers: int = 1, sections: str = "", tokens: Mapping[str, Any] | None = None, **store: Any
) -> AsyncIterator[tuple[Front, Google]]:
    """A gateway in front of a fake Google."""
    async with google(tokens) as fake:
        settings = upstream(fake.url, profile="google", **store) + sections
        async with fronted(folder, settings, workers=workers) as front:
            yield front, fake


@asynccontextmanager
async def before_faults(folder: Path, *, workers: int = 1, sections: str = "", **store: Any) -> AsyncIterator[tuple[Front, Google, Faults]]:
    """The same, with a proxy between them that can misbehave."""
    async with google() as fake:
        root, path = fake.url.partition("/v1/")[::2]
        async with faulty(int(root.rpartition(":")[2]), f"/v1/{path}") as proxy:
            settings = upstream(proxy.base, profile="google", **store) + sections
            async with fronted(folder, settings, workers=workers) as front:
                yield front, fake, proxy.faults


@asynccontextmanager
async def before(
    folder: Path, handler: Callable[[web.Request], Any], *, workers: int = 1, sections: str = "", **store: Any
) -> AsyncIterator[Front]:
    """A gateway in front of an origin that a function plays."""
    async with origin(handler) as server:
        settings = upstream(str(server.make_url("/dicom-web")), **store) + sections
        async with fronted(folder, settings, workers=workers) as front:
            yield front


def upstream(url: str, name: str = "default", **more: Any) -> str:
    """The table of an upstream store."""
    return table(f"stores.{name}", backend="upstream", url=url, **more)


def table(name: str, **values: Any) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items()) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(str(value) if isinstance(value, Path) else value)


async def until(true: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Waits for something that happens elsewhere; `true` may be a coroutine function."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


def processes(gateway: Gateway) -> list[int]:
    """All of them: supervisor and workers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == gateway.pid:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def descriptors(gateway: Gateway) -> Counter[str]:
    """What all processes hold open, by kind; of files the folder."""
    held: Counter[str] = Counter()
    for pid in processes(gateway):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:
                continue
            held[target.partition(":")[0] if not target.startswith("/") else str(Path(target).parent)] += 1
    return held
