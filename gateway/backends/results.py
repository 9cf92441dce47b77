"""Search results as DICOM JSON: what a backend adds to the attributes that it keeps (PS3.18 tables 10.6.3-3 to 10.6.3-5).

Results of a search that is not confined to a study carry the study's attributes too, and likewise for the series, as the
tables ask. Whatever else a query asks for is added by `asked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from gateway.backends.base import URL_BASE
from gateway.dicom.levels import level_of
from gateway.dicom.resolve import creator_tag, is_private
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource

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
"""Keys that every index holds: those that PS3.18 tables 10.6.1-5 to 10.6.1-7 require, and a few that viewers send. Any other
attribute is a key as well; for it headers are looked through."""

COMPUTED: dict[int, Level] = {
    0x00080056: "study",  # Instance Availability: of all of it
    0x00080061: "study",  # Modalities in Study
    0x00081190: "study",  # Retrieve URL
    0x00083002: "instance",  # Available Transfer Syntax UID
    0x00020010: "instance",  # Transfer Syntax UID, which no data set holds: ez-wsi-dicomweb asks for it
    0x00201206: "study",  # Number of Study Related Series
    0x00201208: "study",  # Number of Study Related Instances
    0x00201209: "series",  # Number of Series Related Instances
}
"""Attributes that no header has, or not reliably: backends work them out."""


def attribute(vr: str, *values: str | int) -> Attributes:
    """An attribute of the DICOM JSON model; without values it is empty."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def study_result(own: Attributes, uid: str, modalities: Iterable[str], series: int, instances: int) -> Attributes:
    """A study: what is kept of it, and what only the index knows."""
    return _STUDY | own | {
        "00080056": attribute("CS", "ONLINE"),
        "00080061": attribute("CS", *sorted(modalities)),
        "00081190": _url(Resource(uid)),
        "0020000D": attribute("UI", uid),
        "00201206": attribute("IS", series),
        "00201208": attribute("IS", instances),
    }  # fmt: skip


def series_result(own: Attributes, study: Attributes, query: Query, resource: Resource, instances: int) -> Attributes:
    """A series.

    :param study: the result of its study, which is shown too unless the URL names it.
    """
    above = {} if query.resource.study is not None else study
    return above | _SERIES | own | {
        "00081190": _url(resource),
        "0020000D": attribute("UI", resource.study or ""),
        "0020000E": attribute("UI", resource.series or ""),
        "00201209": attribute("IS", instances),
    }  # fmt: skip


def instance_alone(own: Attributes, resource: Resource, sop_class: str, syntax: str) -> Attributes:
    """An instance as a search in its series shows it."""
    return _INSTANCE | own | {
        "00080016": attribute("UI", sop_class),
        "00080018": attribute("UI", resource.instance or ""),
        "00080056": attribute("CS", "ONLINE"),
        "00081190": _url(resource),
        "00083002": attribute("UI", syntax),
        "0020000D": attribute("UI", resource.study or ""),
        "0020000E": attribute("UI", resource.series or ""),
    }  # fmt: skip


def instance_result(alone: Attributes, series: Callable[[], Attributes], query: Query) -> Attributes:
    """An instance.

    :param alone: `instance_alone`.
    :param series: makes the result of its series, which is shown too unless the URL names it.
    """
    return alone if query.resource.series is not None else series() | alone


_STUDY: Attributes = {
    "00080020": {"vr": "DA"},
    "00080030": {"vr": "TM"},
    "00080050": {"vr": "SH"},
    "00080090": {"vr": "PN"},
    "00100010": {"vr": "PN"},
    "00100020": {"vr": "LO"},
    "00100030": {"vr": "DA"},
    "00100040": {"vr": "CS"},
    "00200010": {"vr": "SH"},
}
_SERIES: Attributes = {"00080060": {"vr": "CS"}, "00200011": {"vr": "IS"}}
_INSTANCE: Attributes = {"00200013": {"vr": "IS"}}
"""What results always show, empty where it is not known (type R of the tables)."""


def _url(resource: Resource) -> Attributes:
    return attribute("UR", URL_BASE + resource.path)


def asked(query: Query, kept: Attributes, document: Attributes | None) -> Attributes:
    """What a query asks for beyond what every result of its level has (PS3.18 8.3.4.3).

    :param kept: what the index keeps of the result and of what is above it.
    :param document: the header of the result's earliest instance, None when `needs.document` said that it is not needed.
    """
    header = document or {}
    found: Attributes = {}
    if query.include_all:
        found = {key: value for key, value in header.items() if _of_all(query, int(key, 16))}
    for tag in fields(query):  # with `all` as well: counts of what is above are in no header
        key = f"{tag:08X}"
        if key in kept:
            found[key] = kept[key]
        elif key in header and tag not in COMPUTED:
            found[key] = header[key]
    return found


def fields(query: Query) -> set[int]:
    """The attributes that a query asks for, `includefield=all` apart: what is matched is shown, too.

    Those of levels below that of the results are not (PS3.18 10.6.3.3). Of private ones nobody knows the level; they come with
    their creator.
    """
    named = {int(key, 16) for key in query.include} | {item.path[0] for item in query.filters}
    private = {tag for tag in named if is_private(tag)}
    creators = {creator_tag(tag) for tag in private if tag & 0xFFFF > 0xFF}
    return {tag for tag in named if RANK[level_of_field(tag)] <= RANK[query.level]} | private | creators


def level_of_field(tag: int) -> Level:
    """The level of an attribute, whoever knows it."""
    return COMPUTED.get(tag) or level_of(tag)


RANK: dict[Level, int] = {"study": 0, "series": 1, "instance": 2}


def _of_all(query: Query, tag: int) -> bool:
    """Whether ``includefield=all`` means this attribute: those of the level, and above it those that the URL does not fix."""
    if tag in COMPUTED:
        return False
    level = level_of(tag)
    return query.level in ("instance", level) or (level == "study" and query.resource.study is None)


def rendered(result: Attributes) -> bytes:
    """A result as JSON, tags ascending (PS3.18 F.2), its character set declared where it has to be."""
    text = orjson.dumps(dict(sorted(result.items())))  # orjson's own sorting would reach into the attributes, and put "vr" last
    if text.isascii() or CHARACTER_SET in result:
        return text
    return rendered(result | {CHARACTER_SET: attribute("CS", "ISO_IR 192")})


CHARACTER_SET = "00080005"
