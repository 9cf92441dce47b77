"""From an upload to a whole, synced file in incoming/: written, walked and hashed in the same worker-thread hop.

One instance of half a megabyte costs one hop: its pieces are gathered on the loop until a unit is full or the instance
ends. While a thread writes, walks and syncs one instance, the loop reads the next one from the socket. Small instances
share a hop (`finishing`).

Held in memory a request: a unit being gathered, a unit being written, and what is being synced: `PIPELINE` instances of
which each holds a unit at most, or `finishing.TOGETHER` of them that hold a unit together. What the index will say of
instances waits until the request has ended, for nothing is stored of one that is refused; `waiting` bounds that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.backends.base import Failed, Upload
from gateway.backends.local.files import Files, discard
from gateway.backends.local.finishing import TOGETHER, Finisher
from gateway.backends.local.incoming import Incoming, Rules
from gateway.backends.local.prepared import Prepared
from gateway.backends.local.waiting import Waiting
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError, OutOfStorage

T = TypeVar("T")

UNIT = 640 << 10
"""Bytes gathered before a thread is woken. A CT slice of half a megabyte fits, and goes to disk in a single hop."""

PIECES = 256
"""Pieces gathered at most: a client that sends single bytes must not turn a unit into a million objects."""

PIPELINE = 2
"""Instances of one request that are being synced while the next one is received, unless they are small."""


def _discard_all(paths: list[str]) -> None:
    for path in paths:
        discard(path)


class Receiver:
    """Receives the uploads of one request. Who made it calls `release` in the end.

    :param failed: grows by what is refused on the way.
    """

    def __init__(self, files: Files, pool: ThreadPoolExecutor, finisher: Finisher, rules: Rules, waiting: Waiting) -> None:
        self._files = files
        self._pool = pool
        self._finisher = finisher
        self._rules = rules
        self._index = waiting.request()
        self._syncing: deque[tuple[Upload, int, asyncio.Future[Prepared]]] = deque()
        self._held = 0
        self.prepared: list[Prepared] = []
        self.failed: list[Failed] = []

    async def receive(self, uploads: AsyncIterator[Upload]) -> None:
        """Reads all uploads; afterwards `prepared` and `failed` tell what became of them.

        When it raises, for example because the client left, nothing of the request is left behind.
        """
        try:
            async for upload in uploads:
                try:
                    await self._one(upload)
                except (InstanceError, OutOfStorage) as error:
                    self._fail(upload, error)
                while len(self._syncing) > (PIPELINE if self._held > UNIT else TOGETHER):
                    await self._settle()
            while self._syncing:
                await self._settle()
        except BaseException:
            await self.abandon()
            raise

    async def _one(self, upload: Upload) -> None:
        """Reads one upload to its end, and lets it be finished."""
        file = Incoming(self._files, upload, self._rules, self._index.take)
        writing: asyncio.Future[None] | None = None
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in upload.body:
                pieces.append(piece)
                size += len(piece)
                if size >= UNIT or len(pieces) >= PIECES:
                    if writing is not None:
                        await asyncio.shield(writing)
                    writing = self._hop(file.write, pieces)
                    pieces, size = [], 0
            if writing is not None:
                await asyncio.shield(writing)  # a thread that writes goes on, so what is below waits for it
        except BaseException:
            if writing is not None:
                await _quiet(writing)
            await _quiet(self._hop(file.discard))
            raise
        self._syncing.append((upload, size, self._finisher.finish(file, pieces, size)))
        self._held += size

    async def _settle(self) -> None:
        upload, size, future = self._syncing[0]
        try:
            self.prepared.append(future.result() if future.done() else await asyncio.shield(future))
        except (InstanceError, OutOfStorage) as error:
            self._fail(upload, error)
        self._syncing.popleft()
        self._held -= size

    def _fail(self, upload: Upload, error: InstanceError | OutOfStorage) -> None:
        reason = error.reason if isinstance(error, InstanceError) else Reason.OUT_OF_RESOURCES
        self.failed.append(Failed(upload.part, reason, error.message, upload.instance.sop_class, upload.instance.sop))

    def release(self) -> None:
        """Lets others have the room of what was received."""
        self._index.release()

    async def abandon(self) -> None:
        """Removes every file that was received."""
        for _, _, future in self._syncing:
            done = await _quiet(future)
            if done is not None:
                self.prepared.append(done)
        self._syncing.clear()
        await _quiet(self._hop(_discard_all, [one.path for one in self.prepared]))

    def _hop(self, work: Callable[..., T], *arguments: list[bytes] | list[str]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


async def _quiet(future: asyncio.Future[T]) -> T | None:
    """Waits for a worker thread even when the request is being cancelled: its file must not outlive it."""
    await asyncio.wait([future])
    return None if future.cancelled() or future.exception() is not None else future.result()
