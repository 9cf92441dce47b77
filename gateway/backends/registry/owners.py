"""Which processes are alive, told by locks that the kernel lets go of when they are not.

Numbers of processes would not do: in a container the new process often has the number of the one that was killed.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path


class Owners:
    """:param folder: of the lock files; this process has one there from now on. Blocks."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._folder = folder
        self.me = secrets.randbits(62) + 1
        """The number that stands for this process, and never for another."""
        self._lock = os.open(self._path(self.me), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def _path(self, owner: int) -> Path:
        return self._folder / f"{owner:x}"

    def alive(self, owner: int) -> bool:
        """Whether the process of that number still runs."""
        if owner == self.me:
            return True
        try:
            lock = os.open(self._path(owner), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        self._path(owner).unlink(missing_ok=True)
        return False

    def close(self) -> None:
        """This process owns nothing any more."""
        with suppress(FileNotFoundError):
            self._path(self.me).unlink()
        os.close(self._lock)
