"""Access tokens that expire: fetched once for all callers, and again before they end.

1. While one fetch is under way nobody starts another.
2. From `AHEAD` of its life on a token is renewed in the background, and goes on being used meanwhile.
3. A renewal that fails is tried again after `PAUSE` seconds, and the old token is used as long as it lasts. Without one, calls
   fail at once until then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway import logs
from gateway.errors import GatewayError, OriginFailed

log = logs.get_logger()

AHEAD = 0.8
"""Share of a token's life after which it is renewed: twelve minutes of an hour are left for the token endpoint to be down."""

MARGIN = 10.0
"""Seconds before its end from which on a token is not used: it has to arrive, and clocks differ."""

PAUSE = 5.0
"""Seconds between two failed renewals, and between two tokens that an origin refuses: an endpoint that is down, or an origin that
refuses every token, must not be asked once a call."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    :param seconds: how long it lasts from now on.
    """

    value: str = field(repr=False)
    seconds: float


class Tokens:
    """Keeps one token fresh.

    :param fetch: gets a new one. :raises OriginFailed: from it, when none can be had.
    :param store: its name, for the log.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Token]], store: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._store = store
        self._clock = clock
        self._token: Token | None = None
        self._ends = self._renew = self._refused = -PAUSE
        self._fetching: asyncio.Task[None] | None = None
        self._failed = ""

    async def get(self) -> str:
        """The token.

        :raises OriginFailed: there is none, and none can be had.
        """
        now = self._clock()
        if self._token is None or now >= self._ends:
            if self._failed and now < self._renew:
                raise OriginFailed(self._failed)
            await asyncio.shield(self._begin())  # a caller that leaves takes nobody's token away
        elif now >= self._renew:
            self._begin()
        return self._token.value if self._token is not None else ""

    async def refused(self) -> bool:
        """Told that the origin does not accept the token; True when there is a new one, which is fetched at most every `PAUSE`."""
        now, old = self._clock(), self._token
        if now < self._refused + PAUSE and self._fetching is None:
            return False
        self._refused = now
        await asyncio.shield(self._begin())
        return self._token is not old

    def _begin(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._renewal())
            self._fetching.add_done_callback(self._done)
        return self._fetching

    async def _renewal(self) -> None:
        token = await self._fetch()
        now = self._clock()
        self._token, self._failed = token, ""
        self._ends = now + token.seconds - min(MARGIN, token.seconds / 10)
        self._renew = now + token.seconds * AHEAD

    def _done(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._renew = self._clock() + PAUSE
            self._failed = error.message if isinstance(error, GatewayError) else f"No access token for the origin: {type(error).__name__}."
            log.warning("no access token for the origin", store=self._store, because=self._failed)

    async def aclose(self) -> None:
        """Ends a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
