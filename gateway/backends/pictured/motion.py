"""Frames in motion: a multi-frame image as an animated GIF (PS3.18 8.7.4.2)."""

from __future__ import annotations

import orjson

from gateway.backends.base import Body
from gateway.backends.pictured.studio import Studio, picture
from gateway.backends.pictured.subject import Subject
from gateway.pixels.render.cine import Cine, pace, shown
from gateway.pixels.render.wanted import narrowed, wanted

MOST = 0x7FFFFFFF
"""Frames that Number of Frames can claim (PS3.5 6.2, IS)."""


async def cine(studio: Studio, subject: Subject, numbers: tuple[int, ...] = ()) -> Body:
    """All frames, or these. Of more than `cine_frames` every n-th one is shown for n times as long; all frames together have no more
    pixels than one picture may. No warning says so: what comes with one is not kept, and this is the most work of all."""
    image, data = subject.image, subject.header.data
    every = numbers or range(1, min(image.frames, MOST) + 1)
    step = -(-len(every) // studio.limits.cine_frames)
    some = tuple(every[::step])
    size = shown(image, len(some), studio.limits)
    paths = tuple(dict.fromkeys(path for one in some for path in wanted(narrowed(data, one))))
    work = Cine(image, some, pace(data, step), size, subject.rendering, paths, studio.limits)
    values = await studio.bulk(subject.resource, paths)
    headers = [[orjson.dumps(narrowed(data, one))] for one in (some if "52009230" in data else some[:1])]
    async with studio.frames(subject.header, subject.resource, some) as frames:
        result = await studio.drawn(work, [*headers, *values, *frames])
    return picture("image/gif", result, subject.rendering.warnings)
