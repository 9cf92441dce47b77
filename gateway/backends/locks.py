"""Locks between the processes of a gateway. The kernel lets go of one when its process is gone, however it went."""

from __future__ import annotations

import fcntl
import os


def try_lock(path: str) -> int | None:
    """A descriptor that holds the lock until it is closed; None when somebody else does. Blocks for no longer than a disk."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
