"""Waveforms as drawn curves."""

from __future__ import annotations

import orjson

from gateway.backends.base import Body
from gateway.backends.pictured.studio import Studio, picture
from gateway.backends.pictured.subject import Subject
from gateway.pixels.image import Json
from gateway.pixels.render.dataset import Attributes, bulk_path
from gateway.pixels.render.special import Traced
from gateway.pixels.render.wanted import narrowed

GROUPS = 16
"""Multiplex groups that are drawn at most; an electrocardiogram has two."""


async def curves(studio: Studio, subject: Subject) -> Body:
    """The curves of the first groups."""
    data = subject.header.data
    paths = _values(data)
    work = Traced(subject.media, subject.rendering, studio.limits, tuple(paths))
    values = await studio.bulk(subject.resource, paths)
    result = await studio.drawn(work, [[orjson.dumps(narrowed(data, 1) | {"54000100": data["54000100"]})], *values])
    return picture(subject.media, result, subject.rendering.warnings)


def _values(data: Json) -> list[str]:
    """Where Waveform Data and Waveform Padding Value of each group are."""
    found = [
        bulk_path(group.data.get(tag, {})) for group in Attributes(data).items("54000100")[:GROUPS] for tag in ("54001010", "5400100A")
    ]
    return [path for path in found if path is not None]
