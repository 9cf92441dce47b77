"""The whole list of what the gateway asks of a place where instances rest: the Backend protocol and its values.

Values are frozen and travel freely. Streams (`Upload`, `Body`) are read once, in order, and closed by whoever took them.

`memory.MemoryBackend` is the reference: where this file leaves a question open, what it does is the answer, and the
contract suite (tests/backends/test_contract.py) holds every implementation to it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

from gateway.dicom.header import Instance
from gateway.dicomweb.media import Accept
from gateway.dicomweb.query import Query
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.dicomweb.rendering import AS_IT_IS, Rendering
from gateway.dicomweb.resources import Resource


@dataclass(frozen=True, slots=True)
class Upload:
    """One instance on its way in.

    :param part: its place in the request, from 1.
    :param instance: what the peek read.
    :param body: every byte of the instance from the first one, in pieces of any size. Must be read to its end before the
        next upload is asked for; the socket is read only when the body is. Raises `InstanceError` when this instance turns
        out to be cut off or too large: the backend forgets it and goes on with the next upload.
    :param replace: whether it takes the place of another version, whatever the store does with those otherwise. An origin cannot be
        told so: `NotImplementedHere`, with nothing stored.
    """

    part: int
    instance: Instance
    body: AsyncIterator[bytes]
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that is durable, or was before (PS3.18 table I.2-1, Referenced SOP Sequence).

    :param known: the store had it, and nothing of it was changed; False also where the store cannot tell.
    """

    instance: Instance
    warning: WarningReason | None = None
    known: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """A part that was not stored (PS3.18 table I.2-1, Failed SOP Sequence, or Other Failures when nothing is known of it).

    :param part: its place in the request, from 1.
    :param detail: a sentence for people; names tag and reason, never a value.
    """

    part: int
    reason: Reason
    detail: str
    sop_class: str | None = None
    sop: str | None = None


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of each upload of one request; together as long as the uploads."""

    stored: tuple[Stored, ...] = ()
    failed: tuple[Failed, ...] = ()


class View(Enum):
    """Which face of a resource is asked for (PS3.18 10.4.1.1)."""

    INSTANCES = "instances"
    METADATA = "metadata"
    FRAMES = "frames"
    BULKDATA = "bulkdata"
    PIXELDATA = "pixeldata"
    RENDERED = "rendered"
    THUMBNAIL = "thumbnail"


@dataclass(frozen=True, slots=True)
class Retrieve:
    """A read.

    :param resource: for FRAMES it names the instance and carries the frame numbers.
    :param accept: what the caller can take, best first; the backend chooses, since it alone knows what is stored.
    :param bulk: for BULKDATA the path of the element below the instance, as metadata spelled it (``7FE00010`` or
        ``54000100/0/54001010``); None for all bulk data of the resource.
    :param rendering: for RENDERED and THUMBNAIL how the pixels are to be shown; for frames the quality of a lossy encoding.
    """

    resource: Resource
    view: View
    accept: Accept
    bulk: str | None = None
    rendering: Rendering = AS_IT_IS


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes that lie in a file: the web layer hands them to the kernel without looking at them.

    :param descriptor: open for reading; whoever takes the slice closes it.
    :param offset: first byte.
    :param length: number of bytes.
    """

    descriptor: int
    offset: int
    length: int


Piece = bytes | FileSlice


@dataclass(frozen=True, slots=True)
class Served:
    """How an answer came about, for the headers that say so.

    :param cache: whether it was kept from before; None where nothing is ever kept.
    :param age: seconds since it was got from where it rests (RFC 9111 5.1).
    :param warnings: sentences for people: what is missing, what may be out of date. They name stores, never patients.
    :param still: tells the age of this very answer, and counts it as given once more; None when another one would be given now.
    """

    cache: Literal["hit", "miss", "stale"] | None = None
    age: float = 0.0
    warnings: tuple[str, ...] = ()
    still: Callable[[], float | None] | None = field(default=None, compare=False)


PLAIN = Served()
"""Of an answer that has no such story."""


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes on their way out.

    :param media_type: the Content-Type, boundary included.
    :param pieces: the bytes, in order. Raising in the middle means that the connection must be cut: what was sent is wrong.
    :param length: number of bytes when it is known before, else None (the body is then sent chunked).
    :param etag: a validator without quotes: equal ones mean equal bytes. None where none can be given.
    :param weak: the bytes mean the same but may differ, as multipart bodies do in their boundaries (RFC 9110 8.8.1).
    :param modified: seconds since the epoch of the newest change, None where unknown.
    :param select: makes `pieces` start and stop at these offsets instead; None where a range cannot be answered. Called at
        most once, before the first piece is asked for.
    :param instances: how many instances it holds, for the metrics.
    :param close: releases what was opened for pieces that nobody asked for.
    :param served: how it came about.
    :param syntax: of the metadata of an instance, where the store knows it: the transfer syntax in which its frames come as stored.
    """

    media_type: str
    pieces: AsyncGenerator[Piece, None]
    length: int | None = None
    etag: str | None = None
    weak: bool = False
    modified: float | None = None
    select: Callable[[int, int], Body] | None = field(default=None, compare=False)
    instances: int = 1
    close: Callable[[], None] | None = field(default=None, compare=False)
    served: Served = PLAIN
    syntax: str | None = None

    async def aclose(self) -> None:
        """Releases what the body holds; safe to call twice and after reading it all."""
        await self.pieces.aclose()
        if self.close is not None:
            self.close()


@dataclass(frozen=True, slots=True)
class Matches:
    """The answer to a search (PS3.18 10.6.3).

    :param results: each a DICOM JSON object as UTF-8 bytes; URLs start with `URL_BASE` in place of the store's base.
    :param remaining: how many more there are beyond limit and offset; None where there are more and nobody counts them.
    :param modified: when the store last changed, in seconds since the epoch; None where unknown.
    :param served: how the answer came about.
    """

    results: tuple[bytes, ...]
    remaining: int | None = 0
    modified: float | None = None
    served: Served = PLAIN


URL_BASE = "@"
"""Stands for the store's public base URL in JSON that a backend returns, always right after the opening quote of a
RetrieveURL or BulkDataURI value. The web layer puts the real one in on the way out, so nothing that is kept ever depends on
the Host that some caller sent."""


@dataclass(frozen=True, slots=True)
class Health:
    """:param ready: whether requests can be served. :param detail: why not, or a note for people."""

    ready: bool
    writable: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How much a store holds.

    :param size: bytes of all instances; None where to know it would take long.
    """

    studies: int
    series: int
    instances: int
    size: int | None = None


@runtime_checkable
class Countable(Protocol):
    """What a backend may be besides, where it can count without asking anybody else."""

    async def tally(self) -> Tally | None:
        """What there is now, in some milliseconds; None where what is behind cannot count."""
        ...


class Backend(Protocol):
    """A place where instances rest. All methods may be called concurrently."""

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """Stores each upload; returns when what the result calls stored is durable.

        An error that is raised by the iterator itself (the request broke off, a limit of the whole request was passed)
        leaves nothing of this request behind and is passed on.

        :raises OutOfStorage: when nothing could be stored for lack of room before the first byte was read.
        :raises StoreUnavailable: when the store takes no writes at the moment.
        """
        ...

    async def search(self, query: Query) -> Matches:
        """Instances, series or studies that match (PS3.18 10.6). No match is an empty result, never an error.

        :raises InvalidQuery: for a key that this backend cannot match honestly.
        """
        ...

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """The resource in the best representation that the caller accepts.

        :raises NotFound: never stored here. :raises Gone: deleted. :raises NotAcceptable: not in any form asked for.
        """
        ...

    async def delete(self, resource: Resource) -> int:
        """Deletes a study, series or instance durably; returns how many instances that were.

        :raises NotFound: never stored here. :raises Gone: deleted before.
        """
        ...

    async def check(self) -> Health:
        """Whether the store can serve; cheap enough for a probe every second."""
        ...

    async def aclose(self) -> None:
        """Ends all work in order; what was acknowledged is safe already."""
        ...
