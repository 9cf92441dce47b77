"""The page for people at /: what this gateway is, how its stores are, and what they have been asked for lately.

Rules:
1. No patient: numbers, names of stores of the settings, and what a store says of its health.
2. Where callers are asked for tokens, one without gets the generic facts alone: that it is here, and whether it is ready.
3. It never keeps anybody waiting. What it shows is gathered once for all who look, and again after some seconds; what takes
   long is left out, and no origin is asked for it but whether it is there.
4. One document without scripts, which loads nothing and comes again by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from gateway.backends.base import Backend, Countable, Health, Tally
from gateway.errors import GatewayError
from gateway.web import documents, statuspage
from gateway.web.conditional import Validators, tag
from gateway.web.figures import Lately, Sample, Samples, sampled
from gateway.web.health import registry
from gateway.web.middleware import IN_FLIGHT, is_known
from gateway.web.service import Service

EVERY = 5.0
"""Seconds between two looks at stores and metrics, however many people watch."""

PATIENCE = 1.0
"""Seconds that a store may take to say how it is, or what it holds."""

RESTED = 50
"""A count that took a second is made again after so many: counting may cost a store 2 % of its time."""

HTML, SVG = "text/html; charset=utf-8", "image/svg+xml"

now = time.monotonic

Tokens = Callable[[], Awaitable[Sequence[bytes]]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A store as the settings describe it.

    :param kind: in a few words. :param path: of its DICOMweb services, below the gateway's public URL, without a slash in front.
    """

    name: str
    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """How a store is. :param tally: None where it cannot be told."""

    shown: Shown
    health: Health
    tally: Tally | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to show. :param lately: None as long as nobody looked before."""

    stores: tuple[StoreFacts, ...] = ()
    sample: Sample = field(default_factory=Sample)
    lately: Lately | None = None

    @property
    def ready(self) -> bool:
        """Whether every store can be used."""
        return all(one.health.ready for one in self.stores)


class Status:
    """Gathers what the page shows; one a process.

    :param shown: the stores in the order of the page.
    :param tokens: asked for the tokens that are let in; None where nobody is asked.
    :param viewer: whether there is one at /viewer/.
    """

    def __init__(self, shown: Sequence[Shown], *, tokens: Tokens | None = None, viewer: bool = False) -> None:
        self.viewer = viewer
        self._shown = tuple(shown)
        self._tokens = tokens
        self._samples = Samples()
        self._tallies: dict[str, tuple[float, Tally | None]] = {}
        self._gathering: asyncio.Task[Facts] | None = None
        self._until = 0.0

    async def knows(self, request: web.Request) -> bool:
        """Whether the caller may see more than the generic facts."""
        return self._tokens is None or is_known(request, await self._tokens())

    async def facts(self, stores: Mapping[str, Backend]) -> Facts:
        """What was found at most `EVERY` seconds ago."""
        if self._gathering is None or (self._gathering.done() and now() >= self._until):
            self._gathering = asyncio.create_task(self._gather(stores))
        return await asyncio.shield(self._gathering)

    async def _gather(self, stores: Mapping[str, Backend]) -> Facts:
        found = await asyncio.gather(*(self._store(shown, stores[shown.name]) for shown in self._shown if shown.name in stores))
        sample = await asyncio.to_thread(lambda: sampled(registry()))
        self._until = now() + EVERY
        return Facts(tuple(found), sample, self._samples.lately(sample))

    async def _store(self, shown: Shown, backend: Backend) -> StoreFacts:
        try:
            async with asyncio.timeout(PATIENCE):
                health = await backend.check()
        except TimeoutError:
            health = Health(ready=False, writable=False, detail="it does not say how it is")
        return StoreFacts(shown, health, await self._tally(shown.name, backend))

    async def _tally(self, name: str, backend: Backend) -> Tally | None:
        due, known = self._tallies.get(name, (0.0, None))
        started = now()
        if started < due or not isinstance(backend, Countable):
            return known
        try:
            async with asyncio.timeout(PATIENCE):
                known = await backend.tally()
        except (TimeoutError, GatewayError):
            known = None  # it is told as soon as it can be
        ended = now()
        self._tallies[name] = ended + RESTED * (ended - started), known
        return known


STATUS: web.AppKey[Status] = web.AppKey("status", Status)


async def icon(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET /favicon.ico``, which browsers ask for whatever they show."""
    response = await documents.found(request, service, statuspage.ICON, SVG, Validators(tag(statuspage.ICON)))
    response.headers.update({"Cache-Control": "public, max-age=86400", "Content-Security-Policy": "default-src 'none'"})
    return response


async def page(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET /``."""
    status, draining = request.app[STATUS], request.app[IN_FLIGHT].draining
    facts = await status.facts(dict(service.catalog))
    known = await status.knows(request)
    html = statuspage.of(facts, draining=draining, viewer=status.viewer) if known else statuspage.outside(facts, draining, status.viewer)
    response = await documents.told(request, service, html.encode(), HTML)
    response.headers.update(
        {
            "Content-Security-Policy": statuspage.POLICY,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept-Encoding, Authorization",
        }
    )
    return response
