"""Bodies that are kept in memory, bounded by their bytes; what was used least recently goes first.

A body that is still being made takes its place from the first piece on, so kept bodies and beginnings together never pass
the bound. A beginning that grows too large, or finds no room, is given up: its answer goes on, and is just not kept.

Not for threads: everything here is called on the event loop. Only a large body is copied in one, when it is whole.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from gateway import metrics
from gateway.backends.held import LARGE, Held

SHARE = 4
"""One body takes at most this part of the room: metadata of 3,000 instances at the default, and it does not drive out all the others."""

OVERHEAD = 512
"""Bytes that an entry counts beside its data, for its key and objects: so tiny bodies cannot become many without bound."""


class Entry(Held):
    """:param media_type: the Content-Type of the body, for a multipart boundary belongs to the bytes."""

    def __init__(self, media_type: str, pieces: Sequence[bytes]) -> None:
        super().__init__(pieces)
        self.media_type = media_type


class Kept:
    """:param bound: bytes that all bodies take together; 0 keeps nothing."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.taken = 0
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def get(self, key: str) -> Entry | None:
        """The body of that key, which counts as used."""
        if (found := self._entries.get(key)) is not None:
            self._entries.move_to_end(key)
        return found

    def begin(self, key: str, media_type: str) -> Beginning:
        """A body that is about to be made; its maker keeps or drops it."""
        return Beginning(self, key, media_type)

    def take(self, count: int) -> bool:
        """Makes room for so many bytes; False when those that are still being made leave none."""
        while self.taken + count > self.bound and self._entries:
            _, entry = self._entries.popitem(last=False)
            self.give_back(OVERHEAD + entry.length)
        if self.taken + count > self.bound:
            return False
        self.taken += count
        metrics.KEPT_BYTES.inc(count)
        return True

    def give_back(self, count: int) -> None:
        """What was taken before."""
        self.taken -= count
        metrics.KEPT_BYTES.dec(count)

    def put(self, key: str, entry: Entry) -> None:
        """Adds a body whose room is taken; the older one of that key is forgotten."""
        old = self._entries.pop(key, None)
        if old is not None:
            self.give_back(OVERHEAD + old.length)
        self._entries[key] = entry


class Beginning:
    """A body that is being made: pieces are added, then it is kept or dropped."""

    def __init__(self, kept: Kept, key: str, media_type: str) -> None:
        self._kept = kept
        self._key = key
        self._media_type = media_type
        self._pieces: list[bytes] = []
        self._taken = 0
        self._over = not self._take(OVERHEAD)

    def _take(self, count: int) -> bool:
        if self._taken + count > self._kept.bound // SHARE or not self._kept.take(count):
            return False
        self._taken += count
        return True

    def add(self, piece: bytes) -> None:
        """The next bytes; once there is no room for them, none are held any more."""
        if self._over:
            return
        if self._take(len(piece)):
            self._pieces.append(piece)
        else:
            self.drop()

    async def keep(self) -> None:
        """The body is whole. One for which there is no descriptor left is not kept, and goes out all the same."""
        if self._over:
            return
        self._over = True
        make = partial(Entry, self._media_type, self._pieces)
        try:
            entry = await asyncio.to_thread(make) if self._taken > LARGE else make()
        except OSError:
            self._kept.give_back(self._taken)
        except BaseException:
            self._kept.give_back(self._taken)
            raise
        else:
            self._kept.put(self._key, entry)

    def drop(self) -> None:
        """It will not become whole; nothing happens when it was kept or dropped before."""
        if not self._over:
            self._over = True
            self._pieces.clear()
            self._kept.give_back(self._taken)
