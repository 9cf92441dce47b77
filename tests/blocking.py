"""Finds blocking calls that the gateway makes on an event loop.

Calls into the disk, the index, other processes and `sleep` are watched. One is blamed on the gateway when the innermost
frame of this project below it is the gateway's: what tests do themselves may block.

By design on the loop, and not watched: `os.sendfile` on non-blocking sockets, `os.preadv` with RWF_NOWAIT, `os.close`
(see gateway/web/sending.py).
"""

from __future__ import annotations

import asyncio
import builtins
import fcntl
import functools
import io
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
OURS, TESTS = f"{ROOT}/gateway/", f"{ROOT}/tests/"

FILES = """
    open read pread readv write pwrite writev fsync fdatasync stat lstat statvfs scandir listdir mkdir rmdir rename replace link
    unlink remove truncate
""".split()

CALLS: list[tuple[Any, str]] = [
    *((os, name) for name in FILES),
    (io, "open"),
    (builtins, "open"),
    (fcntl, "flock"),
    (socket, "getaddrinfo"),
    (time, "sleep"),
]


class Blocked(AssertionError):
    """Raised in place of the call, so that it cannot be overlooked."""


class Found(list[str]):
    """Each blocking call and the place that made it. Nothing is watched while `starting`: no request waits then."""

    starting = False


def watch(monkeypatch: pytest.MonkeyPatch) -> Found:
    """Watches until `monkeypatch` is undone."""
    found = Found()
    for owner, name in CALLS:
        monkeypatch.setattr(owner, name, _watched(getattr(owner, name), name, found))
    monkeypatch.setattr(os, "preadv", _watched(os.preadv, "preadv", found, allowed=_without_waiting))
    monkeypatch.setattr(sqlite3, "connect", _watched(functools.partial(sqlite3.connect, factory=_connection(found)), "connect", found))
    return found


def _watched(call: Callable[..., Any], name: str, found: Found, allowed: Callable[..., bool] | None = None) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        if not (allowed is not None and allowed(*args, **kwargs)):
            _check(name, found)
        return call(*args, **kwargs)

    return watched


def _without_waiting(descriptor: int, buffers: Any, offset: int, flags: int = 0) -> bool:
    return bool(flags & os.RWF_NOWAIT)


def _check(name: str, found: Found) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # a worker thread
        return
    if found.starting:
        return
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and not (place := frame.f_code.co_filename).startswith((OURS, TESTS)):
        frame = None if "/_pytest/" in place else frame.f_back  # pytest's log handlers read source files
    if frame is not None and place.startswith(OURS):
        found.append(f"{name} in {place.removeprefix(OURS)}:{frame.f_lineno}")
        raise Blocked(found[-1])


def _connection(found: Found) -> type[sqlite3.Connection]:
    class Watched(sqlite3.Connection):
        def execute(self, *args: Any, **kwargs: Any) -> sqlite3.Cursor:
            _check("execute", found)
            return super().execute(*args, **kwargs)

        def executemany(self, *args: Any, **kwargs: Any) -> sqlite3.Cursor:
            _check("executemany", found)
            return super().executemany(*args, **kwargs)

        def executescript(self, *args: Any, **kwargs: Any) -> sqlite3.Cursor:
            _check("executescript", found)
            return super().executescript(*args, **kwargs)

    return Watched
