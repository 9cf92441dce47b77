"""The parameters of WADO-URI (PS3.18 chapter 9): which object is asked for, and how it is to be given.

1. Names are spelled as the standard spells them, ``studyUID``; clients that send them in lower case are understood.
2. What says how pixels are shown counts for pictures and is passed over for instances, as viewers send both at once.
3. ``windowCenter`` and ``windowWidth`` come together, so do the two UIDs of a presentation state, and never both pairs (9.5.1.2).
4. What the gateway will not do is refused by name: nobody who asks for an anonymous object gets one that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.dicomweb.rendering import MAX_SIDE, Rendering, Viewport, Window, burned_in, decimal, once, whole, window
from gateway.dicomweb.resources import Resource, parse_uid
from gateway.errors import BadRequest

NEEDED = ("requestType", "studyUID", "seriesUID", "objectUID")
"""Without these there is no request (PS3.18 9.1.2.1)."""

PARAMETERS = (
    *NEEDED,
    "contentType",
    "charset",
    "anonymize",
    "annotation",
    "rows",
    "columns",
    "region",
    "windowCenter",
    "windowWidth",
    "frameNumber",
    "imageQuality",
    "presentationUID",
    "presentationSeriesUID",
    "transferSyntax",
)

_SPELLED = {name.lower(): name for name in PARAMETERS}
_MAX_FRAME = 10**10 - 1
"""The largest number of ten digits, as in the paths of WADO-RS."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a URL of WADO-URI asks for.

    :param resource: an instance, or a frame of it.
    :param content_type: media types, in the words of an Accept; None where nothing is said.
    :param syntax: the transfer syntax of an instance: a UID, ``*`` for as stored, None where nothing is said.
    """

    resource: Resource
    content_type: str | None
    syntax: str | None
    rendering: Rendering


def parse_uri(params: Iterable[tuple[str, str]]) -> Asked:
    """What the decoded parameters of a URL ask for. Unknown ones are ignored.

    :raises BadRequest: naming the parameter.
    """
    given = once(((_SPELLED.get(name.lower(), ""), value) for name, value in params), PARAMETERS, lists={"annotation"})
    if missing := [name for name in NEEDED if not given.get(name)]:
        raise BadRequest(f"WADO-URI needs {', '.join(missing)} (PS3.18 9.1.2.1)")
    if given["requestType"] != "WADO":
        raise BadRequest("requestType is WADO, and nothing else (PS3.18 9.1.2.1.1)")
    if "anonymize" in given:
        raise BadRequest("anonymize is not possible here: objects are given with everything that they hold, or not at all")
    study, series, instance = (parse_uid(given[name], name) for name in NEEDED[1:])
    resource = Resource(study, series, instance, _frames(given))
    syntax = given.get("transferSyntax")
    if syntax is not None and syntax != "*":
        parse_uid(syntax, "transferSyntax")
    return Asked(resource, given.get("contentType"), syntax, _rendering(given))


def _frames(given: Mapping[str, str]) -> tuple[int, ...]:
    return (whole("frameNumber", given["frameNumber"], _MAX_FRAME),) if "frameNumber" in given else ()


def _rendering(given: Mapping[str, str]) -> Rendering:
    burned, warnings = burned_in(given.get("annotation"))
    shown, state = _window(given), _presentation(given)
    if shown and state:
        raise BadRequest("windowCenter and windowWidth do not go with presentationUID, which has its own (PS3.18 9.5.1.2)")
    quality = whole("imageQuality", given["imageQuality"], 100) if "imageQuality" in given else None
    return Rendering(_viewport(given), shown, quality, burned, region=_region(given), presentation=state, warnings=warnings)


def _viewport(given: Mapping[str, str]) -> Viewport | None:
    """The picture keeps its proportions, so a side of which nothing is said may be as long as any."""
    if "rows" not in given and "columns" not in given:
        return None
    width, height = (whole(name, given[name], MAX_SIDE) if name in given else MAX_SIDE for name in ("columns", "rows"))
    return Viewport(width, height)


def _window(given: Mapping[str, str]) -> Window | None:
    center, width = _pair(given, "windowCenter", "windowWidth")
    return None if center is None or width is None else window("windowCenter and windowWidth", center, width)


def _presentation(given: Mapping[str, str]) -> tuple[str, str] | None:
    names = ("presentationSeriesUID", "presentationUID")
    series, sop = _pair(given, *names)
    return None if series is None or sop is None else (parse_uid(series, names[0]), parse_uid(sop, names[1]))


def _pair(given: Mapping[str, str], one: str, other: str) -> tuple[str | None, str | None]:
    if (one in given) != (other in given):
        raise BadRequest(f"{one} and {other} are given together or not at all (PS3.18 9.5.1.2)")
    return given.get(one), given.get(other)


def _region(given: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom, 0 to 1."""
    if "region" not in given:
        return None
    words = given["region"].split(",")
    if len(words) != 4:
        raise BadRequest("region is left, top, right and bottom of the part that is shown, from 0.0 to 1.0")
    left, top, right, bottom = (decimal("region", word) for word in words)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadRequest("region is left, top, right and bottom of the part that is shown, from 0.0 to 1.0")
    return None if (left, top, right, bottom) == (0, 0, 1, 1) else (left, top, right, bottom)
