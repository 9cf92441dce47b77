"""What a store counts of its cache. The series are looked up once: that costs more than all else of a hit."""

from __future__ import annotations

from gateway import metrics
from gateway.backends.cached.keys import KINDS, Kind


class Counts:
    """:param store: its configured name."""

    def __init__(self, store: str) -> None:
        self._memory = {kind: metrics.CACHE_HITS.labels(store, kind, "memory") for kind in KINDS}
        self._disk = {kind: metrics.CACHE_HITS.labels(store, kind, "disk") for kind in KINDS}
        self._misses = {kind: metrics.CACHE_MISSES.labels(store, kind) for kind in KINDS}
        self._coalesced = {kind: metrics.CACHE_COALESCED.labels(store, kind) for kind in KINDS}
        self._stale = {kind: metrics.CACHE_STALE.labels(store, kind) for kind in KINDS}

    def hit(self, kind: Kind) -> None:
        """Answered from memory."""
        self._memory[kind].inc()

    def from_disk(self, kind: Kind) -> None:
        """Answered from the disk tier."""
        self._disk[kind].inc()

    def miss(self, kind: Kind, *, joined: bool) -> None:
        """Answered by the store behind, for this request or for another one too."""
        (self._coalesced if joined else self._misses)[kind].inc()

    def stale(self, kind: Kind) -> None:
        """Answered with what is too old."""
        self._stale[kind].inc()
