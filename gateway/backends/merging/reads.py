"""One body out of several members: a study of which each has a part (PS3.18 10.4).

1. What each member has is listed before anything is read, `first` before all: an instance that moves on meanwhile is then
   in the list, or where it moved to.
2. The first member's body passes as it is, part by part, and it is noted whose parts they were. Of the later ones only those
   instances are read that did not come by: one by one, each from where it is by then.
3. What `first` has is given as it has it, wherever else it lies: the others may have an older version, that is left out of their
   bodies. Who has nothing beyond that is not read at all.
4. Who does not answer before the first byte is left out, and the answer says so; afterwards the body breaks off.
5. No validator is given: nobody counts the versions of all places together.
6. Of pictures, what a member cannot draw is left out, as each member leaves out what it cannot draw of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

import orjson

from gateway.backends.base import Body, FileSlice, Piece, Retrieve, View
from gateway.backends.documents import metadata_body, metadata_offer
from gateway.backends.merging.members import Member, Round, holders
from gateway.backends.merging.tallies import parsed, uid
from gateway.backends.upstream.rewriting import Splitter
from gateway.dicom.header import Instance, peek
from gateway.dicomweb import framing
from gateway.dicomweb.media import parse_accept, parse_media_type
from gateway.dicomweb.multipart import Data, Event, MultipartLimits, Part, Scanner, boundary_of
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, InstanceError, NotAcceptable, NotFound, OriginFailed

PAGE = 5_000
"""Instances that are listed with one question."""

PIECE = 256 << 10
"""Bytes of a file that are read at once."""

HEAD = 256 << 10
"""Bytes of an instance that are held until its UIDs are found; beyond, it is given out as one that nobody else has."""

LIMITS = MultipartLimits(parts=1 << 20)
"""Of members' bodies: a study may have more instances than a request may bring parts."""

JSON = parse_accept(["application/dicom+json"])

_INSTANCE = re.compile(r"/instances/([0-9.]+)(?:/|$)")

Missing = NotFound | Gone | NotAcceptable

Uids = tuple[str, str]
"""Series and instance."""


@dataclass
class _Reading:
    """What is read from whom. :param listed: by member, in order, the instances of the resource. :param first: whose versions count.
    :param seen: those that went out."""

    retrieve: Retrieve
    listed: dict[Member, list[Uids]]
    first: Member | None = None
    seen: set[str] = field(default_factory=set)

    def hidden(self, member: Member) -> set[str]:
        """What is not taken from a member: `first` has it."""
        return set() if member is self.first or self.first is None else {sop for _, sop in self.listed.get(self.first, ())}

    def order(self) -> list[Member]:
        """Whose bodies are tried: those who have nothing of their own only where `first` has nothing any more."""
        idle = [member for member, uids in self.listed.items() if self.hidden(member).issuperset(sop for _, sop in uids)]
        return [member for member in self.listed if member not in idle] + idle

    def later(self, members: Sequence[Member]) -> list[Member]:
        """Of whom single instances are read after a body: these, and `first`, from which they may have gone while it was opened."""
        return [member for member in self.listed if member is self.first or member in members]

    def left(self, member: Member) -> list[Uids]:
        hidden = self.hidden(member)
        return [uids for uids in self.listed[member] if uids[1] not in self.seen and uids[1] not in hidden]

    def alone(self, uids: Uids) -> Retrieve:
        """The same read of one instance."""
        return replace(self.retrieve, resource=Resource(self.retrieve.resource.study, *uids))


async def list_instances(asking: Round, member: Member, resource: Resource) -> list[Uids] | None:
    """The instances of a resource that a member has, in its order; None when it does not answer."""
    where = Resource(resource.study, resource.series)
    found: dict[Uids, None] = {}
    while True:
        matches = await asking.ask(member, Query("instance", where, limit=PAGE, offset=len(found)))
        if matches is None:
            return None
        objects = await asyncio.to_thread(parsed, matches)
        before = len(found)
        found |= {(resource.series or uid(one, "series"), uid(one, "instance")): None for one in objects}
        if matches.remaining == 0 or len(found) == before:
            return list(found)


async def read_in_parts(asking: Round, members: Sequence[Member], retrieve: Retrieve, *, first: Member | None = None) -> Body:
    """A study or series of which several members have a part.

    :param retrieve: of no single instance.
    :param members: in the order in which their parts come; `first` among them is listed before the others.
    :raises NotFound: when none has any of it (any more). :raises NotAcceptable: as `Backend.retrieve`.
    """
    order = sorted(members, key=lambda member: member is not first)
    listed = {member: found for member in order if (found := await list_instances(asking, member, retrieve.resource))}
    reading = _Reading(retrieve, {member: listed[member] for member in members if member in listed}, first)
    instances = len({uids for found in listed.values() for uids in found})
    if retrieve.view is View.METADATA:
        metadata_offer(retrieve.accept)
        body = metadata_body(retrieve.accept, _documents(reading), None, asyncio.to_thread)
    else:
        body = await _multipart(asking, reading)
    return replace(body, instances=max(1, instances), served=asking.served())


# -- metadata


async def _documents(reading: _Reading) -> AsyncGenerator[list[bytes], None]:
    asked = replace(reading.retrieve, accept=JSON)
    if not (order := reading.order()):
        return
    hidden = reading.hidden(order[0])
    async with aclosing(_objects(await _opened(order[0], asked))) as batches:
        async for some in batches:
            named = await asyncio.to_thread(_sops, some)
            reading.seen |= {*named} - hidden
            if kept := [one for one, sop in zip(some, named, strict=True) if sop not in hidden]:
                yield kept
    for member in reading.later(order[1:]):
        for uids in reading.left(member):
            body = await _from_anywhere(reading, member, replace(reading.alone(uids), accept=JSON))
            async with aclosing(_objects(body)) as batches:
                async for some in batches:
                    yield some
            reading.seen.add(uids[1])


async def _objects(body: Body | None) -> AsyncGenerator[list[bytes], None]:
    """The objects of a JSON array, as they arrive."""
    if body is None:
        return
    splitter = Splitter()
    async with aclosing(_bytes(body)) as pieces:
        async for piece in pieces:
            if some := await asyncio.to_thread(splitter.feed, piece):
                yield some
    if some := splitter.finish():
        yield some


def _sops(objects: Iterable[bytes]) -> list[str]:
    return [uid(orjson.loads(one), "instance") for one in objects]


# -- parts


async def _multipart(asking: Round, reading: _Reading) -> Body:
    """:raises NotFound: when no member has anything of that view."""
    opened, whole, rest = await _first(asking, reading)
    try:
        for member in rest:  # whether it has a form that is asked for is said before the first byte
            await _given_back(await _opened(member, reading.retrieve))
    except BaseException:
        await opened.aclose()
        raise
    boundary = framing.new_boundary()
    inner = parse_media_type(opened.media_type).param("type") or "application/octet-stream"
    pieces = _reframed(reading, opened, whole, rest, boundary)
    return Body(framing.content_type(inner, boundary), pieces, weak=True, close=opened.close)


async def _first(asking: Round, reading: _Reading) -> tuple[Body, Member, list[Member]]:
    """The body of the first member that has something of that view, that member, and those behind it.

    :raises NotFound: what one says that still has the resource: who lost it meanwhile knows nothing of what it had.
    """
    missing: dict[Member, Missing] = {}
    order = reading.order()
    for number, member in enumerate(order, 1):
        try:
            return await member.backend.retrieve(reading.retrieve), member, order[number:]
        except _missing(reading.retrieve) as error:
            missing[member] = error
    for member in [*await holders(asking, missing, reading.retrieve.resource), *missing]:
        raise missing[member]
    raise NotFound(f"there is no such {reading.retrieve.resource.level} here")


async def _given_back(body: Body | None) -> None:
    if body is not None:
        await body.aclose()


async def _reframed(reading: _Reading, opened: Body, whole: Member, rest: Sequence[Member], boundary: str) -> AsyncGenerator[Piece, None]:
    frame = _Frame(boundary, reading.retrieve.resource)
    identify = _sop_of_bytes if reading.retrieve.view is View.INSTANCES else None
    async with aclosing(frame.parts(opened, reading.retrieve.resource, reading.seen, identify, reading.hidden(whole))) as pieces:
        async for piece in pieces:
            yield piece
    for member in reading.later(rest):
        for uids in reading.left(member):
            alone = reading.alone(uids)
            if (body := await _from_anywhere(reading, member, alone)) is None:
                continue
            async with aclosing(frame.parts(body, alone.resource, set(), None)) as pieces:
                async for piece in pieces:
                    yield piece
            reading.seen.add(uids[1])
    yield framing.closing(boundary)


class _Frame:
    """Puts the parts of several bodies into one.

    :param resource: what was asked for: locations become relative to it.
    """

    def __init__(self, boundary: str, resource: Resource) -> None:
        self._boundary = boundary
        self._base = resource.path + "/"
        self._begun = False

    async def parts(
        self,
        body: Body,
        resource: Resource,
        seen: set[str],
        identify: Callable[[bytes], str | None] | None,
        hidden: Collection[str] = (),
    ) -> AsyncGenerator[Piece, None]:
        """The parts of a body, without those of the instances `hidden`.

        :param seen: grows by the instances that they are of. :param identify: finds that in a part's bytes.
        """
        waiting: _Waiting | None = None
        dropped = False
        async with aclosing(parts_of(body)) as events:
            async for event in events:
                if isinstance(event, Part):
                    if waiting is not None:
                        yield self._begun_with(waiting, resource)
                    waiting, dropped = _Waiting(event, self._located(event, resource)), False
                elif waiting is None:
                    if isinstance(event, Data) and not dropped:
                        yield event.data
                    continue
                elif isinstance(event, Data):
                    waiting.held += event.data
                if waiting.identified(identify):
                    dropped = waiting.sop in hidden
                    if not dropped:
                        seen |= {waiting.sop} if waiting.sop is not None else set()
                        yield self._begun_with(waiting, resource)
                    waiting = None
            if waiting is not None:
                yield self._begun_with(waiting, resource)

    def _located(self, part: Part, resource: Resource) -> str | None:
        """The instance that a part's location names."""
        location = part.headers.get("content-location")
        found = _INSTANCE.search(urljoin(f"{resource.path}/", location)) if location is not None else None
        return found[1] if found else None

    def _begun_with(self, waiting: _Waiting, resource: Resource) -> bytes:
        """A part's head, and what was held of its bytes."""
        part, headers = waiting.part, []
        if (location := part.headers.get("content-location")) is not None:
            headers.append(("Content-Location", urljoin(f"{resource.path}/", location).removeprefix(self._base)))
        first, self._begun = not self._begun, True
        media = part.headers.get("content-type", "application/octet-stream")
        return framing.part_head(self._boundary, media, headers, first=first) + waiting.held


@dataclass
class _Waiting:
    """A part that is held until it is known whose it is. :param sop: that."""

    part: Part
    sop: str | None
    held: bytearray = field(default_factory=bytearray)

    def identified(self, identify: Callable[[bytes], str | None] | None) -> bool:
        """Whether it is known now, or never will be."""
        if self.sop is None and identify is not None:
            try:
                self.sop = identify(bytes(self.held))
            except InstanceError:
                return True
            return self.sop is not None or len(self.held) > HEAD
        return True


def _sop_of_bytes(head: bytes) -> str | None:
    found = peek(head)
    return found.sop if isinstance(found, Instance) else None


# -- what is shared


async def _opened(member: Member, retrieve: Retrieve) -> Body | None:
    """A member's body; None when it has nothing of that (any more)."""
    try:
        return await member.backend.retrieve(retrieve)
    except _missing(retrieve):
        return None


def _missing(retrieve: Retrieve) -> tuple[type[Missing], ...]:
    return (NotFound, Gone, NotAcceptable) if retrieve.view is View.RENDERED else (NotFound, Gone)


async def _from_anywhere(reading: _Reading, member: Member, retrieve: Retrieve) -> Body | None:
    """One instance, from the member that had it or from where it moved to meanwhile; None when it was deleted."""
    for each in (member, *reading.listed):
        if (body := await _opened(each, retrieve)) is not None:
            return body
    return None


async def parts_of(body: Body) -> AsyncGenerator[Event, None]:
    """A body as parts; one that is none of multipart is one part. It is closed at the end.

    :raises OriginFailed: it ends too early.
    """
    media = parse_media_type(body.media_type)
    async with aclosing(_bytes(body)) as pieces:
        if not media.type.startswith("multipart"):
            yield Part({"content-type": body.media_type})
            async for piece in pieces:
                yield Data(piece)
            return
        scanner = Scanner(boundary_of(media), LIMITS)
        async for piece in pieces:
            for event in scanner.feed(piece):
                yield event
        for event in scanner.close():
            yield event
        if not scanner.finished:
            raise OriginFailed("a store broke off in the middle of its answer")


async def _bytes(body: Body) -> AsyncGenerator[bytes, None]:
    """The bytes of a body; those in files are read."""
    try:
        async for piece in body.pieces:
            if isinstance(piece, FileSlice):
                async for some in _of_file(piece):
                    yield some
            elif piece:
                yield piece
    finally:
        await body.aclose()


async def _of_file(piece: FileSlice) -> AsyncIterator[bytes]:
    try:
        for start in range(0, piece.length, PIECE):
            yield await asyncio.to_thread(os.pread, piece.descriptor, min(PIECE, piece.length - start), piece.offset + start)
    finally:
        await asyncio.to_thread(os.close, piece.descriptor)
