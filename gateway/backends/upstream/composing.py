"""A result of an origin as every backend shows it (PS3.18 tables 10.6.3-3 to 10.6.3-5): what it lacks is there already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.backends.base import URL_BASE
from gateway.backends.results import (
    CHARACTER_SET,
    Attributes,
    asked,
    attribute,
    instance_alone,
    instance_result,
    level_of_field,
    rendered,
    series_result,
    study_result,
)
from gateway.backends.upstream.filling import IN_SERIES, INSTANCES, MODALITIES, SERIES, counted
from gateway.backends.upstream.scanning import AVAILABLE_SYNTAX, named
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one result.

    :param own: what the origin finds.
    :param study: the study around it, empty where it does not matter; `series` likewise.
    :param header: of an instance of it; None where it was not needed.
    """

    own: Attributes
    study: Attributes
    series: Attributes
    header: Attributes | None


def composed(query: Query, rows: Iterable[Row]) -> tuple[bytes, ...]:
    """The results as JSON."""
    return tuple(rendered(_in_utf_8(_usual(query, row) | _asked(query, row))) for row in rows)


def _in_utf_8(result: Attributes) -> Attributes:
    """JSON is UTF-8 (PS3.18 F.2), whatever character set the instance was stored in."""
    return result | {CHARACTER_SET: attribute("CS", "ISO_IR 192")} if CHARACTER_SET in result else result


def _usual(query: Query, row: Row) -> Attributes:
    if query.level == "study":
        return _study(row.own)
    if query.level == "series":
        return _series(query, row.own, row.study)
    return instance_result(_instance(row.own), lambda: _series(query, row.series, row.study), query)


def _study(own: Attributes) -> Attributes:
    if not own:
        return {}
    modalities = [str(value) for value in own.get(MODALITIES, {}).get("Value", ()) if value]
    return study_result(_of("study", own), named(own).study or "", modalities, _count(own, SERIES), _count(own, INSTANCES))


def _series(query: Query, own: Attributes, study: Attributes) -> Attributes:
    if not own:
        return _study(study)
    resource = named(own)
    return series_result(_of("series", own), _study(study), query, Resource(resource.study, resource.series), _count(own, IN_SERIES))


def _instance(own: Attributes) -> Attributes:
    found = instance_alone(_of("instance", own), named(own), _first(own, "00080016"), _first(own, AVAILABLE_SYNTAX))
    return {key: value for key, value in found.items() if value.get("Value") != [""]}


def _of(level: Level, own: Attributes) -> Attributes:
    return {key: value for key, value in own.items() if key == CHARACTER_SET or level_of_field(int(key, 16)) == level}


def _asked(query: Query, row: Row) -> Attributes:
    kept = {"00080056": attribute("CS", "ONLINE")} | row.study | row.series | row.own
    if AVAILABLE_SYNTAX in row.own:
        kept["00020010"] = row.own[AVAILABLE_SYNTAX]
    if row.header is not None:
        return asked(query, kept, row.header)
    return asked(query, kept, row.own | _pixels(row.own) if query.include_all else row.own)


def _pixels(own: Attributes) -> Attributes:
    """The pixel data that a picture has, for results that show everything but bulk data (PS3.3 C.7.6.3)."""
    if not own.keys() >= _PICTURE or "00080018" not in own:
        return {}
    words = _first(own, AVAILABLE_SYNTAX) in _NATIVE and _count(own, "00280100") > BYTE
    return {"7FE00010": {"vr": "OW" if words else "OB", "BulkDataURI": f"{URL_BASE}{named(own).path}/bulkdata/7FE00010"}}


_PICTURE = {"00280010", "00280011", "00280100"}
_NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})
BYTE = 8


def _first(own: Attributes, key: str) -> str:
    values = own.get(key, {}).get("Value") or [""]
    return str(values[0])


def _count(own: Attributes, key: str) -> int:
    return counted(own, key) or 0
