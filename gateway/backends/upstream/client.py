"""Calls to one origin: one pool of connections for an origin and worker, and what surrounds each call.

    ask      credentials -> one try (`calling`: breaker, place, connection) -> an answer, or a setback
             after a setback: `retrying` and the budget, a pause, and again
    Answer   (`reading`) holds its place until its body is read or closed

1. Nothing here follows redirects, keeps cookies, reads proxies from the environment, or decodes bodies.
2. A caller that is cancelled closes its connection: the origin sees that nobody waits.
3. A place is held while a call is at the origin, not while the caller waits for another try.
4. Errors never carry what aiohttp says: its messages hold addresses, its exceptions the headers of the request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from copy import copy
from functools import lru_cache
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from gateway.backends.upstream import refusals
from gateway.backends.upstream.breaker import TRIPPING, Breaker, Tripping
from gateway.backends.upstream.calling import PATIENT, Call, Calling, Timeouts
from gateway.backends.upstream.credentials import Credentials
from gateway.backends.upstream.failures import Setback
from gateway.backends.upstream.reading import Answer
from gateway.backends.upstream.retrying import Budget, pause, repeatable
from gateway.backends.upstream.sending import Outgoing
from gateway.metrics import Transaction

__all__ = ["Answer", "Client", "Timeouts"]

_NEVER_SENT = frozenset(
    """
    connection host keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade cookie
    """.split()
)
"""Headers that belong to one connection (RFC 9110 7.6.1), or to nobody's business."""


class Client:
    """One origin as one worker sees it.

    :param base: URL of the origin's DICOMweb root, as configured.
    :param name: of the store; in messages and metrics.
    :param timeouts: for all transactions that `by_transaction` does not name.
    :param tries: how often a call is made at most.
    :param retry_budget: retries as a share of calls.
    :param in_flight: calls at the origin at once; as many more wait in a short line.
    :param tls: trust and client certificate (`tls.context`); None for the system's.
    """

    def __init__(
        self,
        base: str,
        credentials: Credentials,
        *,
        name: str,
        timeouts: Timeouts = PATIENT,
        by_transaction: Mapping[Transaction, Timeouts] | None = None,
        tries: int = 3,
        retry_budget: float = 0.1,
        in_flight: int = 64,
        breaker: Tripping = TRIPPING,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.base = base.rstrip("/")
        self.name = name
        self.credentials = credentials
        parts = urlsplit(self.base)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError(f"The url of store {name!r} is http:// or https:// with a host; credentials have settings of their own.")
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._timeouts = (timeouts, timeouts.of_aiohttp())
        self._by_transaction = {key: (value, value.of_aiohttp()) for key, value in (by_transaction or {}).items()}
        self._tries = tries
        self._budget = Budget(retry_budget)
        self._calling = Calling(name, breaker, in_flight, own=credentials.own, tls=tls)
        self._borrowed = False

    @property
    def breaker(self) -> Breaker:
        """Whether the origin is being left alone."""
        return self._calling.breaker

    def below(self, path: str) -> Client:
        """Another root at the same origin: with the same connections, credentials, breaker and bound, which stay this one's to close.

        :param path: encoded.
        """
        other = copy(self)
        other.base = self.base + path.rstrip("/")
        other._borrowed = True
        return other

    async def ask(
        self,
        method: str,
        path: str,
        *,
        transaction: Transaction,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] | Outgoing | None = None,
        ok: Collection[int] = (200, 204, 206),
        root: bool = False,
    ) -> Answer:
        """Makes a call; returns when the headers of its answer are there.

        :param path: below the base, percent-encoded where needed (``/studies``).
        :param params: names and values as they are; encoded here.
        :param headers: Accept and the like. With an Accept-Encoding the body comes as the origin coded it, without one uncoded.
        :param body: with an iterator, a Content-Length among the headers keeps it from being sent chunked. An `Outgoing` is for who wants
            to stop it.
        :param ok: statuses that are answers; others raise (`refusals.translate`).
        :param root: the path is below scheme and host instead (Orthanc's REST API, Google's operations).
        """
        outgoing = body if body is None or isinstance(body, Outgoing) else Outgoing(body, self._timing(transaction)[0].idle)
        url = URL((self._root if root else self.base) + path + _query(params), encoded=True)
        call = Call(method, url, transaction, headers, outgoing, ok, self._timing(transaction))
        self._budget.called()
        refused = False
        tried = 0
        while True:
            tried += 1
            got = await self._calling.once(call, _headers(headers, await self.credentials.headers()))
            if isinstance(got, Answer):
                return got
            if _unauthorized(got) and not refused:
                refused = True  # told once, also for the calls to come
                if await self.credentials.refused() and call.whole:
                    continue
            if not await self._again(call, got, tried):
                raise got.error

    async def _again(self, call: Call, setback: Setback, tried: int) -> bool:
        """Waits for the moment of the next try; False when there should be none."""
        if tried >= self._tries or not repeatable(setback, call.method, whole=call.whole):
            return False
        wait = pause(setback, tried)
        if wait is None or not self._budget.take():
            return False
        self._calling.meter.retries.inc()
        await asyncio.sleep(wait)
        return True

    def _timing(self, transaction: Transaction) -> tuple[Timeouts, aiohttp.ClientTimeout]:
        return self._by_transaction.get(transaction, self._timeouts)

    async def aclose(self) -> None:
        """Closes all connections, unless they are another one's."""
        if self._borrowed:
            return
        await self.credentials.aclose()
        await self._calling.aclose()


def _query(params: Sequence[tuple[str, str]]) -> str:
    """The query with its question mark. Commas, asterisks and colons stay as they are: every server reads them, logs do too."""
    if not params:
        return ""
    return "?" + "&".join(f"{_name(name)}={quote(value, safe=',*:')}" for name, value in params)


@lru_cache(maxsize=512)
def _name(name: str) -> str:
    """Names come again and again; values may be a patient's, and are kept nowhere."""
    return quote(name, safe="")


def _headers(asked: Mapping[str, str] | None, credentials: Mapping[str, str]) -> dict[str, str]:
    headers = {} if asked is None else {name: value for name, value in asked.items() if name.lower() not in _NEVER_SENT}
    headers.update(credentials)
    return headers


def _unauthorized(setback: Setback) -> bool:
    answer = refusals.answer_of(setback.error)
    return answer is not None and answer.status == 401
