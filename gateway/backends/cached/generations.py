"""Stamps of stores and studies in memory that all workers share: a write makes them new, and what carries older ones is old.

A stamp is random, so nobody has to count together with others: to make a new one is a single store of 64 bits, which no reader
sees by halves. Two of them are equal by accident once in 2 ** 64 times.

The file outlives the gateway, and with it what the disk tier holds. It does not outlive the machine: what a power cut took back
of the stamps would make old entries look current, so after a boot all of them are new.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from pathlib import Path
from uuid import UUID
from zlib import crc32

STORES = 64
"""Slots of stores. Two that share one lose their searches together, and no more than that."""

STUDIES = 8192
"""Slots of studies: 64 KiB. With 800 studies written within a time to live, one read in ten of what is kept asks anew."""

_MAGIC = b"DGSTAMP1"
_HEADER = 64
_SIZE = _HEADER + 8 * (STORES + STUDIES)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> bytes:
    """What tells this run of the machine from all others."""
    return UUID(_BOOT.read_text().strip()).bytes


class Generations:
    """The stamps of one file; processes that open the same file see the same stamps. Opening blocks for a moment.

    :param path: made when missing, with its folder. May be one for each store, or one for all. None for stamps of this process, which
        end with it: what is kept on disk must not hang on them.
    """

    def __init__(self, path: Path | None) -> None:
        self._map = mmap.mmap(-1, _SIZE) if path is None else _shared(path)
        self._words = memoryview(self._map)[_HEADER:].cast("Q")

    def of_store(self, store: str) -> int:
        """Changes with every write to the store."""
        return self._words[crc32(store.encode()) % STORES]

    def of_study(self, store: str, study: str) -> int:
        """Changes with every write to the study."""
        return self._words[_study(store, study)]

    def bump(self, store: str, study: str) -> None:
        """Something is about to be written to the study, or has been."""
        self._words[_study(store, study)] = secrets.randbits(64)
        self._words[crc32(store.encode()) % STORES] = secrets.randbits(64)

    def renew(self) -> None:
        """Something was written, and nobody knows where."""
        self._map[_HEADER:] = secrets.token_bytes(_SIZE - _HEADER)

    def close(self) -> None:
        """Nothing may be asked any more; safe to call twice."""
        self._words.release()
        self._map.close()


def _shared(path: Path) -> mmap.mmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # one of the workers makes the stamps
        _prepare(descriptor, _MAGIC + boot())
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # the mapping keeps what is open, and would keep the lock
        return mmap.mmap(descriptor, _SIZE)
    finally:
        os.close(descriptor)


def _study(store: str, study: str) -> int:
    return STORES + crc32(f"{store}/{study}".encode(errors="surrogateescape")) % STUDIES


def _prepare(descriptor: int, head: bytes) -> None:
    if os.fstat(descriptor).st_size == _SIZE and os.pread(descriptor, len(head), 0) == head:
        return
    # Never made shorter: whoever has it mapped would die of a read beyond its end.
    os.pwrite(descriptor, head.ljust(_HEADER, b"\0") + secrets.token_bytes(_SIZE - _HEADER), 0)
