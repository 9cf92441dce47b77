"""A request's bytes as uploads: socket chunks -> multipart scanner -> header peek -> `Upload`.

The backend pulls: it asks for the next upload, and reads that upload's body; only then is the socket read. There is no
queue and no task, so a slow disk slows the sender, and nothing piles up.

Held in memory a request: one chunk, half a delimiter, and the first bytes of one instance until its UIDs are known. The
last counts against one `Budget` that all requests of the process share.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiofiles

from gateway import metrics
from gateway.backends.base import Failed, Upload
from gateway.dicom.header import NEED_MORE, Instance, Peeked, peek
from gateway.dicomweb.media import parse_media_type
from gateway.dicomweb.multipart import Data, End, Event, MultipartLimits, Part, PartEnd, Scanner
from gateway.dicomweb.reasons import Reason
from gateway.errors import BadRequest, Busy, InstanceError

FILE_PIECE = 256 << 10
"""Bytes read from a file at once; larger pieces cost page faults."""

PEEK_INLINE = 16 << 10
"""Bytes that are peeked at on the loop: 63 of 64 files have their UIDs in half of that, and 16 KiB cannot hold more than 2,048
elements, which take two milliseconds."""

DICOM = "application/dicom"


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Bounds of one instance on its way in; each is a setting under ``[limits]``.

    :param multipart: of the framing.
    :param instance_bytes: of one whole instance.
    :param header_bytes: that are looked at to find the UIDs.
    """

    multipart: MultipartLimits = field(default_factory=MultipartLimits)
    instance_bytes: int = 16 << 30
    header_bytes: int = 16 << 20


class Budget:
    """Bytes that all requests of a process may hold together.

    :param total: the setting ``limits.buffered_bytes``.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0

    def take(self, count: int) -> None:
        """:raises Busy: when that much is not left; nothing is taken then."""
        if self._held + count > self._total:
            raise Busy("too many headers are being received at once (limits.buffered_bytes); try again")
        self._held += count
        metrics.BUFFERED_BYTES.set(self._held)

    def give(self, count: int) -> None:
        """Gives back what was taken."""
        self._held -= count
        metrics.BUFFERED_BYTES.set(self._held)


class Intake:
    """The instances of one request.

    Parts that turn out not to be instances never come out; they are listed in `failed`. The errors that are raised are those of
    the whole request, and the iteration is over then.

    :param events: the scanner's events, as the socket brings them.
    :param study: the Study Instance UID of the URL, which every instance must have.
    :param closed: studies that take nothing, for they are being deleted.
    """

    def __init__(
        self,
        events: AsyncIterator[Event],
        limits: IntakeLimits,
        budget: Budget,
        study: str | None = None,
        closed: frozenset[str] = frozenset(),
    ) -> None:
        self._events = events
        self._limits = limits
        self._budget = budget
        self._study = study
        self._closed = closed
        self._in_part = False
        self.parts = 0
        self.failed: list[Failed] = []

    async def uploads(self) -> AsyncGenerator[Upload, None]:
        """One after another, each to be read before the next one is asked for."""
        async for event in self._events:
            if not isinstance(event, Part):
                continue  # what nobody wanted of the part before
            self.parts += 1
            self._in_part = True
            upload = await self._open(self.parts, event)
            if upload is not None:
                yield upload
            else:  # nothing that is awaited for it ever waits when thousands of bad parts came in one chunk
                await asyncio.sleep(0)

    async def _open(self, number: int, part: Part) -> Upload | None:
        """Reads a part until its UIDs are known."""
        held: list[bytes] = []
        taken = 0
        try:
            _check_type(part)
            instance: Instance | Peeked = NEED_MORE
            more = 0
            while not isinstance(instance, Instance):
                final = not self._in_part
                if (held and taken >= more) or final:
                    prefix = held[0] if len(held) == 1 else b"".join(held)
                    held = [prefix]
                    instance = await _peek(prefix, final)
                    more = 2 * taken  # doubling keeps the work of repeated peeks linear
                    if instance is not NEED_MORE:
                        continue
                    if taken > self._limits.header_bytes or final:
                        raise InstanceError(Reason.CANNOT_UNDERSTAND, "the UIDs are not within limits.header_bytes")
                piece = await self._piece()
                if piece:
                    self._budget.take(len(piece))
                    taken += len(piece)
                    held.append(piece)
            check_study(instance, self._study, self._closed)
        except InstanceError as error:
            self.failed.append(Failed(number, error.reason, error.message, error.sop_class, error.sop))
            return None
        finally:
            self._budget.give(taken)
        return Upload(number, instance, self._body(held))

    async def _body(self, held: list[bytes]) -> AsyncGenerator[bytes, None]:
        size = 0
        while held or self._in_part:
            piece = held.pop(0) if held else await self._piece()
            size += len(piece)
            if size > self._limits.instance_bytes:
                raise InstanceError(Reason.OUT_OF_RESOURCES, f"larger than limits.instance_bytes = {self._limits.instance_bytes}")
            if piece:
                yield piece

    async def _piece(self) -> bytes:
        """The next bytes of the part; empty at its end.

        :raises InstanceError: when the request ends before the part does.
        """
        async for event in self._events:
            if isinstance(event, Data):
                return event.data
            if isinstance(event, PartEnd):
                self._in_part = False
                if not event.complete:
                    raise InstanceError(Reason.CANNOT_UNDERSTAND, "cut off: the request ended before the boundary")
                return b""
        self._in_part = False
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "cut off")


def check_study(instance: Instance, study: str | None, closed: frozenset[str]) -> None:
    """Whether the study of an instance may be stored into.

    :param study: of the URL, None where it names none. :param closed: studies that are being deleted.
    :raises InstanceError: `sop` and `sop_class` are set.
    """
    if study is not None and instance.study != study:
        reason = "the instance is of another study than the URL names"
    elif instance.study in closed:
        reason = "the study is being deleted; try again when the operation has ended"
    else:
        return
    error = InstanceError(Reason.PROCESSING_FAILURE, reason, 0x0020000D)
    error.sop, error.sop_class = instance.sop, instance.sop_class
    raise error


async def _peek(prefix: bytes, final: bool) -> Instance | Peeked:
    """Who the instance is. A header of usual size is read here and now; a long one must not keep the loop."""
    if len(prefix) <= PEEK_INLINE:
        return peek(prefix, final=final)
    found = peek(memoryview(prefix)[:PEEK_INLINE])
    if found is not NEED_MORE:
        return found
    metrics.LONG_HEADERS.inc()
    return await asyncio.to_thread(peek, prefix, final=final)


def _check_type(part: Part) -> None:
    """A part that says that it is something else than DICOM is not looked into (PS3.18 8.6.1.2.2)."""
    declared = part.headers.get("content-type")
    if declared is None or declared == DICOM:
        return
    try:
        media = parse_media_type(declared)
    except BadRequest:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "the part's Content-Type cannot be read") from None
    if media.type not in (DICOM, "application/octet-stream"):
        raise InstanceError(Reason.CANNOT_UNDERSTAND, "the part's Content-Type is not application/dicom")


# -- where events come from


async def multipart_events(chunks: AsyncIterator[bytes], boundary: bytes, limits: MultipartLimits) -> AsyncGenerator[Event, None]:
    """The events of a multipart body (PS3.18 8.6.1.2).

    :raises MalformedMultipart: :raises TooLarge: see `Scanner`.
    """
    scanner = Scanner(boundary, limits)
    async for chunk in chunks:
        for event in scanner.scan(chunk):
            yield event
    for event in scanner.close():
        yield event


async def single_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
    """A body that is one instance, as the events of a multipart body with one part."""
    yield Part({})
    async for chunk in chunks:
        yield Data(chunk)
    yield PartEnd(True)
    yield End()


async def file_chunks(path: Path) -> AsyncGenerator[bytes, None]:
    """A file on disk, as a request would bring it."""
    async with aiofiles.open(path, "rb") as file:
        while chunk := await file.read(FILE_PIECE):
            yield chunk
