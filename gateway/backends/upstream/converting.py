"""Instances of an origin in the transfer syntax that a caller wants, written anew while they pass.

What can be given of an instance is what a local store gives (`representations`): as stored, or Explicit VR Little Endian from
the other native syntaxes. The syntax is read from the file meta information of each, for part headers are often silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from gateway.backends.base import Body, Piece
from gateway.backends.representations import DICOM, NATIVE, TRANSCODE_PIECE, typed
from gateway.backends.upstream.client import Answer
from gateway.backends.upstream.reframing import META, Closing, events, tagged
from gateway.dicom.elements import SYNTAX, Limits, Walk
from gateway.dicom.native import Transcoder
from gateway.dicomweb import framing
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, choose
from gateway.dicomweb.multipart import Data, Event, Part, PartEnd
from gateway.errors import InstanceError, NotAcceptable, OriginFailed


class Wish(NamedTuple):
    """What a caller takes of instances.

    :param multipart: the frame. :param stored: whether as stored is what suits best.
    :param syntaxes: transfer syntaxes that will do, best first.
    """

    multipart: bool
    stored: bool
    syntaxes: tuple[str, ...]


def wish_of(accept: Accept, default: str, *, single: bool) -> Wish:
    """What suits a caller best of what an origin may have.

    :param default: the transfer syntax for a caller who names none, ``*`` for as stored.
    :param single: whether a body of one part may be given (PS3.18 10.4.4).
    :raises NotAcceptable: when no instance can be given in such a form.
    """
    named = [one.transfer_syntax for one in (*accept.ranges, *accept.fallback)]
    syntaxes = [uid for uid in dict.fromkeys([*named, default]) if uid not in (None, "*")]
    forms = (True, False) if single else (True,)
    offers = [Offer(DICOM, syntax, multipart=multipart, as_stored=syntax == "*") for multipart in forms for syntax in ("*", *syntaxes)]
    chosen = choose(accept, offers, default)
    if chosen is None:
        raise NotAcceptable(f'instances are application/dicom; ask for multipart/related; type="{DICOM}"; transfer-syntax=*')
    fitting = [uid for uid in syntaxes if choose(accept, [Offer(DICOM, uid, multipart=chosen.multipart)], default)]
    return Wish(chosen.multipart, chosen.as_stored, tuple(uid for uid in fitting if uid is not None))


def refused(stored: str) -> NotAcceptable:
    """Why an instance cannot be given, and how it could be had."""
    return NotAcceptable(
        f"stored as {stored}, which cannot be given in a form that was asked for; "
        f'ask for multipart/related; type="{DICOM}"; transfer-syntax=* to get it as stored'
    )


class NotConvertible(Exception):
    """An instance cannot be written here as the caller wants it. :param stored: its transfer syntax."""

    def __init__(self, stored: str) -> None:
        super().__init__(stored)
        self.stored = stored


class _Instances:
    """The instances of an answer, one after another."""

    def __init__(self, found: AsyncGenerator[Event, None]) -> None:
        self._found = found
        self._held: list[bytes] = []
        self._inside = False
        self.syntax = ""
        self.uids = ("", "", "")

    async def next(self) -> bool:
        """Goes to the next instance and reads on until `syntax` is known; False when there is none."""
        async for event in self._found:
            if isinstance(event, Part):
                self._inside = True
                break
        if not self._inside:
            return False
        walk = Walk(wanted=(SYNTAX,), stop_after=META)
        self._held, self.syntax = [], ""
        try:
            while not walk.syntax and (piece := await self._next_piece()):
                self._held.append(piece)
                walk.feed(piece)
        except InstanceError as error:
            raise OriginFailed(f"The origin's answer is no DICOM file: {error.message}") from None
        self.syntax = walk.syntax
        return True

    async def piece(self) -> bytes:
        """The next bytes of the instance; empty at its end."""
        return self._held.pop(0) if self._held else await self._next_piece()

    async def _next_piece(self) -> bytes:
        if self._inside:
            async for event in self._found:
                if isinstance(event, Data):
                    return event.data
                if isinstance(event, PartEnd):
                    break
        self._inside = False
        return b""

    async def aclose(self) -> None:
        await self._found.aclose()


async def converted(answer: Answer, wish: Wish, limits: Limits) -> Body:
    """The instances of an answer as the caller wants them; closes the answer when it raises.

    :raises NotConvertible: of the first instance; one that comes later breaks the body off.
    """
    found = _Instances(events(answer))
    try:
        if not await found.next():
            raise OriginFailed("The origin's answer holds no instance.")
        syntax = _given(found.syntax, wish)
    except BaseException:
        await found.aclose()
        raise
    if wish.multipart:
        boundary = framing.new_boundary()
        pieces = Closing(_parts(found, wish, limits, boundary), found.aclose)
        return tagged(Body(framing.content_type(DICOM, boundary), pieces, weak=True), answer, *wish.syntaxes)
    return tagged(Body(typed(DICOM, syntax), Closing(_alone(found, syntax, limits), found.aclose)), answer)


def _given(stored: str, wish: Wish) -> str:
    """The syntax in which an instance goes out."""
    if stored in wish.syntaxes:
        return stored
    if stored in NATIVE and EXPLICIT_LITTLE_ENDIAN in wish.syntaxes:
        return EXPLICIT_LITTLE_ENDIAN
    raise NotConvertible(stored)


async def _alone(found: _Instances, syntax: str, limits: Limits) -> AsyncGenerator[Piece, None]:
    async with aclosing(_written(found, syntax, limits)) as pieces:
        async for piece in pieces:
            yield piece
    if await found.next():
        raise OriginFailed("The origin answers with several instances where one was asked for.")


async def _parts(found: _Instances, wish: Wish, limits: Limits, boundary: str) -> AsyncGenerator[Piece, None]:
    first = more = True
    while more:
        try:
            syntax = _given(found.syntax, wish)
        except NotConvertible as error:
            raise refused(error.stored) from None
        yield framing.part_head(boundary, typed(DICOM, syntax), first=first)
        async with aclosing(_written(found, syntax, limits)) as pieces:
            async for piece in pieces:
                yield piece
        first = False
        more = await found.next()
    yield framing.closing(boundary)


async def _written(found: _Instances, syntax: str, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The bytes of one instance in this syntax."""
    if syntax == found.syntax:
        while piece := await found.piece():
            yield piece
        return
    transcoder = Transcoder(limits=limits)
    try:
        pieces = [b""]
        while pieces:
            pieces = await _gathered(found)
            if made := await asyncio.to_thread(_transcode, transcoder, pieces):
                yield made
    except InstanceError as error:
        raise OriginFailed(f"The origin's instance cannot be written anew: {error.message}") from None


async def _gathered(found: _Instances) -> list[bytes]:
    """As many pieces as are worth a hop to a thread; none at the end of the instance."""
    pieces: list[bytes] = []
    size = 0
    while size < TRANSCODE_PIECE and (piece := await found.piece()):
        pieces.append(piece)
        size += len(piece)
    return pieces


def _transcode(transcoder: Transcoder, pieces: list[bytes]) -> bytes:
    """:param pieces: none to end the file."""
    made = [one for piece in pieces for one in transcoder.feed(piece)] if pieces else transcoder.finish()
    return b"".join(made)
