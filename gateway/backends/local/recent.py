"""What reads of the index found a moment ago, for as long as nothing has changed.

A viewer asks for the metadata of a study again and again; looking up its thousand instances then costs more than sending what
is kept of them. Each finding hangs on the index's own count of changes, so it is never stale, whichever process changed it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.dicomweb.resources import Resource

T = TypeVar("T")

ROWS = 20_000
"""Rows that are remembered at most, of all findings together: a kilobyte each."""


class Recent(Generic[T]):
    """Findings by resource. Called from reader threads.

    :param find: reads a finding, and says how many rows it has.
    """

    def __init__(self, find: Callable[[sqlite3.Connection, Resource], tuple[T, int]]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._changes = -1
        self._found: OrderedDict[Resource, tuple[T, int]] = OrderedDict()
        self._rows = 0

    def __call__(self, db: sqlite3.Connection, resource: Resource) -> T:
        """What is found of a resource now."""
        # The count is read first: what changes between the two reads makes a finding that is too new for its count, and is
        # read once more, never one that is too old.
        changes: int = db.execute("SELECT value FROM meta WHERE key = 'changes'").fetchone()[0]
        with self._lock:
            if changes != self._changes:
                self._found.clear()
                self._changes, self._rows = changes, 0
            elif (known := self._found.get(resource)) is not None:
                self._found.move_to_end(resource)
                return known[0]
        found, rows = self._find(db, resource)
        with self._lock:
            if changes == self._changes and resource not in self._found and rows <= ROWS:
                self._found[resource] = found, rows
                self._rows += rows
                while self._rows > ROWS:
                    self._rows -= self._found.popitem(last=False)[1][1]
        return found
