"""Stored instances as bodies: which representation a caller gets, and its bytes (PS3.18 8.7.3, 10.4.3).

Shared by every backend that holds the bytes itself. A backend describes an instance as a `Blob`; everything here that is
not a coroutine may block, and is called from worker threads.

What can be had of an instance:
- as stored, always;
- Explicit VR Little Endian from the other native syntaxes, by `dicom.native`;
- its frames as stored, native ones as little-endian octets;
- anything else is 406, and the message names the stored syntax.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from gateway.backends.base import Body, FileSlice, Piece
from gateway.backends.validators import State, state_of, validator
from gateway.dicom.elements import Limits
from gateway.dicom.header import Instance
from gateway.dicom.native import Transcoder
from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED, IMPLICIT
from gateway.dicomweb import framing
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, choose
from gateway.errors import NotAcceptable

T = TypeVar("T")

DICOM = "application/dicom"
OCTETS = "application/octet-stream"
JSON = "application/dicom+json"

TRANSCODE_PIECE = 1 << 20
"""Bytes of a file that one hop to a worker thread transcodes."""

OPEN_AT_ONCE = 16
"""Files of a study that are opened ahead in one hop."""

NATIVE = frozenset({IMPLICIT, EXPLICIT_LITTLE_ENDIAN, BIG_ENDIAN, *DEFLATED})


class Source(Protocol):
    """The bytes of one stored instance."""

    def read(self, offset: int, length: int) -> bytes:
        """Some of them; blocks."""
        ...

    def piece(self, offset: int, length: int) -> Piece:
        """Some of them to be sent; blocks, and opens what has to be open."""
        ...


@dataclass(frozen=True, slots=True)
class Blob:
    """One stored instance.

    :param version: changes with its bytes.
    :param modified: seconds since the epoch.
    """

    instance: Instance
    size: int
    version: str
    modified: float
    source: Source

    @property
    def state(self) -> State:
        """What a body that is made of it alone hangs on."""
        return state_of([self.version], [self.modified])


def state_of_all(blobs: Sequence[Blob]) -> State:
    """What a body that is made of all of them hangs on."""
    return state_of([blob.version for blob in blobs], [blob.modified for blob in blobs])


class Runner(Protocol):
    """How a backend gets blocking work off the loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """What `work` returns."""
        ...


async def opened(run: Runner, work: Callable[[], T], close: Callable[[T], None]) -> T:
    """What `work` opens in a worker thread; closed again there when nobody waits for it any more."""
    future = asyncio.ensure_future(run(work))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(partial(_close_late, close))
        raise


def _close_late(close: Callable[[T], None], future: asyncio.Future[T]) -> None:
    if not future.cancelled() and future.exception() is None:
        close(future.result())


# -- whole instances


def chosen_syntax(blob: Blob, accept: Accept, default: str, *, single: bool) -> Offer:
    """What goes out of an instance.

    :param default: the transfer syntax for a caller who names none, ``*`` for as stored.
    :param single: whether a body of one part may be given (PS3.18 10.4.4).
    :raises NotAcceptable: naming the stored transfer syntax.
    """
    stored = blob.instance.transfer_syntax
    syntaxes = [(stored, True)]
    if stored in NATIVE and stored != EXPLICIT_LITTLE_ENDIAN:
        syntaxes.append((EXPLICIT_LITTLE_ENDIAN, False))
    offers = [
        Offer(DICOM, syntax, multipart=multipart, as_stored=as_stored)
        for multipart in ((True, False) if single else (True,))
        for syntax, as_stored in syntaxes
    ]
    offer = choose(accept, offers, default)
    if offer is None:
        raise NotAcceptable(
            f"stored as {stored}, which cannot be given in a form that was asked for; "
            f'ask for multipart/related; type="{DICOM}"; transfer-syntax=* to get it as stored'
        )
    return offer


def instances(
    blobs: Sequence[Blob],
    accept: Accept,
    default: str,
    run: Runner,
    *,
    single: bool,
    limits: Limits = Limits(),
) -> Body:
    """Instances in the order of `blobs`."""
    chosen: dict[str, Offer] = {}  # a study has few syntaxes and thousands of instances
    for blob in blobs:
        if (syntax := blob.instance.transfer_syntax) not in chosen:
            chosen[syntax] = chosen_syntax(blob, accept, default, single=single)
    offers = [chosen[blob.instance.transfer_syntax] for blob in blobs]
    if single and not offers[0].multipart:
        return _single(blobs[0], offers[0], run, limits)
    return _multipart(blobs, offers, run, limits)


def _single(blob: Blob, offer: Offer, run: Runner, limits: Limits) -> Body:
    media = typed(DICOM, offer.transfer_syntax)
    etag = validator(blob.state.digest, "instance", media)
    if not offer.as_stored:
        return Body(media, _transcoded(blob, run, limits), etag=etag, modified=blob.modified)
    return whole(media, blob.source.piece(0, blob.size), etag, blob.modified)


def whole(media: str, piece: Piece, etag: str, modified: float) -> Body:
    """A body of one piece, of which ranges can be asked for. The piece is opened before, and closed when nobody takes it."""
    length = size_of(piece)
    left = [piece]

    async def pieces(start: int, stop: int) -> AsyncGenerator[Piece, None]:
        if left:
            yield _part(left.pop(), start, stop)

    def close() -> None:
        close_pieces(left)
        left.clear()

    def select(start: int, stop: int) -> Body:
        return Body(media, pieces(start, stop), stop - start, etag, modified=modified, close=close)

    return Body(media, pieces(0, length), length, etag, modified=modified, select=select, close=close)


def size_of(piece: Piece) -> int:
    """Bytes of a piece."""
    return len(piece) if isinstance(piece, bytes) else piece.length


def _part(piece: Piece, start: int, stop: int) -> Piece:
    if isinstance(piece, bytes):
        return piece[start:stop]
    return FileSlice(piece.descriptor, piece.offset + start, stop - start)


def _multipart(blobs: Sequence[Blob], offers: Sequence[Offer], run: Runner, limits: Limits) -> Body:
    boundary = framing.new_boundary()
    made = {offer: framing.part_head(boundary, typed(DICOM, offer.transfer_syntax)) for offer in set(offers)}
    heads = [made[offer] for offer in offers]
    heads[0] = heads[0].removeprefix(b"\r\n")
    tail = framing.closing(boundary)
    length = None
    if all(offer.as_stored for offer in offers):
        length = sum(map(len, heads)) + sum(blob.size for blob in blobs) + len(tail)

    async def pieces() -> AsyncGenerator[Piece, None]:
        for start in range(0, len(blobs), OPEN_AT_ONCE):
            some = range(start, min(start + OPEN_AT_ONCE, len(blobs)))
            ahead = await opened(run, partial(_open, blobs, offers, some), _close_all)
            try:
                for index in some:
                    yield heads[index]
                    if (piece := ahead.pop(index, None)) is not None:
                        yield piece
                    else:
                        async for made in _transcoded(blobs[index], run, limits):
                            yield made
            finally:
                _close_all(ahead)
        yield tail

    state = state_of_all(blobs)
    etag = validator(state.digest, "instances", *(offer.transfer_syntax or "" for offer in offers))
    media = framing.content_type(DICOM, boundary)
    return Body(media, pieces(), length, etag, weak=True, modified=state.modified, instances=state.instances)


def _open(blobs: Sequence[Blob], offers: Sequence[Offer], some: range) -> dict[int, Piece]:
    ahead: dict[int, Piece] = {}
    try:
        for index in some:
            if offers[index].as_stored:
                ahead[index] = blobs[index].source.piece(0, blobs[index].size)
    except BaseException:
        _close_all(ahead)
        raise
    return ahead


def _close_all(ahead: dict[int, Piece]) -> None:
    close_pieces(ahead.values())


def close_pieces(pieces: Iterable[Piece]) -> None:
    """Closes what was opened for pieces that nobody took."""
    for piece in pieces:
        if isinstance(piece, FileSlice):
            os.close(piece.descriptor)


async def _transcoded(blob: Blob, run: Runner, limits: Limits) -> AsyncGenerator[Piece, None]:
    """An instance as Explicit VR Little Endian, in bounded memory."""
    transcoder = Transcoder(limits=limits)
    for offset in range(0, blob.size, TRANSCODE_PIECE):
        if piece := await run(partial(_feed, transcoder, blob, offset, min(TRANSCODE_PIECE, blob.size - offset))):
            yield piece
    if piece := await run(partial(_finish, transcoder)):
        yield piece


# A header comes out as thousands of small pieces; joined here, they do not keep the loop writing one by one.
def _feed(transcoder: Transcoder, blob: Blob, offset: int, count: int) -> bytes:
    return b"".join(transcoder.feed(blob.source.read(offset, count)))


def _finish(transcoder: Transcoder) -> bytes:
    return b"".join(transcoder.finish())


def typed(media: str, syntax: str | None) -> str:
    """A media type with its transfer syntax, which may stay unsaid only where it is the default (PS3.18 8.7.3.5.2)."""
    return media if syntax in (None, EXPLICIT_LITTLE_ENDIAN) else f"{media}; transfer-syntax={syntax}"
