"""A decoded frame becomes 8 bits a sample for a screen: the pixel transformation sequence (PS3.4 N.2).

Grey: cells > Modality LUT > VOI > Presentation LUT > polarity > padding is black. Colour: palette, or colour space to RGB; windows do
not apply to it. Then overlays are drawn, white. docs/rendering.md tells the steps with their sections.
"""

from __future__ import annotations

import numpy as np

from gateway.dicomweb.rendering import Rendering, Window
from gateway.pixels.decoding import Decoded
from gateway.pixels.image import Image
from gateway.pixels.render.cells import Floats, levels
from gateway.pixels.render.colour import coloured
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.lookup import Table, table
from gateway.pixels.render.modality import modality
from gateway.pixels.render.overlays import overlaid
from gateway.pixels.render.padding import padding
from gateway.pixels.render.palette import Palette, palette, supplement
from gateway.pixels.render.voi import Frame, brightness, interest
from gateway.pixels.render.writing import Pixels
from gateway.pixels.work import Undoable

_of_any_size = np.errstate(over="ignore", invalid="ignore")
"""Floating-point pixels may be as large as numbers are: sums and differences of them become infinite, and are drawn as black or white."""


@_of_any_size
def displayed(decoded: Decoded, data: Attributes, number: int, rendering: Rendering) -> Pixels:
    """A frame as it is to be seen, in its own size.

    :param data: of the instance, or of `wanted.narrowed`, with the bulk data of `wanted.wanted`. A presentation state applies by its
        own attributes put in place of the image's.
    :param number: of the frame, from 1.
    :raises Undoable: for a Photometric Interpretation that cannot be drawn, a palette that is not there.
    """
    image = described(data)
    if decoded.array.ndim == 3:
        pixels = coloured(decoded.array, decoded.photometric, image)
    elif decoded.photometric == "PALETTE COLOR":
        found = levels(decoded.array, image)
        pixels = found.pixels(palette(data, image).of(found.values))
    else:
        pixels = _grey(_frame(decoded, data, number, image), rendering, decoded.photometric)
    return overlaid(pixels, decoded.array, data, number)


@_of_any_size
def window_of(decoded: Decoded, data: Attributes, number: int) -> Window | None:
    """The window that a grey frame is shown with when none is asked for, so that other frames can be given the same; None for colour
    and where there is a VOI LUT."""
    if decoded.array.ndim == 3 or decoded.photometric == "PALETTE COLOR":
        return None
    found = interest(_frame(decoded, data, number, described(data)))
    return None if isinstance(found, Table) else found


def described(data: Attributes) -> Image:
    """What the header says of the pixels.

    :raises Undoable: when it has none.
    """
    image = Image.of(data.data, "")
    if image is None:
        raise Undoable("the instance does not say how large its picture is")
    return image


def _frame(decoded: Decoded, data: Attributes, number: int, image: Image) -> Frame:
    found = levels(decoded.array, image)
    applied = modality(data, number, signed=image.signed)
    return Frame(data, number, image, found, applied, applied.of(found.values), padding(data, image, found))


def _grey(frame: Frame, rendering: Rendering, photometric: str) -> Pixels:
    shown = _presented(brightness(frame, rendering.window), frame.data)
    results = np.rint(shown * 255.0).astype(np.uint8)
    if photometric == "MONOCHROME1" or frame.data.text("20500020") == "INVERSE":
        results = 255 - results
    if frame.padding is not None:
        results[frame.padding] = 0
    extra = supplement(frame.data, frame.image, frame.number)
    return frame.levels.pixels(results if extra is None else _supplemented(results, extra, frame.levels.values))


def _supplemented(results: Pixels, extra: Palette, values: Floats) -> Pixels:
    """Grey for values below the first entry of the palette, its colours from there on."""
    colours = np.repeat(results[..., np.newaxis], 3, axis=-1)
    there = (values >= extra.first) & (values < extra.first + len(extra.entries))
    colours[there] = extra.of(values[there])
    return colours


def _presented(shown: Floats, data: Attributes) -> Floats:
    """The Presentation LUT, whose first and last entry are for black and white (PS3.3 C.11.6)."""
    lut = table(data.item("20500010"), signed=False)
    return shown if lut is None else lut.normal(shown * (lut.entries.size - 1) + lut.first)
