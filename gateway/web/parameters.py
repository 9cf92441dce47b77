"""Every parameter that a request can carry, once for all documents that describe the gateway (see `description`).

The schemas say which values are certain to be taken. The gateway takes more than they say: lists by backslash, asterisks in
dates, whatever viewers are known to send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gateway.backends.results import KEYS
from gateway.dicom import dictionary
from gateway.dicomweb.media import MAX_ACCEPT
from gateway.dicomweb.rendering import FUNCTIONS, ColourSpace
from gateway.dicomweb.resources import MAX_FRAMES, MAX_UID, Level
from gateway.web.service import SearchLimits

Schema = Mapping[str, Any]
"""A JSON Schema (2020-12)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a URL, or a header.

    :param summary: a sentence for people.
    :param schema: of its value; an array is a list with commas.
    :param alias: another name for the same.
    :param repeats: whether a list may also be given by repeating the parameter.
    :param required: whether there is no answer without it, as without all that stands in a path.
    """

    name: str
    place: Literal["path", "query", "header"]
    summary: str
    schema: Schema
    alias: str | None = None
    repeats: bool = False
    required: bool = False


UID: dict[str, Any] = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": MAX_UID}
_NUMBER = 10**10 - 1
"""The largest number of ten digits, which is where the gateway stops to read."""

_FRAMES: Schema = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": _NUMBER}, "minItems": 1, "maxItems": MAX_FRAMES}
_BULK: Schema = {"type": "string", "pattern": "^[0-9A-F]{8}(/[0-9]{1,6}/[0-9A-F]{8})*$"}

PATH: Mapping[str, Parameter] = {
    "store": Parameter("store", "path", "A store of the settings.", {"type": "string", "minLength": 1}),
    "study": Parameter("study", "path", "Study Instance UID.", UID),
    "series": Parameter("series", "path", "Series Instance UID.", UID),
    "instance": Parameter("instance", "path", "SOP Instance UID.", UID),
    "frames": Parameter("frames", "path", "Numbers of frames, from 1.", _FRAMES),
    "file": Parameter("file", "path", "A file of the viewer, or an address of the viewer's own.", {"type": "string", "minLength": 1}),
    "bulk": Parameter("bulk", "path", "The end of a BulkDataURI: tags, and between two of them the item of the sequence, from 0.", _BULK),
}
"""What varies in the paths of `routes`, by the names there."""

ACCEPT = Parameter("accept", "query", "Media types; wins over the Accept header.", {"type": "string", "maxLength": MAX_ACCEPT})

ACCEPT_ENCODING = Parameter("Accept-Encoding", "header", "Content codings: `zstd` and `gzip` can be had.", {"type": "string"})

CACHE_CONTROL = Parameter("Cache-Control", "header", "`no-cache` asks the store behind, whatever is kept.", {"type": "string"})

IF_NONE_MATCH = Parameter("If-None-Match", "header", "Entity tags; the answer is 304 when one of them is its own.", {"type": "string"})
IF_MODIFIED_SINCE = Parameter("If-Modified-Since", "header", "A date, for those who have no entity tag to send.", {"type": "string"})

RANGES = (
    Parameter("Range", "header", "One range of bytes, of a body that is not multipart.", {"type": "string"}),
    Parameter("If-Range", "header", "The entity tag for which Range counts.", {"type": "string"}),
)

# -- pictures (PS3.18 8.3.5)

_DECIMAL, _POSITIVE = r"[0-9]{1,5}(\.[0-9]{1,3})?", r"[1-9][0-9]{0,4}(\.[0-9]{1,3})?"
_BOX = "[1-9][0-9]{0,3},[1-9][0-9]{0,3}"
_VIEWPORT = f"^{_BOX}(,(-?{_DECIMAL})?(,(-?{_DECIMAL})?(,(-?{_POSITIVE})?(,(-?{_POSITIVE})?)?)?)?)?$"
_PERCENT: Schema = {"type": "integer", "minimum": 1, "maximum": 100}

VIEWPORT = Parameter(
    "viewport",
    "query",
    "Width and height of the box that the picture is fitted into; then left, top, width and height of the part of it that is shown, "
    "of which any place may be empty; a negative width or height turns it over.",
    {"type": "string", "pattern": _VIEWPORT},
)
BOX = Parameter(
    "viewport", "query", "Width and height of the box that the picture is fitted into.", {"type": "string", "pattern": f"^{_BOX}$"}
)
_ANNOTATION = Parameter(
    "annotation",
    "query",
    "`patient` and `technique` are burned in; a Warning names the rest.",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}(,[A-Za-z0-9_-]{1,32})*$"},
)

RENDERING = (
    VIEWPORT,
    Parameter(
        "window",
        "query",
        "Center, width and function.",
        {"type": "string", "pattern": f"^-?{_DECIMAL},{_POSITIVE},({'|'.join(FUNCTIONS)})$"},
    ),
    Parameter("quality", "query", "Of lossy encodings.", _PERCENT),
    _ANNOTATION,
    Parameter("iccprofile", "query", "A colour profile in the picture.", {"type": "string", "enum": [*get_args(ColourSpace)]}),
)

# -- WADO-URI (PS3.18 chapter 9)


def _uri(name: str, summary: str, schema: Schema, *, required: bool = False) -> Parameter:
    return Parameter(name, "query", summary, schema, required=required)


_SIDE: Schema = {"type": "integer", "minimum": 1, "maximum": 9999}
_NEAR, _FAR = r"0(\.[0-4][0-9]{0,5})?", r"(0\.[5-9][0-9]{0,5}|1(\.0{1,6})?)"
"""Shares below a half, and above: what a pattern can say of a left side that is left of the right one."""

URI = (
    _uri("requestType", "What the service is called.", {"type": "string", "enum": ["WADO"]}, required=True),
    _uri("studyUID", "Study Instance UID.", UID, required=True),
    _uri("seriesUID", "Series Instance UID.", UID, required=True),
    _uri("objectUID", "SOP Instance UID.", UID, required=True),
    _uri("contentType", "Media types; they win over the Accept header.", {"type": "string", "maxLength": MAX_ACCEPT}),
    _uri("charset", "Taken: text goes out as it is stored.", {"type": "string"}),
    _uri(
        "transferSyntax",
        "Of an instance; `*` for as stored.",
        {"type": "string", "pattern": f"{UID['pattern']}|^\\*$", "maxLength": MAX_UID},
    ),
    _uri("frameNumber", "The frame that is shown, from 1.", {"type": "integer", "minimum": 1, "maximum": _NUMBER}),
    _uri("rows", "Height of the box that the picture is fitted into.", _SIDE),
    _uri("columns", "Width of the box that the picture is fitted into.", _SIDE),
    _uri(
        "region",
        "Left, top, right and bottom of the part that is shown, from 0 to 1.",
        {"type": "string", "pattern": f"^{_NEAR},{_NEAR},{_FAR},{_FAR}$"},
    ),
    _uri("windowCenter", "Together with windowWidth.", {"type": "number"}),
    _uri("windowWidth", "Together with windowCenter.", {"type": "number", "minimum": 1}),
    _uri("imageQuality", "Of lossy encodings.", _PERCENT),
    _ANNOTATION,
    _uri("presentationUID", "SOP Instance UID of a presentation state that applies.", UID),
    _uri("presentationSeriesUID", "Its series.", UID),
)

# -- searches (PS3.18 8.3.4)

_TIME = r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?"
_TEXT: Schema = {"type": "string", "pattern": r"^[^\x00-\x1F\x7F\\]*$"}
_BY_VR: Mapping[str, Schema] = {
    "UI": {"type": "array", "items": UID | {"pattern": r"^([0-9]+(\.[0-9]+)*)?$"}},  # an empty one asks for the attribute alone
    "DA": {"type": "string", "pattern": "^([0-9]{8}(-([0-9]{8})?)?|-[0-9]{8})?$"},
    "TM": {"type": "string", "pattern": f"^({_TIME}(-({_TIME})?)?|-{_TIME})?$"},
    "IS": {"type": "string", "pattern": "^([+-]?[0-9]{1,12})?$"},
    "CS": {"type": "string", "pattern": r"^([^\x00-\x1F\x7F,\\]*|[^\x00-\x1F\x7F*?\\]*)$"},  # a wildcard or a list, not both
}
_HOW = {
    "UI": "a UID or several",
    "DA": "a date or a range of dates",
    "TM": "a time or a range of times",
    "IS": "a number",
    "CS": "a code, several with commas, or one with wildcards",
}


def search_parameters(level: Level, limits: SearchLimits) -> Iterator[Parameter]:
    """What a search for studies, series or instances takes. Any other attribute is a key as well, at any level; those that every
    index holds are named here, for they are found fast."""
    yield from _controls(level, limits)
    yield ACCEPT
    yield from map(_key, KEYS)


def _controls(level: Level, limits: SearchLimits) -> Iterator[Parameter]:
    default, most = limits.results_default, limits.results_max
    if level == "instance":
        default, most = limits.instances_default, limits.instances_max
    limit = {"type": "integer", "minimum": 0, "maximum": _NUMBER, "default": default}
    offset = {"type": "integer", "minimum": 0, "maximum": limits.offset_max, "default": 0}
    fields = {"type": "array", "items": {"type": "string"}}
    yield Parameter("limit", "query", f"Results at most; never more than {most}.", limit)
    yield Parameter("offset", "query", "Results that are skipped.", offset)
    yield Parameter("includefield", "query", "Further attributes, or `all`; keywords or tags.", fields, repeats=True)
    flag = {"type": "boolean", "default": False}
    yield Parameter("fuzzymatching", "query", "Whether the words of a name are found by their beginnings.", flag)
    yield Parameter("emptyvaluematching", "query", "Whether two quotation marks as a value find what has none.", flag)
    yield Parameter("multiplevaluematching", "query", "Taken: a list with backslashes always finds what has one of its values.", flag)


def _key(path: tuple[int, ...]) -> Parameter:
    keyword = ".".join(dictionary.keyword(tag) or f"{tag:08X}" for tag in path)
    tags = ".".join(f"{tag:08X}" for tag in path)
    vr = dictionary.vr(path[-1]) or "UN"
    how = _HOW.get(vr, "a text, with the wildcards * and ?")
    return Parameter(keyword, "query", f"{tags} ({vr}): {how}.", _BY_VR.get(vr, _TEXT), tags)
