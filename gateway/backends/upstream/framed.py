"""Frames that an origin cuts out itself, in our own frame (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.backends.base import Body, Piece
from gateway.backends.representations import OCTETS, typed
from gateway.backends.upstream.client import Answer
from gateway.backends.upstream.reframing import Closing, events, named_in, tagged
from gateway.backends.views import frame_offers
from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED
from gateway.dicomweb import framing
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, MediaType, choose, parse_media_type
from gateway.dicomweb.multipart import Data, Event, Part
from gateway.errors import BadRequest, NotAcceptable, OriginFailed


class Unfit(Exception):
    """What the origin calls frames cannot be given as such."""


async def framed(answer: Answer, count: int, accept: Accept) -> Body:
    """The frames of an answer; closes it when it raises.

    :param answer: to `Fetching.frames`: frames as stored, in the order asked for.
    :raises Unfit: when they have to be cut out here. :raises NotAcceptable: naming the stored transfer syntax.
    """
    found = events(answer)
    try:
        part = await anext(found, None)
        syntax = _syntax(part)
        offer = choose(accept, frame_offers(syntax, count))
        if offer is None:
            raise NotAcceptable(
                f"the frames are stored as {syntax}, which cannot be given in a form that was asked for; "
                'ask for multipart/related; type="application/octet-stream"; transfer-syntax=* to get them as stored'
            )
    except BaseException:
        await found.aclose()
        raise
    media = typed(offer.media_type, offer.transfer_syntax)
    boundary = framing.new_boundary() if offer.multipart else ""
    shown = framing.content_type(offer.media_type, boundary) if offer.multipart else media
    body = Body(shown, Closing(_pieces(found, media, boundary, count), found.aclose), weak=offer.multipart)
    return tagged(body, answer)


def _syntax(part: Event | None) -> str:
    """The transfer syntax that the first part names.

    :raises Unfit: when it names none that explains its bytes, or one whose frames are not as they rest.
    """
    if not isinstance(part, Part):
        raise Unfit
    try:
        media: MediaType = parse_media_type(part.headers.get("content-type", OCTETS))
    except BadRequest:
        raise Unfit from None
    syntax = named_in(media) or (EXPLICIT_LITTLE_ENDIAN if media.type == OCTETS else None)
    if syntax is None or syntax == BIG_ENDIAN or syntax in DEFLATED:
        raise Unfit
    return syntax


async def _pieces(found: AsyncGenerator[Event, None], media: str, boundary: str, count: int) -> AsyncGenerator[Piece, None]:
    """:param boundary: empty for a single frame without a frame around it."""
    number = 1
    if boundary:
        yield framing.part_head(boundary, media, first=True)
    async with aclosing(found):
        async for event in found:
            if isinstance(event, Part):
                number += 1
                if number > count:  # at once: there may be a million of them
                    break
                yield framing.part_head(boundary, media)
            elif isinstance(event, Data):
                yield event.data
    if number != count:
        raise OriginFailed(f"The origin answers with {number} frames where {count} were asked for.")
    if boundary:
        yield framing.closing(boundary)
