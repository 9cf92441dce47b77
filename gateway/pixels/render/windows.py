"""Windows: which values are shown between black and white (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

from __future__ import annotations

import numpy as np

from gateway.dicomweb.rendering import Window
from gateway.pixels.render.cells import Floats


def windowed(values: Floats, window: Window, step: float = 1.0) -> Floats:
    """Brightness of values, 0 to 1.

    The standard's linear function takes half a step off the center and one off the width, and means steps of 1. Where values lie closer
    together the same is done with their step, or a window of 0 to 1 over fractions would be nothing but black and white; wide windows
    do not show the difference. A width of 0 or less is the narrowest there is: white above the center, black up to it.

    :param step: from one value that can be to the next; 0 for floating-point numbers. Never more than 1.
    """
    center, width = window.center, window.width
    if window.function == "SIGMOID" and width > 0:
        return np.asarray(1.0 / (1.0 + np.exp(np.clip((center - values) * (4.0 / width), -700.0, 700.0))))
    if window.function == "LINEAR" and width >= step:
        center, width = center - step / 2, width - step
    if width <= 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def spanning(low: float, high: float) -> Window:
    """The window that shows `low` as black and `high` as white."""
    return Window((low + high) / 2, high - low, "LINEAR_EXACT")


def edges(window: Window) -> tuple[float, float]:
    """Where black ends and white begins, about."""
    half = max(window.width, 0.0) / 2
    return window.center - half, window.center + half
