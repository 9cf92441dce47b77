"""The blobs of a local store: one file an instance, named by the generation number that the index hands out.

    ROOT/
      store.json              what this folder is, and the version of its layout
      write.lock              held by the process that is committing (flock)
      index.sqlite            see schema.py
      tombstones.jsonl        what was deleted, see tombstones.py
      incoming/TOKEN/         files that a living process is writing; TOKEN/alive is locked as long as it lives
      blobs/000000/00000000c.dcm

Rules:
1. No name is made of anything that a client sent.
2. A file in blobs/ is whole: it got there by a rename after its data was synced.
3. What is in incoming/ of a dead process was never acknowledged, and goes.
4. 1,024 generations share a folder, so that the commits of a moment sync one or two folders, and no folder grows large.

Everything here blocks, and is called from worker threads.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson

from gateway import metrics
from gateway.errors import Busy, OutOfStorage, StoreUnavailable

LAYOUT = 1
BLOCK_BITS = 10

_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
"""Where Linux has it. It promises nothing, and takes no failure from `fdatasync`: without it the same happens a little later."""
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_WRITE = 2  # SYNC_FILE_RANGE_WRITE

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NOT_NOW = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_BLOCK = re.compile(r"[0-9a-f]{6,}")
_BLOB = re.compile(r"[0-9a-f]{9,}\.dcm")


def storage_error(error: OSError, doing: str) -> OutOfStorage | Busy | StoreUnavailable:
    """The error of ours for a failed system call of the store; `doing` says what was tried."""
    if error.errno in _NO_ROOM:
        return OutOfStorage("the store's disk is full; free space, or give the store another folder")
    if error.errno in _NOT_NOW:
        return Busy("the gateway has too many files open")
    return StoreUnavailable(f"{doing} failed: {errno.errorcode.get(error.errno or 0, 'unknown error')}")


class Files:
    """The folder of one store, as one process sees it.

    :param root: made when it is missing.
    :param durable: False leaves out every fsync: what was acknowledged in the last seconds is lost when the power goes.
    :raises StoreUnavailable: when the folder holds something else, or a layout that a newer version wrote.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root.absolute()
        self.durable = durable
        self._blobs = f"{self.root}/blobs"
        self._made: set[int] = set()
        self._renamed: list[tuple[str, int]] = []
        self._count = 0
        self._create()
        self._incoming = self._lease()

    def _create(self) -> None:
        os.makedirs(self._blobs, exist_ok=True)
        os.makedirs(self.root / "incoming", exist_ok=True)
        marker = self.root / "store.json"
        if not marker.exists():
            self._mark(marker)
        layout = _layout(marker)
        if layout != LAYOUT:
            raise StoreUnavailable(f"{marker} says layout {layout}, this version reads layout {LAYOUT}")
        self.sync_folder(str(self.root))

    def _mark(self, marker: Path) -> None:
        temporary = marker.with_suffix(f".{os.urandom(4).hex()}")
        with temporary.open("wb") as file:
            file.write(orjson.dumps({"layout": LAYOUT}))
            file.flush()
            self.sync_file(file.fileno())
        temporary.replace(marker)

    def _lease(self) -> str:
        token = f"{os.getpid()}-{os.urandom(4).hex()}"
        folder = f"{self.root}/incoming/{token}"
        # Made and locked under another name, then renamed: nobody ever sees it unlocked and takes us for dead.
        making = f"{self.root}/.{token}"
        os.mkdir(making)
        self._alive = os.open(f"{making}/alive", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        os.rename(making, folder)
        return folder

    def close(self) -> None:
        """Gives back this process's incoming folder."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        os.close(self._alive)

    # -- names

    def path(self, generation: int) -> str:
        """Where the blob of a generation lies."""
        return f"{self._blobs}/{generation >> BLOCK_BITS:06x}/{generation:09x}.dcm"

    def incoming(self) -> str:
        """A fresh name for a file that is being received."""
        self._count += 1
        return f"{self._incoming}/{self._count:x}"

    def generations(self, *, first: int = 0) -> Iterator[int]:
        """The generations that have a blob, ascending, from those that share a folder with `first` on.

        What else lies there (``lost+found``, what a file manager leaves) is passed over.
        """
        for block in sorted(filter(_BLOCK.fullmatch, os.listdir(self._blobs))):
            if int(block, 16) >= first >> BLOCK_BITS:
                yield from sorted(int(name[:-4], 16) for name in os.listdir(f"{self._blobs}/{block}") if _BLOB.fullmatch(name))

    # -- the steps of a commit

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Held by one process at a time: SQLite's own busy-waiting would let two workers starve each other."""
        lock = os.open(self.root / "write.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def publish(self, moves: Iterable[tuple[str, int]]) -> None:
        """Renames received files to their generations and syncs the folders that they came to.

        Until `keep` says that the index names them, `take_back` undoes it.

        :raises OSError: nothing is renamed then; the caller still owns the received files.
        """
        folders: set[str] = set()
        try:
            for source, generation in moves:
                self._ensure_block(generation >> BLOCK_BITS)
                target = self.path(generation)
                os.rename(source, target)
                self._renamed.append((source, generation))
                folders.add(os.path.dirname(target))
            for folder in folders:
                self.sync_folder(folder)
        except OSError:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Undoes `publish` after a commit that failed; the write lock must still be held, for the numbers are free again."""
        while self._renamed:
            source, generation = self._renamed.pop()
            os.rename(self.path(generation), source)

    def keep(self) -> None:
        """What was published stays."""
        self._renamed.clear()

    def _ensure_block(self, block: int) -> None:
        if block in self._made:
            return
        os.makedirs(f"{self._blobs}/{block:06x}", exist_ok=True)
        self.sync_folder(self._blobs)
        self._made.add(block)

    def sync_folder(self, folder: str) -> None:
        """Makes the names in a folder durable."""
        if not self.durable:
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with metrics.FSYNC_SECONDS.labels("folder").time():
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def begin_sync(self, descriptor: int) -> None:
        """Asks the disk to begin with the data of a file, one of several: `sync_file` waits, and says whether it went well."""
        if self.durable and _sync_file_range is not None:
            _sync_file_range(descriptor, 0, 0, _WRITE)

    def sync_file(self, descriptor: int) -> None:
        """Makes the data of a received file durable."""
        if self.durable:
            with metrics.FSYNC_SECONDS.labels("blob").time():
                os.fdatasync(descriptor)

    # -- taking away

    def remove(self, generation: int) -> None:
        """Unlinks a blob; a missing one is fine."""
        discard(self.path(generation))

    def sweep_dead(self) -> int:
        """Removes what dead processes were receiving; returns how many of them there were."""
        dead = [folder for folder, living in self._others() if not living]
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)
        return len(dead)

    def in_use(self) -> bool:
        """Whether another living process has the store open."""
        return any(living for _, living in self._others())

    def _others(self) -> Iterator[tuple[str, bool]]:
        """The incoming folders of other processes, and whether those live."""
        for name in os.listdir(self.root / "incoming"):
            folder = f"{self.root}/incoming/{name}"
            if folder == self._incoming:
                continue
            try:
                alive = os.open(f"{folder}/alive", os.O_RDWR)
            except FileNotFoundError:  # it is just going, or died while it went
                yield folder, False
                continue
            except OSError:  # no way to tell
                yield folder, True
                continue
            try:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield folder, False
            except BlockingIOError:
                yield folder, True
            finally:
                os.close(alive)

    def free_bytes(self) -> int:
        """What the file system still has for this process."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize


def _layout(marker: Path) -> object:
    """The version of the layout that a folder says it has, None when it does not say."""
    try:
        said = orjson.loads(marker.read_bytes())
    except orjson.JSONDecodeError:
        return None
    return said.get("layout") if isinstance(said, dict) else None


def discard(path: str) -> None:
    """Unlinks a file; a missing one is fine."""
    with suppress(FileNotFoundError):
        os.unlink(path)
