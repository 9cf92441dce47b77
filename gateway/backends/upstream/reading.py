"""What an origin answers, as it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from types import TracebackType

import aiohttp
from multidict import CIMultiDictProxy

from gateway.backends.upstream.failures import broken
from gateway.errors import GatewayError, OriginFailed

Ended = Callable[[int, GatewayError | None], None]
"""Told once how many bytes of a body were read, and what broke it off."""


class Answer:
    """An answer whose headers are there; its body is read once, in order. Use it in ``async with``, or close it.

    Until then it holds a connection and one of the places at the origin.

    :param name: of the store, for messages.
    :param ended: called once, when the answer is closed.
    :param scope: of the credentials with which it was asked for (`Credentials.scope`).
    """

    __slots__ = ("_ended", "_failure", "_loop", "_name", "_read", "_response", "headers", "length", "media", "scope", "status")

    def __init__(self, response: aiohttp.ClientResponse, name: str, ended: Ended, scope: str = "") -> None:
        self.status: int = response.status
        self.headers: CIMultiDictProxy[str] = response.headers
        self.media: str = response.headers.get("Content-Type", "")
        """The Content-Type as it came, empty without one."""
        self.length: int | None = response.content_length
        """Bytes of the body where the origin says so."""
        self.scope = scope
        self._loop = asyncio.get_running_loop()
        self._response = response
        self._name = name
        self._ended: Ended | None = ended
        self._read = 0
        self._failure: GatewayError | None = None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces of any size; never ends quietly before its length.

        :raises OriginFailed: the connection broke, or the body is shorter than announced. :raises OriginTimeout: nothing came.
        """
        content = self._response.content
        try:
            while piece := await content.readany():
                self._read += len(piece)
                yield piece
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            self._failure = broken(self._name, error, body=True).error
        finally:
            await self.aclose()
        if self._failure is not None:
            raise self._failure

    async def read(self, limit: int) -> bytes:
        """The whole body.

        :raises OriginFailed: it is longer than `limit` bytes, or what `chunks` raises.
        """
        if self.length is not None and self.length > limit:
            await self.aclose()
            raise self._too_long(limit)
        pieces: list[bytes] = []
        body = self.chunks()
        try:
            async for piece in body:
                pieces.append(piece)
                if self._read > limit:
                    raise self._too_long(limit)
        finally:
            await body.aclose()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def beginning(self, most: int) -> bytes:
        """The first `most` bytes; a longer body, or one that breaks, is given up there."""
        found = b""
        body = self.chunks()
        try:
            async for piece in body:
                found += piece
                if len(found) >= most:
                    break
        except GatewayError:
            return found
        finally:
            await body.aclose()
        return found[:most]

    def _too_long(self, limit: int) -> OriginFailed:
        return OriginFailed(f"The origin of store {self._name!r} answers with more than the {limit} bytes that are read here.")

    async def aclose(self) -> None:
        """Frees the connection; in the middle of a body it is closed. Safe to call twice."""
        if self._ended is None:
            return
        ended, self._ended = self._ended, None
        if not self._response.closed:  # it is when the body was read to its end, and the connection is back in the pool
            self._response.close()
        ended(self._read, self._failure)

    def __del__(self) -> None:
        """An answer that was forgotten must not hold its place for ever; the collector may run in any thread."""
        if self._ended is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended, self._read, None)

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()
