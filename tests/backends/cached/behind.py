"""A store behind a cache that does what a test wants: waits, fails, breaks off, and counts what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from gateway.backends.base import Body, Health, Matches, Piece, Retrieve, Served, Stored, StoreResult, Upload
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, OriginFailed


class Behind:
    """:ivar answer: the bytes of reads, and the only result of searches; asked each time.
    :ivar gate: calls wait for it. :ivar between: likewise each piece of a body beyond the first `free`.
    :ivar error: raised by every call. :ivar breaks: a body raises it after this many pieces.
    """

    def __init__(self, answer: Callable[[], bytes] = lambda: b"answer") -> None:
        self.answer = answer
        self.calls = self.closed = self.open = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.between = asyncio.Event()
        self.between.set()
        self.error: GatewayError | None = None
        self.breaks: int | None = None
        self.free = 0
        self.pieces = 1
        self.length = True
        self.media = "image/jpeg"
        self.weak = False
        self.etag: str | None = None
        self.served = Served()
        self.health = Health(ready=True)
        self.stored: list[str] = []

    async def _called(self) -> bytes:
        self.calls += 1
        data = self.answer()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return data

    async def search(self, query: Query) -> Matches:
        return Matches((await self._called(),), served=self.served)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        data = await self._called()
        self.open += 1
        length = len(data) if self.length else None
        return Body(self.media, self._pieces(data), length, self.etag, self.weak, served=self.served, close=self._close)

    def _close(self) -> None:
        self.open -= 1

    async def _pieces(self, data: bytes) -> AsyncGenerator[Piece, None]:
        size = -(-len(data) // self.pieces)
        for number in range(self.pieces):
            if number == self.breaks:
                raise OriginFailed("it broke off")
            if number >= self.free:
                await self.between.wait()
            yield data[number * size : (number + 1) * size]

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        stored: list[Stored] = []
        async for upload in uploads:
            async for _ in upload.body:
                pass
            stored.append(Stored(upload.instance))
        if self.error is not None:
            raise self.error
        self.stored += [one.instance.sop for one in stored]
        return StoreResult(tuple(stored))

    async def delete(self, resource: Resource) -> int:
        await self._called()
        return 1

    async def check(self) -> Health:
        return self.health

    async def aclose(self) -> None:
        self.closed += 1


async def settle(turns: int = 20) -> None:
    """Lets all tasks go on."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Waits for something that happens in a thread."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def joined(pieces: Sequence[Piece]) -> bytes:
    """The bytes of pieces that are bytes."""
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))
