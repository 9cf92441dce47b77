"""Documents of searches whose results were kept: joined, with their URLs, and hashed once for all who ask the same.

A cache behind gives the very same results again and again, so they are told by being the same object. That of somebody else
cannot be mistaken for them: what is here holds them, and no two objects that live have one identity.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from gateway.backends.base import Matches

OVERHEAD = 1024
"""Bytes that a document counts beside its own, for its key and objects: whoever sends another Host each time makes another key."""

BOUND = 16 << 20
"""Bytes of documents, and as many of the results that they hold: a worklist is 50 KB, and few of them are asked for all day."""


class Document(NamedTuple):
    """:param etag: without quotes."""

    body: bytes
    etag: str


class Finished:
    """Not for threads. :param bound: bytes of all documents together."""

    def __init__(self, bound: int = BOUND) -> None:
        self.bound = bound
        self.taken = 0
        self._made: OrderedDict[tuple[int, bytes, str], tuple[Matches, Document]] = OrderedDict()

    def get(self, matches: Matches, base: bytes, media_type: str) -> Document | None:
        """The document of these very results, None where there is none yet."""
        key = id(matches.results), base, media_type
        found = self._made.get(key)
        if found is None or found[0].remaining != matches.remaining:
            return None
        self._made.move_to_end(key)
        return found[1]

    def put(self, matches: Matches, base: bytes, media_type: str, document: Document) -> None:
        """Keeps a document of results that were kept; of others nobody asks again."""
        if matches.served.cache != "hit" or len(document.body) > self.bound // 8:
            return
        key = id(matches.results), base, media_type
        if (old := self._made.pop(key, None)) is not None:
            self.taken -= len(old[1].body) + OVERHEAD
        self._made[key] = matches, document
        self.taken += len(document.body) + OVERHEAD
        while self.taken > self.bound:
            _, (_, gone) = self._made.popitem(last=False)
            self.taken -= len(gone.body) + OVERHEAD
