"""What webhooks and topics have in common: how they are called, and what became of a batch.

Nothing here follows redirects, keeps cookies, reads proxies from the environment or decodes bodies. Whom to call stands in the
settings, or is a name below one host; and what they answer is in no log.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

import aiohttp
from yarl import URL

from gateway.backends.notifying.events import Kind, Message

ANSWER = 1 << 20
"""Bytes of an answer that are read: a thousand numbers of messages have a tenth of it."""

LONGEST_ASKED = 3600.0
"""Seconds that a receiver may ask for (Retry-After): one that wants more is asked again in between."""

CONNECT_SECONDS = 10.0
"""Seconds until a connection stands, TLS included."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch; what is named nowhere was not tried.

    :param refused: why, by number. :param away: why the receiver wants nothing now. :param after: seconds that it asked for.
    """

    sent: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    away: str | None = None
    after: float | None = None


class Receiver(Protocol):
    """Somebody who is told."""

    kind: Kind
    limit: int
    """Messages that `send` takes at once."""

    async def send(self, batch: Sequence[Message]) -> Outcome:
        """Tells them, in this order."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...


class Answer(NamedTuple):
    """:param status: 0 when none came; then `why` says so."""

    status: int
    body: bytes
    after: float | None = None
    why: str = ""

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return 200 <= self.status < 300

    @property
    def away(self) -> bool:
        """Whether it is the receiver's fault, or the network's, and passes."""
        return self.status in (0, 408, 425, 429) or self.status >= 500

    @property
    def reason(self) -> str:
        """For people."""
        if self.status == 0:
            return self.why
        return f"it answered {self.status}" + (", and redirects are not followed" if 300 <= self.status < 400 else "")


class Caller:
    """Connections to one receiver, opened when they are first needed.

    :param seconds: for a whole call. :param tls: whom to trust; None for the system's.
    """

    def __init__(self, seconds: float, tls: ssl.SSLContext | None = None) -> None:
        self._timeout = aiohttp.ClientTimeout(total=seconds, connect=CONNECT_SECONDS)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One call."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=self._timeout, auto_decompress=False
            )
        given = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            async with self._session.post(url, data=body, headers=given, allow_redirects=False) as answer:
                read = await _some(answer)
                return Answer(answer.status, read, retry_after(answer.headers.get("Retry-After")))
        except TimeoutError:
            return Answer(0, b"", why="it did not answer in time")
        except aiohttp.ClientConnectorCertificateError:
            return Answer(0, b"", why="its certificate is signed by nobody who is trusted here, or is for another host")
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            return Answer(0, b"", why=f"it cannot be reached, or the connection broke ({type(error).__name__})")

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()


async def _some(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < ANSWER and (piece := await answer.content.readany()):
        body += piece
    return body[:ANSWER]


def retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3); None for none, and for what is none."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdecimal():
        return min(float(text), LONGEST_ASKED)
    try:
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - time.time()), LONGEST_ASKED)
    except (ValueError, OverflowError):
        return None
