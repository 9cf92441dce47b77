"""One small picture of a study, series, instance or frame (PS3.18 10.4.1.1.4): something to be recognised in a list.

1. A series shows its middle image, a study that of its first series of images; secondary captures and segmentations only when there
   are no others (`choosing.rank`). An image of many frames shows the middle one.
2. A slide shows the smallest whole picture of the series, and its label only where there is nothing else: a name may stand on it.
3. What is no image gets a card with its modality, on which no value of a patient is.
4. An image that cannot be drawn stays an error; in a series its neighbours are tried first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from gateway.backends.base import Body, Retrieve
from gateway.backends.pictured import pictures, slides
from gateway.backends.pictured.choosing import PICTURES, Kind, chosen, offered
from gateway.backends.pictured.listing import Listed
from gateway.backends.pictured.ranking import best
from gateway.backends.pictured.studio import Studio, picture
from gateway.backends.pictured.subject import Subject
from gateway.dicomweb.rendering import Rendering
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.pixels.image import text
from gateway.pixels.render.picture import THUMBNAIL
from gateway.pixels.render.special import Card
from gateway.pixels.work import NotDrawable

TRIED = 3
"""Images of a series that are tried: the middle one, and two others should it be damaged."""

_LINES = {
    "SR": "report", "KO": "key objects", "PR": "presentation", "RTSTRUCT": "structures", "RTPLAN": "plan", "RTRECORD": "treatment",
    "REG": "registration", "FID": "fiducials", "RWV": "value map", "ANN": "annotations", "AU": "sound", "PLAN": "plan", "DOC": "document",
}  # fmt: skip
_MODALITY = re.compile(r"[A-Z0-9]{2,10}")
_DRAWN = (Kind.IMAGE, Kind.SEGMENTATION, Kind.SLIDE)


async def thumbnail(studio: Studio, retrieve: Retrieve) -> Body:
    """The picture.

    :raises NotFound: when there is nothing there. :raises NotAcceptable: for an Accept without a picture, an image that is damaged.
    """
    media = chosen(retrieve.accept, offered(PICTURES, PICTURES), "a thumbnail").media_type
    rendering = replace(retrieve.rendering, viewport=retrieve.rendering.viewport or THUMBNAIL, icc=retrieve.rendering.icc or "no")
    if retrieve.resource.instance is not None:
        make = _one if retrieve.resource.frames else _alone
        return await make(studio, retrieve.resource, media, rendering)
    some = best(await studio.sources.listed(retrieve.resource))
    if not some:
        raise NotFound(f"there is no such {retrieve.resource.level} here")
    return await _first(studio, await _sorted(studio, some), media, rendering)


async def _sorted(studio: Studio, some: Sequence[Listed]) -> list[Resource]:
    """Those of a series that are tried, the best first."""
    if slides.is_slide(some[0]):
        return await slides.smallest(studio, some)
    middle = len(some) // 2
    return [one.resource for one in dict.fromkeys([some[middle], some[0], some[-1]])]


async def _alone(studio: Studio, resource: Resource, media: str, rendering: Rendering) -> Body:
    return await _first(studio, [resource], media, rendering)


async def _first(studio: Studio, resources: Sequence[Resource], media: str, rendering: Rendering) -> Body:
    """Of the first that can be drawn; a card where all say that they are pictures, and have no pixels."""
    refusal: Exception | None = None
    for resource in resources[:TRIED]:
        try:
            return await _one(studio, resource, media, rendering)
        except (NotDrawable, NotFound) as error:
            refusal = refusal or error
    if isinstance(refusal, NotFound):
        return await _card(studio, Subject(resources[0], await studio.sources.header(resources[0]), media, rendering, thumbnail=True))
    raise refusal or NotDrawable("there is nothing to be seen in it")


async def _one(studio: Studio, resource: Resource, media: str, rendering: Rendering) -> Body:
    """Of an instance, or the first of the frames that are named."""
    resource = replace(resource, frames=resource.frames[:1])
    subject = Subject(resource, await studio.sources.header(resource), media, rendering, thumbnail=True)
    if subject.kind not in _DRAWN:
        return await _card(studio, subject)
    try:
        return await pictures.drawn(studio, subject)
    except NotDrawable:
        others = await slides.beside(studio, resource) if subject.kind is Kind.SLIDE and subject.frame is None else []
        others = [one for one in others if one != resource]
        if not others:
            raise
    return await _first(studio, others, media, rendering)


async def _card(studio: Studio, subject: Subject) -> Body:
    modality = text(subject.header.data, "00080060").upper()
    title = modality if _MODALITY.fullmatch(modality) else "DICOM"
    usual = "no picture" if subject.kind is Kind.NOTHING or subject.kind in _DRAWN else subject.kind.value
    work = Card(subject.media, replace(subject.rendering, annotation=()), studio.limits, title=title, line=_LINES.get(title, usual))
    return picture(subject.media, await studio.drawn(work, [[b"{}"]]), subject.rendering.warnings)
