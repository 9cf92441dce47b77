"""The tier of one process: answers in memory, for all stores together, bounded by their bytes.

1. What has answered once more is proven. What is not goes first, so that a scroll through a thousand frames that nobody asks
   for again drives out nothing that is in use. In both halves what was used least recently goes first.
2. An answer that is arriving takes its room piece by piece, so all together never pass the bound.
3. One answer takes at most a share of the room.

Not for threads: everything here is called on the event loop.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway import metrics
from gateway.backends.cached.entries import Found, Read
from gateway.backends.cached.keys import KINDS, Key, weight

SHARE = 4
"""One answer takes at most this part of the room (a quarter), so that a huge one does not drive out all the others."""

PROVEN = 0.8
"""As much of the room is for what is proven; beyond it the oldest of that has to prove itself again."""

Kept = Found | Read


class MemoryTier:
    """:param bound: bytes that all answers take together; 0 keeps nothing."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.share = bound // SHARE
        self.taken = 0
        self._new: OrderedDict[Key, Kept] = OrderedDict()
        self._proven: OrderedDict[Key, Kept] = OrderedDict()
        self._proven_bytes = 0
        self._evicted = metrics.CACHE_EVICTED.labels("memory")
        self._bytes = {kind: metrics.CACHE_MEMORY_BYTES.labels(kind) for kind in KINDS}

    def __len__(self) -> int:
        return len(self._new) + len(self._proven)

    def get(self, key: Key) -> Kept | None:
        """The answer of that key, current or not; it counts as used."""
        if (found := self._proven.get(key)) is not None:
            self._proven.move_to_end(key)
        elif (found := self._new.pop(key, None)) is not None:
            self._proven[key] = found
            self._proven_bytes += found.cost
            self._demote()
        return found

    def _demote(self) -> None:
        while self._proven_bytes > self.bound * PROVEN and len(self._proven) > 1:
            key, entry = self._proven.popitem(last=False)
            self._proven_bytes -= entry.cost
            self._new[key] = entry

    def take(self, count: int) -> bool:
        """Makes room for so many bytes; False when those that are still arriving leave none."""
        while self.taken + count > self.bound and (self._new or self._proven):
            self._drop(next(iter(self._new or self._proven)))
            self._evicted.inc()
        if self.taken + count > self.bound:
            return False
        self.taken += count
        return True

    def give_back(self, count: int) -> None:
        """What was taken before."""
        self.taken -= count

    def put(self, key: Key, entry: Kept) -> None:
        """Adds an answer whose room is taken; the older one of that key is forgotten. Nothing is kept where the key has no room."""
        self.forget(key)
        if not self.take(weight(key)):
            self.give_back(entry.cost)
            return
        self._new[key] = entry
        self._bytes[entry.kind].inc(entry.cost)

    def add(self, key: Key, entry: Kept) -> bool:
        """Takes the room of an answer and adds it; False where it has none."""
        fits = entry.cost <= self.share and self.take(entry.cost)
        if fits:
            self.put(key, entry)
        return fits

    def forget(self, key: Key) -> None:
        """Nothing of that key is kept any more."""
        if key in self._new or key in self._proven:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        entry = self._new.pop(key, None)
        if entry is None:
            entry = self._proven.pop(key)
            self._proven_bytes -= entry.cost
        self.give_back(entry.cost + weight(key))
        self._bytes[entry.kind].dec(entry.cost)
