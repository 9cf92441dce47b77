"""What is kept, and the answers that are made of it."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from gateway.backends.base import Body, Matches, Piece, Served
from gateway.backends.cached.keys import Kind
from gateway.backends.held import Held
from gateway.dicomweb.media import parse_media_type

OVERHEAD = 1024
"""Bytes that an entry counts beside its data, for its key and objects: so tiny answers cannot become many without bound."""

RESULT = 48
"""Bytes that a result of a search counts beside its own: an object, and its place in a tuple."""

GATHERED = 256 << 10
"""Bytes of a document that are handed on at once: the web layer looks through them on the loop."""


def now() -> float:
    """Seconds since this machine was started: the same in all processes, and no clock that somebody sets moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer.

    :param stamp: of its store or study, from before it was asked for.
    :param made: when it was asked for, as `now` counts.
    """

    kind: Kind
    stamp: int
    made: float


@dataclass(frozen=True, slots=True)
class Found(Entry):
    """The answer to a search."""

    matches: Matches

    @property
    def cost(self) -> int:
        """Bytes that it takes."""
        return cost_of(self.matches)


def cost_of(matches: Matches) -> int:
    """Bytes that results take in memory."""
    return OVERHEAD + sum(map(len, matches.results)) + RESULT * len(matches.results)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a body beside its bytes; see `Body`."""

    media_type: str
    etag: str | None
    weak: bool
    modified: float | None
    instances: int

    @classmethod
    def of(cls, body: Body) -> Head:
        """That of a body."""
        return cls(body.media_type, body.etag, body.weak, body.modified, body.instances)


@dataclass(frozen=True, slots=True)
class Read(Entry):
    """The answer to a read.

    :param cuts: where pieces of a document end, ascending, the last one at its end: URLs are put into whole pieces. Empty for pixels.
    """

    head: Head
    held: Held
    cuts: Sequence[int] = ()

    @property
    def cost(self) -> int:
        """Bytes that it takes."""
        return OVERHEAD + self.held.length

    def body(self, served: Served) -> Body:
        """A body of it; opens nothing before a piece is asked for."""
        head, length, document = self.head, self.held.length, self.kind == "metadata"
        make = partial(_documents, self.held, self.cuts) if document else partial(_octets, self.held)

        def made(start: int, stop: int, select: Callable[[int, int], Body] | None = None) -> Body:
            return Body(
                head.media_type,
                make(start, stop),
                stop - start,
                head.etag,
                head.weak,
                head.modified,
                select=select,
                instances=head.instances,
                served=served,
            )

        return made(0, length, None if document or head.weak else made)


async def _octets(held: Held, start: int, stop: int) -> AsyncGenerator[Piece, None]:
    yield held.piece(start, stop)


async def _documents(held: Held, cuts: Sequence[int], start: int, stop: int) -> AsyncGenerator[Piece, None]:
    while start < stop:
        end = _end(cuts, start)
        yield held.read(start, end) if held.small else await asyncio.to_thread(held.read, start, end)
        start = end


def _end(cuts: Sequence[int], start: int) -> int:
    """The last cut within `GATHERED` bytes, else the next one."""
    after = bisect_right(cuts, start + GATHERED)
    return cuts[after - 1] if after and cuts[after - 1] > start else cuts[after]


def cuts_of(lengths: Iterable[int]) -> tuple[int, ...]:
    """The ends of pieces as far as they are needed: one about every `GATHERED` bytes, and the last."""
    cuts, at, last = [], 0, 0
    for length in lengths:
        if at > last and at + length - last > GATHERED:
            cuts.append(at)
            last = at
        at += length
    return (*cuts, at) if at > last else tuple(cuts)


def tag_of(media_type: str, pieces: Sequence[bytes]) -> str:
    """The entity tag of a body that came without one: a digest of its bytes, of which a boundary is no part.

    Blocks for half a millisecond a MiB.
    """
    media = parse_media_type(media_type)
    data = b"".join(pieces)
    if boundary := media.param("boundary"):
        data = data.replace(b"--" + boundary.encode(errors="surrogateescape"), b"--")
    made = sha256(repr([media.type, *(pair for pair in media.params if pair[0] != "boundary")]).encode(errors="surrogateescape"))
    made.update(data)
    return made.hexdigest()[:32]
