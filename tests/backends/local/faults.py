"""System calls that are recorded, or fail as a disk would make them."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.local import schema


def name_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def record(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes what makes a store durable, in its order: ``fdatasync PATH``, ``fsync PATH``, ``rename PATH`` (the new name), ``COMMIT``.

    Connections of SQLite that are opened from now on count. SQLite syncs its log inside of COMMIT.
    """
    calls: list[str] = []

    def synced(name: str, call: Callable[[int], None], descriptor: int) -> None:
        calls.append(f"{name} {name_of(descriptor)}")
        call(descriptor)

    def renamed(call: Callable[[str, str], None], source: str, target: str) -> None:
        calls.append(f"rename {target}")
        call(source, target)

    def connected(call: Callable[..., sqlite3.Connection], *args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = call(*args, **kwargs)
        connection.set_trace_callback(lambda sql: calls.append(sql) if sql in ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK") else None)
        return connection

    monkeypatch.setattr(os, "fdatasync", partial(synced, "fdatasync", os.fdatasync))
    monkeypatch.setattr(os, "fsync", partial(synced, "fsync", os.fsync))
    monkeypatch.setattr(os, "rename", partial(renamed, os.rename))
    monkeypatch.setattr(schema, "connect", partial(connected, schema.connect))
    return calls


class Fault:
    """A system call of `os` that fails while `on`.

    :param after: calls that still succeed.
    :param about: fails only for calls one of whose arguments contains this.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, error: int = errno.EIO, *, after: int = 0, about: str = "") -> None:
        self.on = True
        self.hits = 0
        self._call = getattr(os, name)
        self._error = error
        self._after = after
        self._about = about
        monkeypatch.setattr(os, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        about = name_of(args[0]) if isinstance(args[0], int) else f"{args[0]} {args[-1]}"
        if self.on and self._about in about:
            self.hits += 1
            if self.hits > self._after:
                raise OSError(self._error, os.strerror(self._error))
        return self._call(*args, **kwargs)


def incoming(root: Path) -> list[Path]:
    """What lies in incoming/, but for the locks of those that are alive."""
    return [path for path in (root / "incoming").rglob("*") if path.is_file() and path.name != "alive"]


def blobs(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "blobs").rglob("*.dcm"))
