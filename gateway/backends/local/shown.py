"""Rows of the index as results in DICOM JSON (PS3.18 10.6.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import orjson

from gateway.backends import needs
from gateway.backends.results import Attributes, asked, attribute, instance_result, rendered, series_result, study_result
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource

parsed: Callable[[bytes], Attributes] = lru_cache(maxsize=256)(orjson.loads)
"""The attributes of studies and series come again with each of their instances. To be read only."""

LISTED, SMALL = 2048, 4096
"""Studies that are kept as lists show them, and the most bytes of attributes of each: some MiB at the very most."""


def shown(query: Query, row: tuple[Any, ...], document: bytes | None) -> bytes:
    """A row of `statements.columns_for` as DICOM JSON.

    :param document: the header of the result's earliest instance, where the query needs it.
    """
    usual_is_all = _nothing_more(query)
    if usual_is_all and len(row[2]) <= SMALL:
        return _listed(row[1:6])
    usual = _USUAL[query.level](query, row)
    if usual_is_all or not (query.filters or query.include or query.include_all):
        return rendered(usual)
    header = None if document is None else orjson.loads(document)
    return rendered(usual | asked(query, _known(query, row) | usual, header))


_nothing_more = lru_cache(maxsize=64)(needs.nothing_more)


@lru_cache(maxsize=LISTED)
def _listed(row: tuple[Any, ...]) -> bytes:
    """A study as lists show it. People look at the same page again and again; the whole row is the key, so it is never stale."""
    return rendered(_study_of(*row))


def _known(query: Query, row: tuple[Any, ...]) -> Attributes:
    """What the index knows of a row, of what is above it, and of the instance that stands for it."""
    known = {} if query.level == "instance" else _of_source(row[6:8] if query.level == "study" else row[9:10])
    known |= parsed(row[2]) | {
        "00080056": attribute("CS", "ONLINE"),
        "00080061": attribute("CS", *sorted(_modalities(row))),
        "00201206": attribute("IS", row[3]),
        "00201208": attribute("IS", row[4]),
    }
    if query.level != "study":
        known |= parsed(row[7]) | {"00201209": attribute("IS", row[8])}
    if query.level == "instance":
        known["00020010"] = attribute("UI", row[12])
    return known


def _of_source(levels: tuple[bytes | None, ...]) -> Attributes:
    found: Attributes = {}
    for attributes in levels:
        found |= {} if attributes is None else parsed(attributes)
    return found


def _modalities(row: tuple[Any, ...]) -> Iterable[str]:
    return row[5].split(",") if row[5] else ()


def _study(_: Query, row: tuple[Any, ...]) -> Attributes:
    return _study_of(*row[1:6])


def _study_of(uid: str, attributes: bytes, series: int, instances: int, modalities: str | None) -> Attributes:
    return study_result(parsed(attributes), uid, modalities.split(",") if modalities else (), series, instances)


def _series(query: Query, row: tuple[Any, ...]) -> Attributes:
    return series_result(parsed(row[7]), parsed(row[2]), query, Resource(row[1], row[6]), row[8])


def _instance(query: Query, row: tuple[Any, ...]) -> Attributes:
    own: Attributes = orjson.loads(row[10])
    return instance_result(own, parsed(row[2]), parsed(row[7]), query, Resource(row[1], row[6], row[9]), row[11], row[12])


_USUAL: dict[Level, Callable[[Query, tuple[Any, ...]], Attributes]] = {"study": _study, "series": _series, "instance": _instance}
