"""Which of the pictures of a slide stands for it: whole-slide images come as a series of levels, with a label and an overview."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.backends.pictured.headers import Header
from gateway.backends.pictured.listing import Listed
from gateway.backends.pictured.studio import Studio
from gateway.dicomweb.resources import Resource
from gateway.pixels.image import Json
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.placing import matrix

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""VL Whole Slide Microscopy Image Storage."""

LEVELS = 64
"""Instances of a series that are looked at; a pyramid has some ten levels, and each a few focal planes."""

ENOUGH = 128
"""Rows or columns of a level that shows something."""

_ORDER = {"THUMBNAIL": 0, "OVERVIEW": 1, "VOLUME": 2, "LABEL": 4}


def is_slide(one: Listed) -> bool:
    """Whether it is of a series of levels."""
    return one.sop_class == SLIDE


async def smallest(studio: Studio, some: Sequence[Listed]) -> list[Resource]:
    """The instances of a slide, those that stand best for it first: thumbnail, overview, the smaller levels before the larger ones."""
    headers = [(one.resource, await studio.sources.header(one.resource)) for one in some[:LEVELS]]
    return [resource for resource, header in sorted(headers, key=lambda found: _order(found[1]))]


async def beside(studio: Studio, resource: Resource) -> list[Resource]:
    """The same, of the series that an instance is in."""
    every = await studio.sources.listed(Resource(resource.study, resource.series))
    return await smallest(studio, [one for one in every if is_slide(one)])


def _order(header: Header) -> tuple[int, bool, int]:
    rows, columns = matrix(header.data) or (0, 0)
    return _flavour(header.data), max(rows, columns) < ENOUGH, rows * columns


def _flavour(data: Json) -> int:
    """By the third value of Image Type (PS3.3 C.8.12.4.1.1)."""
    return min((_ORDER[value] for value in Attributes(data).texts("00080008") if value in _ORDER), default=3)
