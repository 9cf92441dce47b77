"""From an upload to a whole, synced file in incoming/: written, walked and hashed in the same worker-thread hop.

One instance of half a megabyte costs one hop: its pieces are gathered on the loop until a unit is full or the instance
ends. While a thread writes, walks and syncs one instance, the loop reads the next one from the socket.

Held in memory a request: a unit being gathered, a unit being written, and `PIPELINE` instances being synced of which each
holds a unit at most.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import xxhash

from gateway.backends.base import Failed, Upload
from gateway.backends.local.files import Files, discard
from gateway.backends.local.inspect import describe
from gateway.backends.local.prepared import Prepared
from gateway.dicom.attributes import INDEX_TAGS
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS
from gateway.dicomweb.reasons import Reason
from gateway.errors import GatewayError, InstanceError, OutOfStorage

T = TypeVar("T")

UNIT = 640 << 10
"""Bytes gathered before a thread is woken. A CT slice of half a megabyte fits, and goes to disk in a single hop."""

PIECES = 256
"""Pieces gathered at most: a client that sends single bytes must not turn a unit into a million objects."""

PIPELINE = 2
"""Instances of one request that are being synced while the next one is received."""

_WANTED = INDEX_TAGS | TABLE_TAGS


class _Incoming:
    """One file being received. Its methods block and are called from worker threads, one at a time."""

    def __init__(
        self, files: Files, upload: Upload, limits: Limits, room: Callable[[], bool], refuse: Callable[[OSError], GatewayError]
    ) -> None:
        self.path = files.incoming()
        self._files = files
        self._upload = upload
        self._room = room
        self._refuse = refuse
        self._descriptor: int | None = None
        self._walk = Walk(wanted=_WANTED, limits=limits)
        self._hash = xxhash.xxh3_128()
        self._size = 0

    def write(self, pieces: list[bytes]) -> None:
        """:raises InstanceError: when the bytes are no whole data set. :raises GatewayError: when they cannot be written."""
        for piece in pieces:
            self._walk.feed(piece)
            self._hash.update(piece)
        if self._descriptor is None and not self._room():
            raise OutOfStorage("too little free disk space (stores.NAME.min_free_bytes)")
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
            _write_all(self._descriptor, pieces)
        except OSError as error:
            raise self._refuse(error) from error
        self._size += sum(map(len, pieces))

    def finish(self, pieces: list[bytes]) -> Prepared:
        """The last pieces, then the sync. Leaves nothing behind when it raises."""
        try:
            self.write(pieces)
            self._walk.finish()
            assert self._descriptor is not None  # noqa: S101 - write() opened it; narrows the type
            attributes, pixels = describe(self._walk, self._descriptor)
            try:
                self._files.sync_file(self._descriptor)
            except OSError as error:
                raise self._refuse(error) from error
        except BaseException:
            self.discard()
            raise
        self._close()
        upload = self._upload
        return Prepared(upload.part, upload.instance, self.path, self._size, self._hash.digest(), attributes, pixels, upload.replace)

    def discard(self) -> None:
        self._close()
        discard(self.path)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _discard_all(paths: list[str]) -> None:
    for path in paths:
        discard(path)


def _write_all(descriptor: int, pieces: list[bytes]) -> None:
    written = os.writev(descriptor, pieces)
    missing = sum(map(len, pieces)) - written
    if missing:  # a signal, or the end of the disk: the rest says which
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


class Receiver:
    """Receives the uploads of one request.

    :param failed: grows by what is refused on the way.
    """

    def __init__(
        self, files: Files, pool: ThreadPoolExecutor, limits: Limits, room: Callable[[], bool], refuse: Callable[[OSError], GatewayError]
    ) -> None:
        self._files = files
        self._pool = pool
        self._limits = limits
        self._room = room
        self._refuse = refuse
        self._syncing: deque[tuple[Upload, asyncio.Future[Prepared]]] = deque()
        self.prepared: list[Prepared] = []
        self.failed: list[Failed] = []

    async def receive(self, uploads: AsyncIterator[Upload]) -> None:
        """Reads all uploads; afterwards `prepared` and `failed` tell what became of them.

        When it raises, for example because the client left, nothing of the request is left behind.
        """
        try:
            async for upload in uploads:
                try:
                    self._syncing.append((upload, await self._one(upload)))
                except (InstanceError, OutOfStorage) as error:
                    self._fail(upload, error)
                if len(self._syncing) > PIPELINE:
                    await self._settle()
            while self._syncing:
                await self._settle()
        except BaseException:
            await self.abandon()
            raise

    async def _one(self, upload: Upload) -> asyncio.Future[Prepared]:
        """Reads one upload to its end; what is returned is done when the file is whole and synced."""
        file = _Incoming(self._files, upload, self._limits, self._room, self._refuse)
        writing: asyncio.Future[None] | None = None
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in upload.body:
                pieces.append(piece)
                size += len(piece)
                if size >= UNIT or len(pieces) >= PIECES:
                    if writing is not None:
                        await writing
                    writing = self._hop(file.write, pieces)
                    pieces, size = [], 0
            if writing is not None:
                await writing
        except BaseException:
            if writing is not None:
                await _quiet(writing)
            await _quiet(self._hop(file.discard))
            raise
        return self._hop(file.finish, pieces)

    async def _settle(self) -> None:
        upload, future = self._syncing[0]
        try:
            self.prepared.append(await asyncio.shield(future))
        except (InstanceError, OutOfStorage) as error:
            self._fail(upload, error)
        self._syncing.popleft()

    def _fail(self, upload: Upload, error: InstanceError | OutOfStorage) -> None:
        reason = error.reason if isinstance(error, InstanceError) else Reason.OUT_OF_RESOURCES
        self.failed.append(Failed(upload.part, reason, error.message, upload.instance.sop_class, upload.instance.sop))

    async def abandon(self) -> None:
        """Removes every file that was received."""
        for _, future in self._syncing:
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
