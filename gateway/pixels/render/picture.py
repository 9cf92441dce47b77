"""One picture of one frame: what a pixel process is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from gateway.dicomweb.rendering import AS_IT_IS, Rendering, Viewport
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.work import Given, Made, Undoable

THUMBNAIL = Viewport(128, 128)
"""The size of a thumbnail when none is asked for."""


@dataclass(frozen=True, slots=True)
class Render:
    """Inputs: the header as DICOM JSON (`wanted.narrowed`; one data set, or a list of it), the frame as ``image.syntax`` has it, then
    the bulk data that `bulk` names. Made is one file; its facts are ``width`` and ``height``.

    :param number: of the frame, from 1. :param media: ``image/jpeg``, ``image/png`` or ``image/gif``.
    :param bulk: paths of bulk data, in the order of the inputs (`wanted.wanted`; what could not be had is left out).
    :param thumbnail: small unless a viewport says otherwise, and without a colour profile.
    """

    image: Image
    number: int
    media: str
    rendering: Rendering = AS_IT_IS
    bulk: tuple[str, ...] = ()
    thumbnail: bool = False
    limits: PixelLimits = field(default_factory=PixelLimits)

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        """Draws it.

        :raises Undoable: when the frame cannot be decoded or drawn as asked.
        """
        from gateway.pixels.decoding import decoded
        from gateway.pixels.render.aspect import aspect
        from gateway.pixels.render.finishing import finished
        from gateway.pixels.render.pipeline import displayed
        from gateway.pixels.render.viewport import plan

        bulk = {path: given.read() for path, given in zip(self.bulk, inputs[2:], strict=True)}
        data, rendering = Attributes(parsed(inputs[0].read()), bulk), self._rendering()
        shape, limit = aspect(data, self.number), self.limits.picture_pixels
        plan(self.image.columns, self.image.rows, rendering, aspect=shape, limit=limit)  # what is too large is not decoded
        frame = decoded(inputs[1].read(), self.image, self.limits.frame_bytes)
        pixels = displayed(frame, data, self.number, rendering)
        return finished(pixels, data, self.media, rendering, self.limits, number=self.number)

    def _rendering(self) -> Rendering:
        if not self.thumbnail:
            return self.rendering
        return replace(self.rendering, viewport=self.rendering.viewport or THUMBNAIL, icc=self.rendering.icc or "no")


def parsed(raw: bytes) -> dict[str, Any]:
    """The data set of DICOM JSON, alone or in a list.

    :raises Undoable: when it is none.
    """
    try:
        data = orjson.loads(raw)
    except ValueError:
        data = None
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        raise Undoable("the header of the instance cannot be read")
    return data
