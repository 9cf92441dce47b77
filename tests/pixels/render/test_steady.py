"""One window for several frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.dicomweb.rendering import AS_IT_IS, Rendering, Window
from gateway.pixels.decoding import Decoded
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.steady import LOOKED_AT, steady
from gateway.pixels.render.windows import edges


def said(**more: Any) -> Attributes:
    numbers = {"00280010": 8, "00280011": 8, "00280100": 16, "00280101": 16, "00280102": 15, "00280103": 0, "00280002": 1}
    described = {tag: {"vr": "US", "Value": [value]} for tag, value in numbers.items()}
    return Attributes(described | {"00280004": {"vr": "CS", "Value": ["MONOCHROME2"]}} | more)


class Frames:
    """Frames of one level each; notes which were looked at."""

    def __init__(self, *levels: int, photometric: str = "MONOCHROME2", data: Attributes | None = None) -> None:
        self.levels, self.photometric, self.data = levels, photometric, data or said()
        self.seen: list[int] = []

    def __call__(self, place: int) -> tuple[Decoded, Attributes, int]:
        self.seen.append(place)
        return Decoded(np.full((8, 8), self.levels[place], np.uint16), self.photometric), self.data, place + 1


def test_it_spans_all_frames() -> None:
    window = steady(AS_IT_IS, 3, Frames(0, 500, 1000)).window
    assert window is not None
    low, high = edges(window)
    assert low < 100
    assert 900 < high <= 1001


def test_few_of_many_are_looked_at() -> None:
    frames = Frames(*range(1000))
    steady(AS_IT_IS, 1000, frames)
    assert len(frames.seen) == LOOKED_AT
    assert (frames.seen[0], frames.seen[-1]) == (0, 999)


def test_what_is_asked_for_or_said_counts() -> None:
    asked = Rendering(window=Window(1, 2))
    frames = Frames(0, 500)
    assert steady(asked, 2, frames) == asked
    assert not frames.seen
    data = said(**{"00281050": {"vr": "DS", "Value": ["40"]}, "00281051": {"vr": "DS", "Value": ["400"]}})
    assert steady(AS_IT_IS, 2, Frames(0, 500, data=data)).window == Window(40, 400)


def test_no_window_for_one_frame_or_colours() -> None:
    assert steady(AS_IT_IS, 1, Frames(5)) == AS_IT_IS
    assert steady(AS_IT_IS, 2, Frames(5, 6, photometric="PALETTE COLOR")).window is None
