"""Frames in motion (PS3.3 C.7.6.5, Cine Module): their pace, and an animated GIF of them as work for a pixel process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.pixels.image import Image, Json
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.work import Given, Made

if TYPE_CHECKING:
    from gateway.pixels.render.writing import Pixels

QUICKEST = 20
"""Milliseconds a frame: what is quicker browsers show ten times slower."""
USUAL = 100
"""Milliseconds a frame where nothing is said."""


def pace(data: Json, step: int = 1) -> int:
    """Milliseconds from one frame to the next: of Frame Time, Frame Time Vector (their mean), Recommended Display Frame Rate or Cine
    Rate the first one that is there.

    :param step: how many frames are passed over with each.
    """
    read = Attributes(data)
    vector = [one for one in read.decimals("00181065")[1:] if one > 0]
    rate = next((one for tag in ("00082144", "00180040") if (one := read.decimal(tag) or 0) > 0), 0.0)
    found = next((one for tag in ("00181063",) if (one := read.decimal(tag) or 0) > 0), 0.0)
    found = found or (sum(vector) / len(vector) if vector else 0.0) or (1000 / rate if rate else USUAL)
    return min(max(round(found * step), QUICKEST), 10_000)


def shown(image: Image, frames: int, limits: PixelLimits) -> Viewport | None:
    """The box into which frames have to go for all of them to have no more pixels than one picture may; None where they fit."""
    pixels = image.rows * image.columns * frames
    if pixels <= limits.picture_pixels:
        return None
    scale = (limits.picture_pixels / pixels) ** 0.5
    return Viewport(max(int(image.columns * scale), 1), max(int(image.rows * scale), 1))


@dataclass(frozen=True, slots=True)
class Cine:
    """Inputs: a header of each frame, or one for all of them (`wanted.narrowed`), then the bulk data that `bulk` names, then frames.

    :param numbers: of the frames. :param pace: milliseconds a frame. :param size: a box that they have to go into, None for their own
        size. :param bulk: see `Render`.
    """

    image: Image
    numbers: tuple[int, ...]
    pace: int
    size: Viewport | None
    rendering: Rendering
    bulk: tuple[str, ...]
    limits: PixelLimits

    def __call__(self, inputs: Sequence[Given]) -> Made:
        """Draws it.

        :raises Undoable: when a frame cannot be decoded or drawn as asked.
        """
        from gateway.pixels.render.moving import gif

        return Made([gif(self._frames(inputs), self.pace)])

    def _frames(self, inputs: Sequence[Given]) -> Iterator[Pixels]:
        """One after the other."""
        from gateway.pixels.decoding import Decoded, decoded
        from gateway.pixels.render.aspect import aspect
        from gateway.pixels.render.picture import parsed
        from gateway.pixels.render.pipeline import displayed
        from gateway.pixels.render.steady import steady
        from gateway.pixels.render.viewport import fitted

        headers, frames = inputs[: -len(self.bulk) - len(self.numbers)], inputs[-len(self.numbers) :]
        bulk = {path: one.read() for path, one in zip(self.bulk, inputs[len(headers) :], strict=False)}
        every = [Attributes(parsed(one.read()), bulk) for one in headers]

        def look(place: int) -> tuple[Decoded, Attributes, int]:
            frame = decoded(frames[place].read(), self.image, self.limits.frame_bytes)
            return frame, every[place if len(every) > 1 else 0], self.numbers[place]

        rendering = self.rendering if self.rendering.viewport or not self.size else replace(self.rendering, viewport=self.size)
        rendering = steady(rendering, len(frames), look) if self.image.samples == 1 else rendering
        for place, number in enumerate(self.numbers):
            frame, data, _ = look(place)
            yield fitted(
                displayed(frame, data, number, rendering), rendering, aspect=aspect(data, number), limit=self.limits.picture_pixels
            )
