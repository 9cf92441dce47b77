"""Pictures of several frames that lie beside or upon each other: overviews of slides, segmentations in their colours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from gateway.backends.base import Body
from gateway.backends.pictured.studio import Studio, picture
from gateway.backends.pictured.subject import Subject
from gateway.pixels.image import Json
from gateway.pixels.render.dataset import PER_FRAME
from gateway.pixels.render.placing import Place, segments, tiles
from gateway.pixels.render.placing import matrix as whole
from gateway.pixels.render.special import Mosaic
from gateway.pixels.render.wanted import narrowed, wanted
from gateway.pixels.work import Input, NotDrawable

TILES = 4_096
"""Frames that one picture is made of, at most: a second or two of work."""

DECODED = 1 << 28
"""Pixels of all those frames: four seconds of JPEG."""

SIDE = 4_096
"""Rows and columns of an overview of which nobody said how large it should be: a browser shows it, and it goes through a network."""

OVER = 2
"""Times that an overview is drawn larger than it is wanted, before it is scaled down for good."""

OWN = ("00620001", "00620002", "0062000E", "00280120", "00280008", "00480015")
"""Attributes that colours of segments, and of what is not there, hang on, beside those of any picture."""


async def slide(studio: Studio, subject: Subject) -> Body:
    """An overview of all tiles of the first optical path and focal plane."""
    data = subject.header.data
    places = await asyncio.to_thread(tiles, data, subject.image)
    size = whole(data)
    if not places or size is None:
        raise NotDrawable("the tiles of the slide say nothing of where they lie; ask for frames of it")
    return await _mosaic(studio, subject, places, size)


async def segmentation(studio: Studio, subject: Subject) -> Body:
    """All segments of one place, of a slide those of all tiles; or the frame that was asked for."""
    image = subject.image
    if subject.frame is not None:
        return await _mosaic(studio, subject, [Place(subject.frame, 0, 0)], (image.rows, image.columns))
    places, size = await asyncio.to_thread(segments, subject.header.data, image)
    if not places:
        raise NotDrawable("the frames of the segmentation say nothing of where they lie; ask for frames of it")
    return await _mosaic(studio, subject, places, size)


async def _mosaic(studio: Studio, subject: Subject, places: Sequence[Place], size: tuple[int, int]) -> Body:
    image = subject.image
    if len(places) > TILES or len(places) * image.rows * image.columns > DECODED:
        raise NotDrawable(
            f"an overview of {len(places)} frames of {image.columns} x {image.rows} pixels would take too long; "
            "ask for frames of it, or for another level of the slide"
        )
    scale = _scale(studio, subject, size)
    data = subject.header.data
    paths = wanted(narrowed(data, places[0].number))
    work = Mosaic(subject.media, subject.rendering, studio.limits, tuple(paths), image=image, places=tuple(places), size=size, scale=scale)
    values = await studio.bulk(subject.resource, paths)
    header = await asyncio.to_thread(_header, data, places)
    async with studio.frames(subject.header, subject.resource, [one.number for one in places]) as frames:
        result = await studio.drawn(work, [header, *values, *frames])
    return picture(subject.media, result, subject.rendering.warnings)


def _scale(studio: Studio, subject: Subject, size: tuple[int, int]) -> float:
    """How much smaller than it is the whole is drawn."""
    viewport = subject.rendering.viewport
    rows, columns = size
    if viewport is None:
        return min(1.0, SIDE / rows, SIDE / columns)
    if any(place is not None for place in viewport.source):
        if rows * columns > studio.limits.picture_pixels:
            raise NotDrawable("the slide is too large for a part of it to be drawn by a viewport; ask for frames of it")
        return 1.0
    return min(1.0, max(OVER * viewport.height / rows, OVER * viewport.width / columns), SIDE / rows, SIDE / columns)


def _header(data: Json, places: Sequence[Place]) -> Input:
    """What is needed of the header; of the functional groups of each frame those of the frames that are drawn, if they differ."""
    kept: dict[str, Any] = narrowed(data, places[0].number) | {tag: data[tag] for tag in OWN if tag in data}
    if "00620002" in data and PER_FRAME in data:
        own = data[PER_FRAME].get("Value") or []
        wanted_ones = {one.number for one in places}
        groups = [_group(item) if number in wanted_ones else {} for number, item in enumerate(own, 1)]
        kept[PER_FRAME] = {"vr": "SQ", "Value": groups}
    return [orjson.dumps(kept)]


def _group(item: Json) -> Json:
    return {"0062000A": item["0062000A"]} if isinstance(item, dict) and "0062000A" in item else {}
