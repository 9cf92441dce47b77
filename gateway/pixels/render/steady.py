"""One window for several frames, so that a cine does not flicker and no edges show between the tiles of a slide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gateway.dicomweb.rendering import Rendering
from gateway.pixels.decoding import Decoded
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.pipeline import window_of

LOOKED_AT = 8
"""Frames that are looked at, together as if they were one: contrast that comes and goes, and tiles without tissue, are seen by then."""

ENOUGH = 1 << 20
"""Pixels of a frame that are enough; of larger ones every n-th row is looked at."""

Look = Callable[[int], tuple[Decoded, Attributes, int]]
"""A frame by its place in the sequence, with its header and number."""


def steady(rendering: Rendering, frames: int, look: Look) -> Rendering:
    """The same rendering with a window that suits all frames, where none is asked for and the frames are grey.

    :param frames: how many there are.
    """
    if rendering.window is not None or frames < 2:
        return rendering
    places = np.linspace(0, frames - 1, min(LOOKED_AT, frames)).round().astype(int).tolist()
    some = [look(place) for place in places]
    _, data, number = some[len(some) // 2]
    together = Decoded(np.concatenate([one.array[:: 1 + one.array.size // ENOUGH] for one, _, _ in some]), some[0][0].photometric)
    return replace(rendering, window=window_of(together, data, number))
