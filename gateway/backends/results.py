"""Search results as DICOM JSON: what a backend adds to the attributes that it keeps (PS3.18 tables 10.6.3-3 to 10.6.3-5).

Results of a search that is not confined to a study carry the study's attributes too, and likewise for the series, as the
tables ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.backends.base import URL_BASE
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import InvalidQuery

Attributes = dict[str, Any]

KEYS: dict[tuple[int, ...], Level] = {
    (0x00080020,): "study",
    (0x00080030,): "study",
    (0x00080050,): "study",
    (0x00080061,): "study",
    (0x00080090,): "study",
    (0x00081030,): "study",
    (0x00100010,): "study",
    (0x00100020,): "study",
    (0x00100030,): "study",
    (0x00100040,): "study",
    (0x0020000D,): "study",
    (0x00200010,): "study",
    (0x00080060,): "series",
    (0x0008103E,): "series",
    (0x00180015,): "series",
    (0x0020000E,): "series",
    (0x00200011,): "series",
    (0x00400244,): "series",
    (0x00400245,): "series",
    (0x00400275, 0x00400009): "series",
    (0x00400275, 0x00401001): "series",
    (0x00080016,): "instance",
    (0x00080018,): "instance",
    (0x00200013,): "instance",
}
"""What can be matched: the keys that PS3.18 tables 10.6.1-5 to 10.6.1-7 require, and a few that viewers send."""

_DEPTH: dict[Level, int] = {"study": 0, "series": 1, "instance": 2}


def check_keys(query: Query) -> None:
    """:raises InvalidQuery: for a key that is not in `KEYS`, or belongs to a level below the one that is searched."""
    for item in query.filters:
        level = KEYS.get(item.path)
        if level is None or _DEPTH[level] > _DEPTH[query.level]:
            name = ".".join(f"{tag:08X}" for tag in item.path)
            raise InvalidQuery(f"{name} is not a key that a search for {query.level} results can match here")


def attribute(vr: str, *values: str | int) -> Attributes:
    """An attribute of the DICOM JSON model; without values it is empty."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def study_result(own: Attributes, uid: str, modalities: Iterable[str], series: int, instances: int) -> Attributes:
    """A study: what is kept of it, and what only the index knows."""
    return own | {
        "00080056": attribute("CS", "ONLINE"),
        "00080061": attribute("CS", *sorted(modalities)),
        "00081190": _url(Resource(uid)),
        "0020000D": attribute("UI", uid),
        "00201206": attribute("IS", series),
        "00201208": attribute("IS", instances),
    }


def series_result(own: Attributes, study: Attributes, query: Query, resource: Resource, instances: int) -> Attributes:
    """A series of `study`."""
    return _above(query, study) | own | {
        "00081190": _url(resource),
        "0020000D": attribute("UI", resource.study or ""),
        "0020000E": attribute("UI", resource.series or ""),
        "00201209": attribute("IS", instances),
    }  # fmt: skip


def instance_result(
    own: Attributes, study: Attributes, series: Attributes, query: Query, resource: Resource, sop_class: str, syntax: str
) -> Attributes:
    """An instance of `series`, which is of `study`."""
    return _above(query, study, series) | own | {
        "00080016": attribute("UI", sop_class),
        "00080018": attribute("UI", resource.instance or ""),
        "00080056": attribute("CS", "ONLINE"),
        "00081190": _url(resource),
        "00083002": attribute("UI", syntax),
        "0020000D": attribute("UI", resource.study or ""),
        "0020000E": attribute("UI", resource.series or ""),
    }  # fmt: skip


def _above(query: Query, study: Attributes, series: Attributes | None = None) -> Attributes:
    above = {} if query.resource.study is not None else study
    return above if series is None or query.resource.series is not None else above | series


def _url(resource: Resource) -> Attributes:
    return attribute("UR", URL_BASE + resource.path)


def rendered(result: Attributes) -> bytes:
    """A result as JSON, tags ascending (PS3.18 F.2)."""
    return orjson.dumps(dict(sorted(result.items())))
