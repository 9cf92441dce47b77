"""Pictures that are more than a frame, as work for a pixel process.

Here are the values that travel; the rooms that do it are imported where it is done. All of them take the header as JSON first
(narrowed to what is needed), then a bulk value for each of `bulk`, then frames.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dicomweb.rendering import Rendering
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.picture import parsed
from gateway.pixels.render.placing import Place
from gateway.pixels.work import Given, Made

if TYPE_CHECKING:
    from gateway.pixels.render.writing import Pixels


@dataclass(frozen=True, slots=True)
class Special:
    """What all of them need.

    :param media: of the picture. :param rendering: how it is shown. :param bulk: the paths of the bulk values that are given.
    """

    media: str
    rendering: Rendering
    limits: PixelLimits
    bulk: tuple[str, ...] = ()

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        """See `Work`."""
        from gateway.pixels.render.finishing import finished

        values = {path: one.read() for path, one in zip(self.bulk, inputs[1:], strict=False)}
        data = Attributes(parsed(inputs[0].read()), values)
        return finished(self.drawn(data, inputs[1 + len(self.bulk) :]), data, self.media, self.rendering, self.limits)

    @abstractmethod
    def drawn(self, data: Attributes, frames: Sequence[Given]) -> Pixels:
        """The picture in full."""


@dataclass(frozen=True, slots=True)
class Traced(Special):
    """Waveforms; the bulk values are those of `tracing.values`."""

    def drawn(self, data: Attributes, frames: Sequence[Given]) -> Pixels:
        """See `Special`."""
        from gateway.pixels.render.waveform import groups_of, trace

        return trace(groups_of(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(Special):
    """A card for what has no picture.

    :param title: in large letters: a modality. :param line: below it: what it is.
    """

    title: str
    line: str

    def drawn(self, data: Attributes, frames: Sequence[Given]) -> Pixels:
        """See `Special`."""
        from gateway.pixels.render.card import card

        return card(self.title, self.line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic(Special):
    """Frames that lie beside or upon each other: an overview of a slide, segments of one place.

    :param image: the frames' pixels. :param places: where each frame that is given goes.
    :param size: rows and columns of the whole. :param scale: how much smaller than that it is drawn, at most 1.
    """

    image: Image
    places: tuple[Place, ...]
    size: tuple[int, int]
    scale: float = 1.0

    def drawn(self, data: Attributes, frames: Sequence[Given]) -> Pixels:
        """See `Special`."""
        from gateway.pixels.render.mosaic import mosaic

        return mosaic(self.image, data, list(zip(self.places, frames, strict=True)), self.size, self.scale, self.limits)
