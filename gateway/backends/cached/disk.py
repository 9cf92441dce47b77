"""The tier on disk, for all stores and shared by all workers: reads that outlive a restart, bounded by their bytes.

1. The loop never waits for it: looking up and checking happens in a thread, writing in another, one a process.
2. What the disk refuses, is too slow for, or has damaged is not kept, and counted. No request fails for it.
3. After a boot of the machine it starts empty: what was there carries stamps that are gone (see `generations`).
4. Its folder may be emptied or removed at any time, as people do with caches: it goes on with an empty one.

Searches are not here. They live for seconds, every write drops them, and they may name a patient.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

from gateway import logs, metrics
from gateway.backends.cached import files
from gateway.backends.cached.entries import Read, now
from gateway.backends.cached.files import Damaged, room_of
from gateway.backends.cached.generations import boot
from gateway.backends.cached.index import Index
from gateway.backends.cached.keys import KINDS, Kind

T = TypeVar("T")

PENDING = 32
"""Answers that wait to be written; further ones are not. With their bytes in the memory tier they cost nothing more."""

STEP = 16 << 20
"""Bytes of room that are claimed at once for an answer of which nobody knows how long it will be."""

TOUCHED = 256
"""Reads after which the index learns what was used; before, it learns with every write."""

CHECKED = 4096
"""Large files that this process has checked, and does not check again for every range that is asked of them."""

_WINDOW = 1 << 20
_TROUBLE = (OSError, sqlite3.Error, Damaged)

_log = logs.get_logger()


class DiskTier:
    """Opening it blocks: make it in a thread.

    :param root: its folder, for nothing else; made when missing.
    :param bound: bytes that all files take together.
    :raises OSError: when the folder cannot be used.
    """

    def __init__(self, root: Path, bound: int) -> None:
        self.bound = bound
        self._root = root
        self._index = self._opened()
        self._thread = ThreadPoolExecutor(1, "cache-disk")
        self._pending: set[asyncio.Future[object]] = set()
        self._numbers = count()
        self._touched: dict[str, float] = {}
        self._checked: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def _opened(self) -> Index:
        """The index, in a folder that is there and ours. One that is none any more is made anew, and what it listed is gone with it.

        :raises OSError: when the disk refuses it.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        _prepare(self._root)
        path = self._root / _INDEX
        try:
            with _locked(self._root):  # another worker may have made it anew meanwhile, and that one is good
                try:
                    index = Index(path, self.bound, self._remove)
                except sqlite3.OperationalError:
                    raise
                except sqlite3.DatabaseError as error:
                    self._lose("damaged", error)
                    _empty(self._root)
                    index = Index(path, self.bound, self._remove)
                self._inode = path.stat().st_ino
                return index
        except sqlite3.Error as error:
            raise OSError(f"the index of the cache in {self._root} cannot be opened: {error}") from error

    def _look(self) -> None:
        """In the thread; begins anew where somebody took the folder away, or what was in it, and the index with it.

        :raises OSError: when the disk refuses it.
        """
        try:
            if (self._root / _INDEX).stat().st_ino == self._inode:
                return
        except FileNotFoundError:
            pass
        self._index.close()
        self._index = self._opened()

    # -- reads

    async def get(self, name: str, *, in_memory: int) -> Read | None:
        """The answer of that name, current or not.

        :param in_memory: bytes up to which it is read into memory.
        """
        try:
            entry, identity = await asyncio.to_thread(files.read, self._path(name), in_memory=in_memory, known=self._checked.get(name))
        except FileNotFoundError:
            return None
        except (*_TROUBLE, ValueError, KeyError, TypeError) as error:
            self._lose("damaged", error)
            await self._run(partial(self._index.drop, name))
            return None
        self._checked[name] = identity
        if len(self._checked) > CHECKED:
            self._checked.popitem(last=False)
        self._touched[name] = now()
        if len(self._touched) >= TOUCHED and len(self._pending) < PENDING:
            self._soon(self._touch)
        return entry

    # -- writes

    def put_soon(self, name: str, entry: Read) -> None:
        """Writes an answer in the background; not at all while too many wait for it."""
        if len(self._pending) >= PENDING:
            metrics.CACHE_LOST.labels("busy").inc()
        else:
            self._soon(partial(self._put, name, entry))

    def _put(self, name: str, entry: Read) -> None:
        part = Part(self, name, entry.kind, next(self._numbers))
        try:
            if part.claim(entry.held.length):
                for at in range(0, entry.held.length, _WINDOW):
                    part.write([entry.held.read(at, min(at + _WINDOW, entry.held.length))])
                part.keep(entry)
        finally:
            part.drop()

    async def begin(self, name: str, kind: Kind, length: int | None) -> Part | None:
        """A file for an answer that is too large for memory, None where it does not fit.

        :param length: of the body, None where nobody knows.
        """
        part = Part(self, name, kind, next(self._numbers))
        fits = await self._run(partial(part.claim, STEP if length is None else length))
        return part if fits else None

    async def add(self, part: Part, pieces: Sequence[bytes]) -> bool:
        """Writes the next bytes; False when they cannot be kept, and nothing is written any more."""
        return await self._run(partial(part.write, pieces)) or False

    async def keep(self, part: Part, entry: Read) -> None:
        """The answer is whole."""
        await self._run(partial(part.keep, entry))

    def drop_soon(self, part: Part) -> None:
        """It will not become whole; nothing happens to what was kept. Nobody has to wait, who may be on his way out."""
        self._soon(part.drop)

    async def aclose(self) -> None:
        """Finishes what waits to be written."""
        if self._pending:
            await asyncio.wait(self._pending)
        await self._run(self._touch)
        await self._run(self._index.close)
        await asyncio.to_thread(self._thread.shutdown)

    # -- the thread

    def _soon(self, work: Callable[[], object]) -> None:
        task = asyncio.ensure_future(self._run(work))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _run(self, work: Callable[[], T]) -> T | None:
        """What `work` returns in the thread; None where the disk fails."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except _TROUBLE as error:
            self._lose("failed", error)
            return None

    def _touch(self) -> None:
        used, self._touched = self._touched, {}
        if used:
            self._index.touch([(at, name) for name, at in used.items()])

    def claim(self, part: str, kind: Kind, size: int) -> bool:
        """In the thread; room for a part of that size."""
        self._look()
        self._touch()
        gone = self._index.claim(part, kind, size, now())
        if gone:
            metrics.CACHE_EVICTED.labels("disk").inc(gone)
        return gone is not None

    def finish(self, part: str, name: str, size: int) -> None:
        """In the thread; a part becomes the answer of that name."""
        self._index.finish(part, name, size, partial(self._rename, part, name))
        self._count()

    def forget(self, part: str) -> None:
        """In the thread; a part goes."""
        self._index.drop(part)
        self._count()

    def open(self, part: str) -> files.Writer:
        """In the thread; the file of a part."""
        path = self._path(part)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        return files.Writer(path)

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name

    def _rename(self, part: str, name: str) -> None:
        self._path(part).replace(self._path(name))

    def _remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _count(self) -> None:
        sums = self._index.sums()
        for kind in KINDS:
            metrics.CACHE_DISK_BYTES.labels(kind).set(sums.get(kind, 0))

    def _lose(self, loss: str, error: Exception) -> None:
        metrics.CACHE_LOST.labels(loss).inc()
        _log.warning("cache on disk", reason=loss, error=type(error).__name__)


class Part:
    """A file that is being written. All of it happens in the tier's thread."""

    def __init__(self, tier: DiskTier, name: str, kind: Kind, number: int) -> None:
        self._tier = tier
        self._name = name
        self._part = f"{name}.{os.getpid()}.{number}"
        self._kind: Kind = kind
        self._claimed = 0
        self._writer: files.Writer | None = None
        self._open = False

    def claim(self, length: int) -> bool:
        """Room for so many bytes; blocks."""
        self._open = self._tier.claim(self._part, self._kind, room_of(length))
        if self._open:
            self._claimed = length
            self._writer = self._writer or self._tier.open(self._part)
        return self._open

    def write(self, pieces: Sequence[bytes]) -> bool:
        """The next bytes; False, and nothing is left, when there is no room for them. Blocks."""
        size = sum(map(len, pieces))
        if not self._open or self._writer is None:
            return False
        if self._writer.length + size > self._claimed and not self.claim(self._writer.length + max(size, STEP)):
            self._open = True
            self.drop()
            return False
        self._writer.add(pieces)
        return True

    def keep(self, entry: Read) -> None:
        """It is whole. Blocks."""
        if self._open and self._writer is not None:
            size = self._writer.finish(entry, self._name)
            self._tier.finish(self._part, self._name, room_of(size))
            self._open = False

    def drop(self) -> None:
        """Takes away what was not kept. Blocks."""
        if self._writer is not None:
            self._writer.close()
        if self._open:
            self._open = False
            self._tier.forget(self._part)


_INDEX = "index.sqlite"
_MAGIC = b"DGCACHE1"
_OURS = re.compile(r"index\.sqlite(-wal|-shm)?|[0-9a-f]{2}(/[0-9a-f]{40}(\.\d+\.\d+)?)?")
"""What lies in the folder beside its lock, which may be gone when somebody emptied it while files were written."""


def _prepare(root: Path) -> None:
    """Empties the folder when the machine was started anew; one worker does, and the others wait for it.

    :raises FileExistsError: when the folder holds something else, which nobody wants to lose.
    """
    with _locked(root) as descriptor:
        written = os.pread(descriptor, 64, 0)
        if written == _MAGIC + boot():
            return
        if not written.startswith(_MAGIC) and not _is_ours(root):
            raise FileExistsError(f"{root} is not empty, and not a cache of this gateway")
        _empty(root)
        os.pwrite(descriptor, _MAGIC + boot(), 0)


@contextmanager
def _locked(root: Path) -> Iterator[int]:
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_ours(root: Path) -> bool:
    """Whether there is nothing in the folder, or only what this tier writes."""
    names = [path.relative_to(root).as_posix() for each in _others(root) for path in (each, *each.glob("*"))]
    return all(map(_OURS.fullmatch, names))


def _others(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name != "lock"]


def _empty(root: Path) -> None:
    for path in _others(root):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
