"""Instances that come as metadata and bulk data (PS3.18 10.5.1.1.2, Annex F), made into the files that a backend stores.

Beside `streams.Intake`, which takes whole files, and of the same shape. How a request passes through:

1. Metadata parts are held in memory, all of a request together at most ``limits.header_bytes``; bulk data wait in a `Spool`. Parts may
   come in any order. Bulk data that nobody may use are passed over and not kept.
2. When the request has ended its metadata become one JSON document an instance, in a thread; each becomes a file when its turn comes:
   a header, and the places of its bulk data in the spool. What is stored is read from there, so nothing is acknowledged before the
   store has it.
3. What is wrong with one instance fails it, with a reason and the tag, and the others go on. A BulkDataURI is a label and is never
   fetched.
4. Bytes of a part that several elements share are stored several times; `SHARED` bounds that, or a small request would fill the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import partial

from gateway.backends.base import Failed, Upload
from gateway.dicomweb.media import MediaType, parse_media_type
from gateway.dicomweb.multipart import Data, Event, Part, PartEnd
from gateway.dicomweb.reasons import Reason
from gateway.errors import BadRequest, InstanceError, TooLarge
from gateway.streams import Budget, IntakeLimits, check_study
from gateway.web.assembling import Assembled, Assembler
from gateway.web.bulkparts import UNIT, BulkArea, BulkPart, Extent, Labels, Spool, in_thread
from gateway.web.metadataparts import JSON, XML, documents

TYPES = (JSON, XML)
"""Media types of metadata."""

OCTETS = "application/octet-stream"
_PLAIN = frozenset({"", "binary", "8bit", "7bit"})


class ComposedIntake:
    """The instances of one request.

    :param events: the scanner's events. :param kind: the media type of a part that names none before the first bulk part.
    :param study: the Study Instance UID of the URL, which every instance must have.
    :param closed: studies that take nothing, for they are being deleted.
    :ivar parts: of the request. :ivar failed: what never became an upload.
    """

    def __init__(
        self,
        events: AsyncIterator[Event],
        kind: str,
        limits: IntakeLimits,
        budget: Budget,
        area: BulkArea,
        study: str | None = None,
        closed: frozenset[str] = frozenset(),
    ) -> None:
        self._events = events
        self._kind = kind
        self._limits = limits
        self._budget = budget
        self._area = area
        self._study = study
        self._closed = closed
        self._spool = Spool(area)
        self._labels = Labels()
        self._metadata: list[tuple[int, str, bytes]] = []
        self._held = 0
        self._broken = False  # whether the disk failed, and nothing of the spool may be read
        self.parts = 0
        self.failed: list[Failed] = []

    async def uploads(self) -> AsyncGenerator[Upload, None]:
        """One after another, each to be read before the next one is asked for."""
        try:
            await self._receive()
            found = await self._documents()
            assembler = Assembler(self._labels, self._spool, self._limits.instance_bytes, alone=len(found) == 1)
            for number, document in found:
                assembled = await self._assembled(assembler, number, document)
                if assembled is not None:
                    yield Upload(number, assembled.instance, self._body(assembled))
            self._judge_unused()
        finally:
            self._metadata.clear()
            self._budget.give(self._held)
            self._held = 0
            await self._spool.aclose()

    # -- the request

    async def _receive(self) -> None:
        """Reads it to its end.

        :raises TooLarge: :raises Busy: metadata beyond ``limits.header_bytes``, or ``limits.buffered_bytes``.
        """
        async for event in self._events:
            if not isinstance(event, Part):
                continue
            self.parts += 1
            try:
                media = _media(event)
                if media.type in TYPES or (not event.headers.get("content-type") and not self._labels.parts and not _location(event)):
                    await self._read_metadata(media.type if media.type in TYPES else self._kind)
                else:
                    await self._read_bulk(event, media)
            except InstanceError as error:
                self.failed.append(Failed(self.parts, error.reason, error.message))
        await self._settle()

    async def _settle(self) -> None:
        try:
            await self._spool.settle()
        except OSError:
            self._broken = True
        if self._broken:
            for part in self._labels.everything():
                part.fault = part.fault or _NO_ROOM

    async def _read_metadata(self, kind: str) -> None:
        pieces: list[bytes] = []
        async for piece in self._pieces():
            if self._held + len(piece) > self._limits.header_bytes:
                raise TooLarge(f"the metadata of a request are more than limits.header_bytes = {self._limits.header_bytes}; send several")
            self._budget.take(len(piece))
            self._held += len(piece)
            pieces.append(piece)
        self._metadata.append((self.parts, kind, b"".join(pieces)))

    async def _read_bulk(self, event: Part, media: MediaType) -> None:
        location = _location(event)
        if not location:
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "a part with bulk data has no Content-Location (PS3.18 8.6.1.2.2)")
        if event.headers.get("content-transfer-encoding", "").lower() not in _PLAIN:
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "a Content-Transfer-Encoding is not read (RFC 9112 B.5)")
        part = BulkPart(self.parts, media.type, media.param("transfer-syntax"), self._spool.size)
        self._labels.add(location, part)
        try:
            async for piece in self._pieces():
                if part.fault is None and not self._broken and not await self._write(piece):
                    part.fault = (Reason.OUT_OF_RESOURCES, "the bulk data of this worker are more than limits.bulk_bytes")
        except InstanceError as error:
            part.fault = (error.reason, error.message)
        part.length = self._spool.size - part.offset

    async def _write(self, piece: bytes) -> bool:
        try:
            return await self._spool.write(piece)
        except OSError:
            self._broken = True
            return True

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes of a part.

        :raises InstanceError: when the request ends before the part does.
        """
        async for event in self._events:
            if isinstance(event, Data):
                yield event.data
            elif isinstance(event, PartEnd):
                if event.complete:
                    return
                break
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "cut off: the request ended before the boundary")

    # -- its instances

    async def _documents(self) -> list[tuple[int, bytes]]:
        """Number of the part and JSON of each instance.

        :raises TooLarge: for more than ``limits.parts``.
        """
        found: list[tuple[int, bytes]] = []
        most = self._limits.multipart.parts
        for number, kind, data in self._metadata:
            try:
                async with self._area.composing:
                    made = await in_thread(partial(documents, kind, data, most - len(found)))
            except InstanceError as error:
                self.failed.append(Failed(number, error.reason, error.message))
                continue
            found += [(number, document) for document in made]
        self._metadata.clear()
        return found

    async def _assembled(self, assembler: Assembler, number: int, document: bytes) -> Assembled | None:
        try:
            async with self._area.composing:
                assembled = await in_thread(partial(assembler.assemble, document))
            check_study(assembled.instance, self._study, self._closed)
        except InstanceError as error:
            self.failed.append(Failed(number, error.reason, error.message, error.sop_class, error.sop))
            return None
        return assembled

    def _judge_unused(self) -> None:
        """A part that no instance refers to was sent for nothing; where metadata could not be read nobody knows."""
        if any(failed.sop is None for failed in self.failed):
            return
        for part in self._labels.everything():
            if not part.wanted:
                self.failed.append(Failed(part.number, Reason.CANNOT_UNDERSTAND, "no instance refers to the Content-Location of this part"))

    async def _body(self, assembled: Assembled) -> AsyncGenerator[bytes, None]:
        pieces = _in_units(assembled.pieces)
        while unit := next(pieces, None):
            if self._spool.in_memory:
                yield self._joined(unit)
                await asyncio.sleep(0)
            else:
                yield await self._read(unit)

    async def _read(self, unit: list[bytes | Extent]) -> bytes:
        try:
            return await in_thread(partial(self._joined, unit))
        except OSError:
            raise InstanceError(Reason.OUT_OF_RESOURCES, "the bulk data cannot be read again") from None

    def _joined(self, unit: list[bytes | Extent]) -> bytes:
        if len(unit) == 1 and isinstance(unit[0], bytes):
            return unit[0]
        return b"".join(piece if isinstance(piece, bytes) else self._spool.read(piece.offset, piece.length) for piece in unit)


_NO_ROOM = (Reason.OUT_OF_RESOURCES, "the bulk data cannot be written to disk")


def _media(part: Part) -> MediaType:
    declared = part.headers.get("content-type")
    try:
        return parse_media_type(declared or OCTETS)
    except BadRequest:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "the part's Content-Type cannot be read") from None


def _location(part: Part) -> str:
    return part.headers.get("content-location", "").strip()


def _in_units(pieces: list[bytes | Extent]) -> Iterator[list[bytes | Extent]]:
    """Pieces that make `UNIT` bytes together and up to twice that; none of them is empty."""
    unit: list[bytes | Extent] = []
    size = 0
    for piece in pieces:
        for part in _cut(piece):
            unit.append(part)
            size += len(part) if isinstance(part, bytes) else part.length
            if size >= UNIT:
                yield unit
                unit, size = [], 0
    if size:
        yield unit


def _cut(piece: bytes | Extent) -> Iterator[bytes | Extent]:
    if isinstance(piece, bytes):
        return (piece[start : start + UNIT] for start in range(0, len(piece), UNIT))
    return (Extent(piece.offset + start, min(UNIT, piece.length - start)) for start in range(0, piece.length, UNIT))
