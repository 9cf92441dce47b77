"""How pixels are to be shown: the rendering parameters of PS3.18 8.3.5 and of WADO-URI (9.5) as a value that keys caches.

Equal wishes make equal values, however they are written: a place that says what would hold without it is as good as empty, and
numbers are numbers. What is wrong is refused by the name of its parameter, never with its value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from gateway.errors import BadRequest

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
        or height turns it left to right or upside down. None in a place stands for all there is. In URLs the sign of left and top
        says nothing.
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

PARAMETERS = ("viewport", "window", "quality", "annotation", "iccprofile")
"""What ``/rendered`` takes; ``/thumbnail`` takes the first alone (PS3.18 table 8.3.5-1)."""

MAX_SIDE = 65_535
"""Pixels of a side that can be asked for: what Rows and Columns can say, and JPEG."""

LARGEST = 1e30
"""What a number may be at most: single precision can calculate with it."""

FUNCTIONS: Mapping[str, WindowFunction] = MappingProxyType({"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"})
"""VOI LUT functions as URLs spell them."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[0-9]{1,10}")
_KEYWORD = re.compile(r"[A-Za-z0-9_-]{1,32}")


def parse_rendering(params: Iterable[tuple[str, str]], names: Collection[str] = PARAMETERS) -> Rendering:
    """What the decoded parameters of a URL ask for; those that are not in `names` are ignored (PS3.18 8.3.1).

    :raises BadRequest: naming the parameter.
    """
    given = once(params, names, lists={"annotation"})
    annotation, warnings = burned_in(given.get("annotation"))
    return Rendering(
        _viewport(given.get("viewport")),
        _window(given.get("window")),
        whole("quality", given["quality"], 100) if "quality" in given else None,
        annotation,
        _colours(given.get("iccprofile")),
        warnings=warnings,
    )


def once(params: Iterable[tuple[str, str]], names: Collection[str], lists: Collection[str] = ()) -> dict[str, str]:
    """The parameters of these names. Of `lists` several are one long list.

    :raises BadRequest: when one is given twice with different values.
    """
    given: dict[str, str] = {}
    for name, value in params:
        if name in names:
            if name in lists and name in given:
                given[name] += f",{value}"
            elif given.setdefault(name, value) != value:
                raise BadRequest(f"{name} is given twice with different values")
    return given


def whole(name: str, text: str, most: int) -> int:
    """:raises BadRequest: when it is no number from 1 to `most`."""
    if not _WHOLE.fullmatch(text.strip()) or not 1 <= int(text) <= most:
        raise BadRequest(f"{name} is not a whole number from 1 to {most}")
    return int(text)


def decimal(name: str, text: str) -> float:
    """:raises BadRequest: when it is no number, or passes `LARGEST`."""
    text = text.strip()  # an unescaped plus sign of a URL is a blank
    if not _NUMBER.fullmatch(text) or abs(float(text)) > LARGEST:
        raise BadRequest(f"{name} holds something that is not a decimal number")
    return float(text) + 0.0  # there is no negative zero


def burned_in(text: str | None) -> tuple[tuple[Annotation, ...], tuple[str, ...]]:
    """What is burned in, and the sentence about other keywords, which are no error (PS3.18 8.3.5.1.1).

    :raises BadRequest: when there is nothing in it, or something that is no keyword.
    """
    if text is None:
        return (), ()
    words = {word.strip() for word in text.split(",")} - {""}
    if not words or not all(map(_KEYWORD.fullmatch, words)):
        raise BadRequest(f"annotation is one or more of {', '.join(get_args(Annotation))}")
    known = tuple(one for one in get_args(Annotation) if one in words)
    unknown = sorted(words.difference(known))[:8]  # it is the caller's own word that he reads, and nobody else's
    return known, (f"The following annotation values are not supported: {', '.join(unknown)}",) if unknown else ()


def undivided(viewport: Viewport | None, what: str) -> None:
    """That no part is asked for of what is only shown as a whole (PS3.18 8.3.5.1.3).

    :param what: for people.
    :raises BadRequest: when one is.
    """
    if viewport is not None and any(place is not None for place in viewport.source):
        raise BadRequest(f"viewport: {what} takes a width and a height, and no part of the picture (PS3.18 8.3.5.1.3)")


def _viewport(text: str | None) -> Viewport | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not 2 <= len(words) <= 6:
        raise BadRequest("viewport is a width and a height, and then at most left, top, width and height of the part that is shown")
    wide, high = (whole("viewport: each of its sides", side, MAX_SIDE) for side in words[:2])
    words += [""] * (6 - len(words))
    left, top, across, down = (None if word == "" else decimal("viewport", word) for word in words[2:])
    if 0 in (across, down):
        raise BadRequest("viewport: the part of the picture that is shown has a width and a height")
    return Viewport(wide, high, (abs(left or 0) or None, abs(top or 0) or None, across, down))


def _window(text: str | None) -> Window | None:
    if text is None:
        return None
    words = text.split(",")
    function = FUNCTIONS.get(words[-1].strip())
    if len(words) != 3 or function is None:
        raise BadRequest(f"window is a center, a width and one of {', '.join(FUNCTIONS)}; all three are needed")
    return window("window", words[0], words[1], function)


def window(name: str, center: str, width: str, function: WindowFunction = "LINEAR") -> Window:
    """:raises BadRequest: when one of them is no number, or the width too small for the function (PS3.3 C.11.2.1.2, C.11.2.1.3)."""
    made = Window(decimal(name, center), decimal(name, width), function)
    if made.width < 1 if function == "LINEAR" else made.width <= 0:
        raise BadRequest(f"{name}: the width is {'at least 1' if function == 'LINEAR' else 'more than 0'} (PS3.3 C.11.2.1)")
    return made


def _colours(text: str | None) -> ColourSpace | None:
    found = next((one for one in get_args(ColourSpace) if one == text), None)
    if text is not None and found is None:
        raise BadRequest(f"iccprofile is one of {', '.join(get_args(ColourSpace))}")
    return found
