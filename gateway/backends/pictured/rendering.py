"""Pictures for people: /rendered and /thumbnail of studies, series, instances and frames (PS3.18 10.4.1.1.3, 10.4.1.1.4).

- An instance is one picture, curve, document or video; asked for as multipart, a multi-frame image is a picture of each frame.
- Frames are a picture each: a single one alone or as multipart, several as multipart, or all in one GIF.
- A series or study is multipart: one part for each instance that can be shown in the form asked for. Those that cannot are left out.
- A thumbnail is one picture at every level (`thumbnails`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from gateway.backends.base import Body, Retrieve, View
from gateway.backends.pictured import documents, motion, pictures, thumbnails, videos
from gateway.backends.pictured.choosing import DOCUMENTS, GIF, JPEG, PICTURES, PNG, VIDEOS, Kind, chosen, offered
from gateway.backends.pictured.several import together, warned
from gateway.backends.pictured.sources import Sources
from gateway.backends.pictured.studio import Studio
from gateway.backends.pictured.subject import Subject
from gateway.dicomweb.media import Accept, Offer, choose
from gateway.dicomweb.rendering import Rendering, undivided
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest, NotFound
from gateway.pixels.limits import PixelLimits
from gateway.pixels.pool import Pool
from gateway.pixels.work import NotDrawable

MIXED = (*PICTURES, *VIDEOS, *sorted(DOCUMENTS))
"""What parts of a series or study may be."""


async def rendered(sources: Sources, pool: Pool, limits: PixelLimits, retrieve: Retrieve) -> Body:
    """What is asked for, drawn.

    :raises NotAcceptable: when it cannot be had in a form that was asked for, or cannot be drawn at all.
    :raises BadRequest: for a transfer syntax in the Accept, and for what does not go with what is drawn.
    """
    studio, resource = Studio(sources, pool, limits), retrieve.resource
    if retrieve.view is View.THUMBNAIL:
        return await thumbnails.thumbnail(studio, retrieve)
    if resource.instance is None:
        return await _every(studio, retrieve)
    return await _instance(studio, retrieve)


async def _every(studio: Studio, retrieve: Retrieve) -> Body:
    """All instances of a series or study."""
    resource = retrieve.resource
    chosen(retrieve.accept, offered((), MIXED), f"a {resource.level}")
    _check_profile(choose(retrieve.accept, offered((), PICTURES)), retrieve.rendering)
    every = await studio.sources.listed(resource)
    if not every:
        raise NotFound(f"there is no such {resource.level} here")
    quiet = replace(retrieve.rendering, warnings=())
    parts = [partial(_part, studio, one.resource, retrieve.accept, quiet) for one in every]
    return warned(await together(parts, lenient=True), retrieve.rendering.warnings)


async def _part(studio: Studio, resource: Resource, accept: Accept, rendering: Rendering) -> Body:
    """One instance as a part of many: one picture, whatever it has of frames."""
    subject = await _subject(studio, resource, rendering)
    offer = chosen(accept, offered((), await _media(studio, subject)), subject.what)
    return await _alone(studio, replace(subject, media=offer.media_type))


async def _instance(studio: Studio, retrieve: Retrieve) -> Body:
    """An instance, or frames of it."""
    resource = retrieve.resource
    subject = await _subject(studio, resource, retrieve.rendering)
    _check(subject)
    media = await _media(studio, subject)
    forms = offered(media, media) if len(resource.frames) <= 1 else [*offered((), media), *(Offer(one) for one in media if one == GIF)]
    offer = chosen(retrieve.accept, forms, subject.what)
    _check_profile(offer, retrieve.rendering)
    subject = replace(subject, media=offer.media_type)
    if not offer.multipart:
        return await _alone(studio, subject)
    quiet = replace(subject, rendering=replace(subject.rendering, warnings=()))
    parts = (partial(_alone, studio, replace(quiet, resource=replace(resource, frames=frames))) for frames in _frames(subject))
    return warned(await together(parts, ends=not resource.frames), retrieve.rendering.warnings)


def _check(subject: Subject) -> None:
    """:raises NotFound: for frames of what has none, or not so many. :raises BadRequest: for what a presentation state says itself."""
    frames = subject.resource.frames
    if subject.kind is Kind.PRESENTATION:
        undivided(subject.rendering.viewport, "a presentation state")
        if subject.rendering.window is not None:
            raise BadRequest("a presentation state has windows of its own: leave the window out (PS3.18 8.3.5.1.4)")
    if frames and subject.kind in (Kind.DOCUMENT, Kind.WAVEFORM, Kind.PRESENTATION):
        raise NotFound(f"the instance is a {subject.kind.value}, which has no frames")
    if len(frames) > 1 and max(frames) > subject.image.frames:
        raise NotFound(f"frame {max(frames)} is not there: the instance has {subject.image.frames}")


def _check_profile(offer: Offer | None, rendering: Rendering) -> None:
    """:raises BadRequest: for a colour profile in a picture that has no place for one."""
    if offer is not None and offer.media_type == GIF and rendering.icc not in (None, "no"):
        raise BadRequest(f"iccprofile: {GIF} holds no colour profile; ask for {JPEG} or {PNG}, or leave it out (PS3.18 8.3.5.1.5)")


def _frames(subject: Subject) -> Iterator[tuple[int, ...]]:
    """The frames that each part of a multipart body shows."""
    several = subject.kind is Kind.IMAGE and subject.image.frames > 1
    numbers: Iterable[int] = subject.resource.frames or (range(1, subject.image.frames + 1) if several else ())
    yield from ((one,) for one in numbers)
    if not numbers:
        yield ()


async def _subject(studio: Studio, resource: Resource, rendering: Rendering) -> Subject:
    return Subject(resource, await studio.sources.header(resource), "", rendering)


async def _media(studio: Studio, subject: Subject) -> Sequence[str]:
    """What something can be shown as, the best first.

    :raises NotDrawable: for what cannot be shown.
    """
    kind = subject.kind
    if kind is Kind.NOTHING:
        raise NotDrawable("there is nothing to be seen in it: it has no pixels, curves or document; ask for its metadata or the instance")
    if kind is Kind.DOCUMENT:
        return [documents.type_of(subject.header.data)]
    if kind is Kind.VIDEO:
        return [await videos.type_of(studio, subject)]
    return (PNG, JPEG, GIF) if kind is Kind.WAVEFORM else PICTURES  # thin lines on paper: a third of the bytes, and sharp


async def _alone(studio: Studio, subject: Subject) -> Body:
    """Something that is a body of its own, or a part."""
    if subject.kind is Kind.DOCUMENT:
        return await documents.document(studio, subject)
    if subject.kind is Kind.VIDEO:
        return await videos.video(studio, subject)
    if len(subject.resource.frames) > 1:
        return await motion.cine(studio, subject, subject.resource.frames)
    return await pictures.drawn(studio, subject)
