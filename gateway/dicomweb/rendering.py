"""How pixels are to be shown: the rendering parameters of PS3.18 8.3.5 and of WADO-URI (9.5) as a value that keys caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
"""VOI LUT Function (PS3.3 C.11.2.1.3); in URLs ``linear``, ``linear-exact``, ``sigmoid``."""

ColourSpace = Literal["no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"]
"""What ``iccprofile`` asks for (PS3.18 8.3.5.1.5)."""

Annotation = Literal["patient", "technique"]
"""What ``annotation`` can burn in (PS3.18 8.3.5.1.1)."""


@dataclass(frozen=True, slots=True)
class Viewport:
    """The box that the picture is scaled to fit, its aspect ratio kept (PS3.18 8.3.5.1.3).

    :param width: pixels. :param height: pixels.
    :param source: left, top, width and height of the part of the picture that is shown, in its own pixels; a negative width
        or height turns it left to right or upside down. None in a place stands for all there is.
    """

    width: int
    height: int
    source: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Window:
    """:param center: in the values that come out of the Modality LUT. :param width: likewise."""

    center: float
    width: float
    function: WindowFunction = "LINEAR"


@dataclass(frozen=True, slots=True)
class Rendering:
    """All that can be said.

    :param viewport: None for the size that is stored.
    :param window: None for what the data set says, or else for a sensible one.
    :param quality: 1 to 100, of lossy encodings; None for the server's own.
    :param annotation: what is burned in, sorted.
    :param icc: whether and how the picture carries a colour profile; None for the server's own choice.
    :param region: of WADO-URI: left, top, right and bottom of the part that is shown, 0 to 1.
    :param presentation: Series and SOP Instance UID of a presentation state that applies.
    :param warnings: for people: what was asked for, and is not done (PS3.18 8.3.5.1.1).
    """

    viewport: Viewport | None = None
    window: Window | None = None
    quality: int | None = None
    annotation: tuple[Annotation, ...] = ()
    icc: ColourSpace | None = None
    region: tuple[float, float, float, float] | None = None
    presentation: tuple[str, str] | None = None
    warnings: tuple[str, ...] = ()


AS_IT_IS = Rendering()
"""Nothing was said."""
