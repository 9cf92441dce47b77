"""Whole instances of an origin on disk, out of which frames and bulk data are cut: bounded in bytes, gone with the process.

1. Files have no names: whatever happens to the process, nothing of a patient stays behind.
2. What is kept may be used for `FRESH` seconds, and never after a write of its study passed through any worker: every write
   changes the study's stamp, which all workers share, and a stamp that changed while an instance arrived keeps it out.
3. The bytes count until the last reader has let go of them, so the bound is that of the disk.
4. Keys carry who asked, where the origin sees that (`Credentials.scope`).
"""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import RLock
from weakref import finalize

from gateway.backends.base import FileSlice
from gateway.backends.representations import Blob
from gateway.dicom.frames import FrameTable
from gateway.dicom.header import Instance
from gateway.errors import Busy, TooLarge

FRESH = 60.0
"""Seconds that an instance is kept for the next frame of it: what others change behind our back is seen after that."""

ENTRIES = 256
"""Instances that are kept at most: each holds a descriptor."""

SLOTS = 1024
"""Stamps that studies share: two studies in one slot only make each other be fetched again."""

STAMP = 8
"""Bytes of a stamp."""

Key = tuple[str, str, str, str]
"""Scope of the credentials; Study, Series and SOP Instance UID."""


class Held:
    """A file without a name, open until nobody refers to it any more. Its methods block.

    :param announced: bytes that are to come, as far as somebody said: room is made for them now, so that of many files that do not
        fit the last ones are refused at once, instead of all of them half way.
    :raises TooLarge: more than the whole area. :raises Busy: others hold the rest of it.
    """

    def __init__(self, area: Area, announced: int = 0) -> None:
        self.descriptor = area.opened()
        self.size = 0
        """Bytes written."""
        self._area = area
        self._taken = [0]
        self._closed = finalize(self, area.closed, self.descriptor, self._taken)
        try:
            self._take(announced)
        except BaseException:
            self.close()
            raise

    def write(self, pieces: list[bytes]) -> None:
        """Adds bytes.

        :raises TooLarge: more than the whole area. :raises Busy: others hold the rest of it. :raises OSError: the disk is full.
        """
        self.size += sum(map(len, pieces))
        self._take(self.size - self._taken[0])
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(self.descriptor, view) :]

    def settle(self) -> None:
        """No more bytes will come: what was announced beyond is room for others."""
        self._area.give(self._taken[0] - self.size)
        self._taken[0] = self.size

    def close(self) -> None:
        """Ends it now, for those who know that nobody else refers to it; safe to call twice."""
        self._closed()

    def _take(self, count: int) -> None:
        if count > 0:
            self._area.take(count, self._taken[0])
            self._taken[0] += count


@dataclass(frozen=True, slots=True)
class Resting:
    """An instance in a file of the area; a `Source`.

    :param offset: of its first byte in the file.
    :param checksum: of its bytes, for validators.
    :param table: where its frames are, None where nothing tells.
    """

    file: Held
    offset: int
    size: int
    checksum: str
    instance: Instance
    table: FrameTable | None

    def read(self, offset: int, length: int) -> bytes:
        """See `Source`."""
        return os.pread(self.file.descriptor, min(length, max(0, self.size - offset)), self.offset + offset)

    def piece(self, offset: int, length: int) -> FileSlice:
        """See `Source`."""
        return FileSlice(os.dup(self.file.descriptor), self.offset + offset, length)

    @property
    def blob(self) -> Blob:
        """As the rooms that cut want it. Nobody knows when the origin got it."""
        return Blob(self.instance, self.size, self.checksum, 0.0, self)


@dataclass(frozen=True, slots=True)
class _Entry:
    resting: Resting
    since: float
    stamp: bytes


class Area:
    """:param root: its folder; shared by all workers of a store. :param bound: bytes on disk, the setting ``area_bytes``."""

    def __init__(self, root: Path, bound: int, fresh: float = FRESH) -> None:
        self._root = root
        self._bound = bound
        self._fresh = fresh
        self._taken = 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lock = RLock()
        root.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._stamps = _stamps(root / "stamps")

    # -- the loop's side

    def find(self, key: Key) -> Resting | None:
        """An instance that is kept and still good."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.stamp != self.stamp(key[1]) or time.monotonic() - entry.since > self._fresh:
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return entry.resting

    def keep(self, key: Key, resting: Resting, stamp: bytes) -> None:
        """Keeps an instance, unless its study was written to since `stamp` was read."""
        with self._lock:
            if stamp != self.stamp(key[1]):
                return
            self._entries[key] = _Entry(resting, time.monotonic(), stamp)
            while len(self._entries) > ENTRIES:
                self._entries.popitem(last=False)

    def stamp(self, study: str) -> bytes:
        """What changes with every write of a study, in whichever worker."""
        at = _slot(study)
        return self._stamps[at : at + STAMP]

    def changed(self, study: str) -> None:
        """A write of this study is on its way, or has passed."""
        at = _slot(study)
        self._stamps[at : at + STAMP] = secrets.token_bytes(STAMP)

    def renew(self) -> None:
        """A write has passed, and nobody knows of which study."""
        self._stamps[:] = secrets.token_bytes(SLOTS * STAMP)

    @property
    def taken(self) -> int:
        """Bytes on disk."""
        return self._taken

    def close(self) -> None:
        """Lets go of everything that nobody reads."""
        with self._lock:
            self._entries.clear()

    # -- for files; may be called from any thread

    def opened(self) -> int:
        """A descriptor of a new file without a name."""
        try:
            return os.open(self._root, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:  # a file system without such files
            descriptor, name = tempfile.mkstemp(dir=self._root)
            os.unlink(name)  # noqa: PTH108 - a name that mkstemp gave
            return descriptor

    def take(self, count: int, already: int) -> None:
        """Makes room for `count` bytes more of a file that has `already` some."""
        with self._lock:
            if already + count > self._bound:
                raise TooLarge(f"what is asked for has to be cut out of more than area_bytes = {self._bound} bytes of the origin's")
            while self._taken + count > self._bound and self._entries:
                self._entries.popitem(last=False)
            if self._taken + count > self._bound:
                raise Busy("too many instances are being cut out of at once (area_bytes); try again")
            self._taken += count

    def give(self, count: int) -> None:
        """Room that is not needed any more."""
        with self._lock:
            self._taken -= count

    def closed(self, descriptor: int, taken: list[int]) -> None:
        """A file is not needed any more."""
        os.close(descriptor)
        self.give(taken[0])


def _slot(study: str) -> int:
    return int.from_bytes(blake2b(study.encode(), digest_size=4).digest(), "little") % SLOTS * STAMP


def _stamps(path: Path) -> mmap.mmap:
    """The stamps of all studies, shared by the workers. What a former run left there is as good as any other value."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if os.fstat(descriptor).st_size < SLOTS * STAMP:
            os.ftruncate(descriptor, SLOTS * STAMP)
        return mmap.mmap(descriptor, SLOTS * STAMP)
    finally:
        os.close(descriptor)
