"""Frames in a transfer syntax in which they are not stored (PS3.18 8.7.3.3, 10.4.1.1.6).

1. Offered is what the codecs can make of the stored frames, in their order, under the media type of its transfer syntax; of the JPEGs
   the one that every browser reads comes first. A single frame is offered as a body of its own too.
2. The first frames are made before anything is answered: what cannot be decoded is 406. What fails later breaks the body off.
3. Small frames share a job, large ones have one each, and a few jobs are ahead of the socket: memory is bounded by that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gateway.backends.base import Body, FileSlice, Piece, Retrieve
from gateway.backends.pictured.pipeline import Job, Pipeline
from gateway.backends.pictured.sources import Sources
from gateway.backends.representations import OCTETS, typed
from gateway.backends.views import CODEC_TYPES
from gateway.dicomweb import framing
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, choose
from gateway.errors import NotAcceptable, NotFound
from gateway.pixels import conversion, syntaxes
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.pool import Pool
from gateway.pixels.transcode import Transcode
from gateway.pixels.work import Input, NotDrawable, Result, Undoable

TOGETHER = 16
"""Frames in one job at most: what a job costs beside its work is a tenth of that then, and the first of them need not wait long."""

BATCH = 2 << 20
"""Bytes of decoded frames in one job, one frame apart."""

SMALL = 256 << 10
"""Bytes of a decoded frame up to which the stored ones are read together."""

AHEAD = 4
"""Jobs of one body at most."""


async def frames(sources: Sources, pool: Pool, limits: PixelLimits, retrieve: Retrieve) -> Body:
    """Some frames of an instance, decoded and written anew.

    :raises NotFound: when there is no such frame, or no pixel data.
    :raises NotAcceptable: naming the stored transfer syntax.
    """
    image = await sources.image(retrieve.resource)
    if image is None:
        raise NotFound("the instance has no pixel data that frames could be cut out of")
    numbers = retrieve.resource.frames
    offer = chosen(image, retrieve.accept, len(numbers))
    making = _Making(sources, pool, limits, retrieve, image, offer.transfer_syntax or EXPLICIT_LITTLE_ENDIAN)
    pipeline = Pipeline(making.jobs(), depth=min(AHEAD, pool.processes + 1))
    first = await pipeline.next()
    media = typed(offer.media_type, offer.transfer_syntax)
    if first is None:
        raise NotFound("no frame is asked for")
    if not offer.multipart:
        return _single(media, first[0])
    boundary = framing.new_boundary()
    pieces = _parts(first, pipeline, boundary, media)
    return Body(framing.content_type(offer.media_type, boundary), pieces, weak=True, close=pipeline.cancel)


# -- what is offered


def chosen(image: Image, accept: Accept, count: int) -> Offer:
    """The form that suits the caller best of those that can be made.

    :param image: as it is stored. :param count: of frames.
    :raises NotAcceptable: naming the stored transfer syntax.
    """
    offer = choose(accept, offers(conversion.targets(image), count))
    if offer is None:
        raise NotAcceptable(_why(image, accept, count))
    return offer


def offers(targets: Sequence[str], count: int) -> list[Offer]:
    """Frames in these transfer syntaxes; a single one also as a body of its own."""
    ordered = sorted(targets, key=lambda one: one == syntaxes.JPEG_LOSSLESS_SV1)  # after JPEG baseline, its brother of one name
    forms = (True, False) if count == 1 else (True,)
    return [Offer(CODEC_TYPES.get(one, OCTETS), one, multipart=multipart) for multipart in forms for one in ordered]


def _why(image: Image, accept: Accept, count: int) -> str:
    known = choose(accept, offers(syntaxes.targets(image.syntax), count))
    try:
        if known is not None and known.transfer_syntax is not None:
            conversion.converted(image, known.transfer_syntax)
    except Undoable as error:
        reason = error.message
    else:
        reason = f"the frames are stored as {image.syntax}, which cannot be given in a form that was asked for"
    return _with_way_out(reason, image.syntax)


def _with_way_out(reason: str, stored: str) -> str:
    """The reason, which names the stored transfer syntax, and how the frames can be had."""
    named = reason if stored in reason else f"the frames are stored as {stored}: {reason}"
    return f'{named}; ask for multipart/related; type="{OCTETS}"; transfer-syntax=* to get them as stored'


# -- what is made


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame in the result of a job."""

    result: Result
    offset: int
    length: int

    def piece(self, start: int = 0, stop: int | None = None) -> Piece:
        """Some of its bytes."""
        stop = self.length if stop is None else stop
        found = self.result.region(self.offset + start, stop - start)
        return found if isinstance(found, bytes) else FileSlice(found.descriptor, found.offset, found.length)


@dataclass(frozen=True, slots=True)
class _Making:
    """Frames of one instance. :param target: the transfer syntax that they get."""

    sources: Sources
    pool: Pool
    limits: PixelLimits
    retrieve: Retrieve
    image: Image
    target: str

    def jobs(self) -> Iterator[Job[list[_Frame]]]:
        """Each makes some of the frames, in the order asked for."""
        numbers = self.retrieve.resource.frames
        share = -(-len(numbers) // self.pool.processes)
        size = max(1, min(TOGETHER, share, BATCH // max(1, self.image.frame_bytes)))
        for start in range(0, len(numbers), size):
            yield partial(self._made, numbers[start : start + size])

    async def _made(self, numbers: Sequence[int]) -> list[_Frame]:
        small = self.image.frame_bytes <= SMALL
        async with self.sources.frames(self.retrieve.resource, numbers, small=small) as given:
            image = replace(self.image, syntax=given.syntax)
            work = Transcode(image, self.target, self.retrieve.rendering.quality, self.limits.frame_bytes)
            result = await self._ran(work, given.inputs)
        return _cut(result, len(numbers))

    async def _ran(self, work: Transcode, inputs: Sequence[Input]) -> Result:
        try:
            return await self.pool.run(work, inputs, kind="transcode")
        except NotDrawable as error:
            raise NotDrawable(_with_way_out(error.message, work.image.syntax)) from None


def _cut(result: Result, count: int) -> list[_Frame]:
    """The frames of a result. What a process says is checked: damaged data may have taken it over."""
    lengths = result.facts.get("lengths")
    if not isinstance(lengths, list) or len(lengths) != count:
        raise NotDrawable("what was made of the frames is not what was asked for")
    found, offset = [], 0
    for length in lengths:
        if not isinstance(length, int) or not 0 <= length <= result.length - offset:
            raise NotDrawable("what was made of the frames is not as long as it says")
        found.append(_Frame(result, offset, length))
        offset += length
    return found


def _single(media: str, frame: _Frame) -> Body:
    async def pieces(start: int, stop: int) -> AsyncGenerator[Piece, None]:
        yield frame.piece(start, stop)

    def made(start: int, stop: int) -> Body:
        return Body(media, pieces(start, stop), stop - start)

    return replace(made(0, frame.length), select=made)


async def _parts(first: list[_Frame], pipeline: Pipeline[list[_Frame]], boundary: str, media: str) -> AsyncGenerator[Piece, None]:
    made: list[_Frame] | None = first
    head = framing.part_head(boundary, media, first=True)
    try:
        while made:
            for frame in made:
                yield head
                yield frame.piece()
                head = framing.part_head(boundary, media)
            made = await pipeline.next()
    finally:
        pipeline.cancel()
    yield framing.closing(boundary)
