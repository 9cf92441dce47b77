"""One picture of an instance, or of one of its frames, whatever it is.

- An image is drawn from one frame: the one asked for, or else Representative Frame Number, or else the first. A thumbnail shows the
  middle one, where something is to be seen.
- A GIF of a multi-frame image is all of it in motion (`cine`).
- A segmentation shows all segments of its middle place, a slide an overview, curves are drawn, a presentation state shows the first
  image that it refers to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from gateway.backends.base import Body
from gateway.backends.pictured import mosaics, motion, states, tracing
from gateway.backends.pictured.choosing import GIF, Kind
from gateway.backends.pictured.studio import Studio, picture
from gateway.backends.pictured.subject import Subject
from gateway.errors import NotFound
from gateway.pixels.render.picture import Render
from gateway.pixels.render.wanted import narrowed, wanted
from gateway.pixels.work import NotDrawable


async def drawn(studio: Studio, subject: Subject) -> Body:
    """:raises NotDrawable: when it cannot be."""
    kind = subject.kind
    if subject.rendering.presentation is not None:
        return await states.applied(studio, subject)
    if kind is Kind.SLIDE and subject.frame is not None:
        kind = Kind.IMAGE
    maker = _MAKERS.get(kind)
    if maker is None:
        raise NotDrawable(f"a {kind.value} cannot be drawn")
    return await maker(studio, subject)


async def image(studio: Studio, subject: Subject) -> Body:
    """One frame; what claims more frames than it has shows its first one."""
    if subject.media == GIF and subject.frame is None and subject.image.frames > 1 and not subject.thumbnail:
        return await motion.cine(studio, subject)
    try:
        return await _frame(studio, subject, subject.number())
    except NotFound:
        if subject.frame is not None or subject.number() == 1:
            raise
        return await _frame(studio, subject, 1)


async def _frame(studio: Studio, subject: Subject, one: int) -> Body:
    data = narrowed(subject.header.data, one)
    paths = wanted(data)
    work = Render(subject.image, one, subject.media, subject.rendering, tuple(paths), subject.thumbnail, studio.limits)
    values = await studio.bulk(subject.resource, paths)
    async with studio.frames(subject.header, subject.resource, [one]) as frames:
        result = await studio.drawn(work, [[orjson.dumps(data)], frames[0], *values])
    return picture(subject.media, result, subject.rendering.warnings)


_MAKERS: dict[Kind, Callable[[Studio, Subject], Awaitable[Body]]] = {
    Kind.IMAGE: image,
    Kind.SEGMENTATION: mosaics.segmentation,
    Kind.SLIDE: mosaics.slide,
    Kind.WAVEFORM: tracing.curves,
    Kind.PRESENTATION: states.shown,
}
