"""Pictures as a presentation state wants them (PS3.4 N, PS3.3 A.33): of the image that was asked for, or of the first that it names."""

from __future__ import annotations

from dataclasses import replace

import orjson

from gateway.backends.base import Body
from gateway.backends.pictured.choosing import Kind, kind_of
from gateway.backends.pictured.headers import Header
from gateway.backends.pictured.studio import Studio, picture
from gateway.backends.pictured.subject import Subject
from gateway.dicom.metadata import bulk_paths
from gateway.dicomweb.resources import Resource, is_uid
from gateway.errors import BadRequest, Gone, NotFound
from gateway.pixels.image import text
from gateway.pixels.render.presented import Presented, references
from gateway.pixels.render.wanted import narrowed, wanted
from gateway.pixels.work import NotDrawable

VALUES = 64
"""Bulk values of a presentation state that are looked at: tables, overlays, long curves."""

LOOKED_FOR = 8
"""Images that are looked for, of all that a presentation state refers to: the first that is here is drawn."""


async def shown(studio: Studio, subject: Subject) -> Body:
    """The presentation state on the first image that it refers to."""
    for series, sop, frames in references(subject.header.data)[:LOOKED_FOR]:
        if not (is_uid(series) and is_uid(sop)):
            continue
        resource = Resource(subject.resource.study, series, sop, frames[:1])
        try:
            header = await studio.sources.header(resource)
        except (NotFound, Gone):
            continue
        return await _drawn(studio, replace(subject, resource=resource, header=header), subject.resource, subject.header)
    raise NotDrawable("the images that the presentation state refers to are not here")


async def applied(studio: Studio, subject: Subject) -> Body:
    """An image with the presentation state that the request names.

    :raises BadRequest: when that is none, or one for other images: whoever asks for it is not helped by the image without it.
    """
    series, sop = subject.rendering.presentation or ("", "")
    where = Resource(subject.resource.study, series, sop)
    state = await studio.sources.header(where)
    if kind_of(state.data, state.image) is not Kind.PRESENTATION:
        raise BadRequest("what was named as presentation state is none that can be applied here")
    if subject.resource.instance not in [one[1] for one in references(state.data)]:
        raise BadRequest("the presentation state does not refer to this instance")
    return await _drawn(studio, subject, where, state)


async def _drawn(studio: Studio, subject: Subject, where: Resource, state: Header) -> Body:
    if subject.kind not in (Kind.IMAGE, Kind.SLIDE):
        raise NotDrawable("the presentation state refers to something that is no image")
    one = subject.number()
    data = narrowed(subject.header.data, one)
    own, paths = wanted(data), bulk_paths(state.raw)[:VALUES]
    work = Presented(
        subject.image,
        one,
        text(data, "00080018"),
        subject.media,
        replace(subject.rendering, presentation=None),
        studio.limits,
        tuple(own),
        tuple(paths),
    )
    values = [*await studio.bulk(subject.resource, own), *await studio.bulk(where, paths)]
    async with studio.frames(subject.header, subject.resource, [one]) as frames:
        result = await studio.drawn(work, [[orjson.dumps(data)], [state.raw], frames[0], *values])
    return picture(subject.media, result, subject.rendering.warnings)
