"""A read of which nothing current is in memory: from the disk tier, or from the store behind, for all who ask for it now.

A body that is short, or of no use by halves, is answered when it is whole: it has an entity tag then, and its failure can still
be told. A document of a study goes out as it comes. What grows beyond the memory tier's share goes on into the disk tier's file,
and where that has no room either it only passes through.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.backends.base import Backend, Body, FileSlice, Piece, Retrieve, Served
from gateway.backends.cached.coalescing import Flight
from gateway.backends.cached.disk import DiskTier, Part
from gateway.backends.cached.entries import OVERHEAD, Head, Read, cuts_of, tag_of
from gateway.backends.cached.growing import Growing
from gateway.backends.cached.keys import Key, Kind, digest
from gateway.backends.cached.memory import MemoryTier
from gateway.backends.held import LARGE, Held
from gateway.dicomweb.resources import Resource
from gateway.errors import StoreUnavailable

WHOLE = 1 << 20
"""Bytes up to which frames, bulk data and the metadata of an instance are answered whole: nobody shows half of them."""

_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class FromDisk:
    """:param entry: current, and checked."""

    entry: Read


@dataclass(frozen=True, slots=True)
class Large:
    """What is longer than anything that is kept: the first who comes takes the body, and the others ask for themselves."""

    bodies: list[Body]


@dataclass(frozen=True, slots=True)
class Arriving:
    """A body of which the first bytes are there."""

    head: Head
    length: int | None
    document: bool
    growing: Growing
    served: Served

    def body(self, close: Callable[[], None]) -> Body:
        """What one of its readers gets."""
        head = self.head

        def made(start: int, stop: int | None) -> Body:
            length = self.length if stop is None else stop - start
            body = Body(head.media_type, self.growing.read(start, stop), length, head.etag, head.weak, head.modified)
            return replace(body, instances=head.instances, close=close, served=self.served)

        ranges = self.length is not None and not self.document and not head.weak
        return replace(made(0, None), select=made if ranges else None)


Answer = Read | FromDisk | Large | Arriving


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a flight is to bring.

    :param stamp: the current one, read before.
    :param begun: the time of that, as `entries.now` counts.
    """

    key: Key
    retrieve: Retrieve
    kind: Kind
    stamp: int
    begun: float

    @property
    def name(self) -> str:
        """In the disk tier."""
        return digest(self.key)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """:param entry_bytes: the longest body that is kept.
    :param current: whether a stamp still is that of a study.
    """

    inner: Backend
    memory: MemoryTier
    disk: DiskTier | None
    entry_bytes: int
    current: Callable[[Resource, int], bool]

    @property
    def _longest(self) -> int:
        return self.entry_bytes if self.disk is not None else min(self.entry_bytes, self.memory.share)

    async def fetch(self, wanted: Wanted, flight: Flight[Answer]) -> None:
        """Asks the store behind, and answers the flight."""
        body = await self.inner.retrieve(wanted.retrieve)
        if body.length is not None and body.length > self._longest:
            await self._hand_over(body, flight)
            return
        arrival = _Arrival(self, wanted, flight, body)
        try:
            await arrival.receive()
        finally:
            await body.aclose()

    async def _hand_over(self, body: Body, flight: Flight[Answer]) -> None:
        flight.retire()
        large = Large([body])
        somebody = asyncio.Event()
        flight.left = somebody.set
        flight.answer(large)
        try:
            await somebody.wait()  # has taken it, or has left
        finally:
            while large.bodies:
                await large.bodies.pop().aclose()


@dataclass(slots=True)
class _Arrival:
    """One body on its way in.

    :ivar taken: bytes of the memory tier's room that it has.
    :ivar part: where it is written when it is too large for memory.
    """

    arrivals: Arrivals
    wanted: Wanted
    flight: Flight[Answer]
    source: Body
    taken: int = 0
    part: Part | None = None
    lengths: list[int] = field(default_factory=list)
    growing: Growing = field(init=False)

    def __post_init__(self) -> None:
        self.growing = Growing(lambda: self.flight.followers)
        self.flight.left = self.growing.wake

    @property
    def _head(self) -> Head:
        return Head.of(self.source)

    @property
    def _document(self) -> bool:
        return self.wanted.kind == "metadata"

    async def receive(self) -> None:
        try:
            if not self._take(OVERHEAD):
                await self._overflow()
            await self._pull()
            self.flight.whole = True
            self.growing.end()
            await self._keep()
        except asyncio.CancelledError:
            self.growing.fail(StoreUnavailable("the store is being closed"))
            raise
        except BaseException as error:
            self.flight.whole = True
            self.growing.fail(error)
            raise
        finally:
            self.arrivals.memory.give_back(self.taken)
            if self.part is not None and self.arrivals.disk is not None:
                self.arrivals.disk.drop_soon(self.part)

    async def _pull(self) -> None:
        whole = not self._document or self.wanted.retrieve.resource.instance is not None
        async with aclosing(_bytes(self.source.pieces)) as pieces:
            async for piece in pieces:
                await self._add(piece)
                if not whole or self.growing.received > WHOLE:
                    self._answer_now()
        if self.source.length not in (None, self.growing.received):
            raise EOFError("a body has another length than was announced")

    async def _add(self, piece: bytes) -> None:
        if not self.growing.passing and not self._take(len(piece)):
            await self._overflow()
        if self._document:
            self.lengths.append(len(piece))
        await self._write([piece])
        if self.growing.passing:
            self._answer_now()
        await self.growing.add(piece)

    def _answer_now(self) -> None:
        served = Served("miss", self.source.served.age, self.source.served.warnings)
        self.flight.answer(Arriving(self._head, self.source.length, self._document, self.growing, served))

    def _take(self, count: int) -> bool:
        memory = self.arrivals.memory
        if self.taken + count > min(memory.share, self.arrivals.entry_bytes) or not memory.take(count):
            return False
        self.taken += count
        return True

    # -- too large for memory

    async def _overflow(self) -> None:
        """From here on it passes through, and is written beside that where there is room."""
        self.growing.passing = True
        self.flight.retire()
        self.arrivals.memory.give_back(self.taken)
        self.taken = 0
        if self.arrivals.disk is not None and self.arrivals.memory.bound:
            self.part = await self.arrivals.disk.begin(self.wanted.name, self.wanted.kind, self.source.length)
            await self._write(self.growing.pieces)

    async def _write(self, pieces: list[bytes]) -> None:
        disk = self.arrivals.disk
        if self.part is None or disk is None:
            return
        fits = self.growing.received + len(pieces[-1] if pieces else b"") <= self.arrivals.entry_bytes
        if not fits or not await disk.add(self.part, pieces):
            disk.drop_soon(self.part)
            self.part = None

    # -- whole

    async def _keep(self) -> None:
        wanted = self.wanted
        current = self.arrivals.current(wanted.retrieve.resource, wanted.stamp)
        if self.growing.passing or self.source.served.warnings:
            self._answer_now()
        if self.source.served.warnings:
            return
        if self.growing.passing:
            if self.part is not None and self.arrivals.disk is not None and current:
                await self.arrivals.disk.keep(self.part, self._entry(self._head, Held(())))
            return
        try:
            entry = await self._whole()
        except OSError:  # there is no descriptor left: all the same it can be read from here
            self._answer_now()
            return
        if current and self.arrivals.current(wanted.retrieve.resource, wanted.stamp):
            self.arrivals.memory.put(wanted.key, entry)
            self.taken = 0
            if self.arrivals.disk is not None:
                self.arrivals.disk.put_soon(wanted.name, entry)
        self.flight.answer(entry)

    async def _whole(self) -> Read:
        make = partial(self._made, self.growing.pieces)
        return await asyncio.to_thread(make) if self.growing.received >= LARGE else make()

    def _made(self, pieces: list[bytes]) -> Read:
        head = self._head
        if head.etag is None:
            head = replace(head, etag=tag_of(head.media_type, pieces), weak=head.weak or head.media_type.startswith("multipart/"))
        return self._entry(head, Held(pieces))

    def _entry(self, head: Head, held: Held) -> Read:
        return Read(self.wanted.kind, self.wanted.stamp, self.wanted.begun - self.source.served.age, head, held, cuts_of(self.lengths))


async def _bytes(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[bytes, None]:
    """The same pieces; those that lie in files are read."""
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            try:
                for at in range(0, piece.length, _READ):
                    yield await asyncio.to_thread(_pread, piece, at)
            finally:
                os.close(piece.descriptor)


def _pread(piece: FileSlice, at: int) -> bytes:
    data = os.pread(piece.descriptor, min(_READ, piece.length - at), piece.offset + at)
    if len(data) < min(_READ, piece.length - at):
        raise EOFError("a file ended before its length")
    return data
