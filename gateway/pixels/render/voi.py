"""Which values of interest are shown how (PS3.3 C.11.2, PS3.4 N.2.1.2).

In this order: the window that was asked for; the first VOI LUT of the frame or the image; its first window; a default. A window of
the data set is passed over if it has no width, or if next to nothing that a pixel can be lies in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.dicomweb.rendering import Window, WindowFunction
from gateway.pixels.image import Image
from gateway.pixels.render.cells import Floats, Levels
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.defaults import default_window
from gateway.pixels.render.lookup import Table, table
from gateway.pixels.render.modality import Modality
from gateway.pixels.render.statistics import distribution
from gateway.pixels.render.windows import edges, windowed

_CENTER, _WIDTH, _FUNCTION, _SEQUENCE = "00281050", "00281051", "00281056", "00283010"
_FRAME_VOI = "00289132"
_FUNCTIONS: dict[str, WindowFunction] = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}


@dataclass(frozen=True)
class Frame:
    """What is known of a grey frame.

    :param values: of `levels` after the Modality LUT. :param padding: which of them are padding.
    """

    data: Attributes
    number: int
    image: Image
    levels: Levels
    modality: Modality
    values: Floats
    padding: NDArray[np.bool_] | None


def brightness(frame: Frame, asked: Window | None) -> Floats:
    """How bright each of the values is, 0 to 1."""
    chosen = asked or interest(frame)
    if isinstance(chosen, Table):
        return chosen.normal(frame.values)
    return windowed(frame.values, chosen, frame.levels.step * frame.modality.step)


def interest(frame: Frame) -> Table | Window:
    """The table or window that a frame is shown with when none was asked for."""
    possible = _possible(frame.values)
    signed = possible[0] < 0
    for place in filter(None, (frame.data.group(_FRAME_VOI, frame.number), frame.data)):
        found = table(place.item(_SEQUENCE), signed=signed) or _sensible(_window(place), possible, frame)
        if found is not None:
            return found
    counted = distribution(frame.levels, frame.values, frame.padding)
    return default_window(frame.data, frame.image, frame.modality, counted, possible)


def _possible(values: Floats) -> tuple[float, float]:
    """The smallest and largest value; of floating-point pixels those that there are."""
    known = values if np.isfinite(values.sum()) else values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _window(place: Attributes) -> Window | None:
    center, width = place.decimal(_CENTER), place.decimal(_WIDTH)
    if center is None or width is None or width <= 0:
        return None
    return Window(center, width, _FUNCTIONS.get(place.text(_FUNCTION), "LINEAR"))


def _sensible(window: Window | None, possible: tuple[float, float], frame: Frame) -> Window | None:
    """A window that can show something; one that was meant for stored values is moved to where these went (PET, MR)."""
    if window is None or frame.levels.index is None or _meets(window, possible):
        return window
    modality = frame.modality
    if modality.lut is None and modality.slope > 0 and _meets(window, _possible(frame.levels.values)):
        return Window(window.center * modality.slope + modality.intercept, window.width * modality.slope, window.function)
    return None


def _meets(window: Window, possible: tuple[float, float]) -> bool:
    """Whether values that can be fill enough of a window to differ from each other in it."""
    low, high = edges(window)
    return min(high, possible[1]) - max(low, possible[0]) > window.width / _FEWEST


_FEWEST = 64
"""A sixty-fourth of a window is four grey levels."""
