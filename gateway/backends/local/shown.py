"""Rows of the index as results in DICOM JSON (PS3.18 10.6.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
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


def page(query: Query, rows: Sequence[tuple[Any, ...]]) -> tuple[bytes, ...]:
    """Rows for which no header is needed; what holds for all of them is asked once."""
    if _nothing_more(query) and query.level == "study":
        return tuple(_listed(row[1:6]) if len(row[2]) <= SMALL else shown(query, row, None) for row in rows)
    return tuple(shown(query, row, None) for row in rows)


def shown(query: Query, row: tuple[Any, ...], document: bytes | None) -> bytes:
    """A row of `statements.columns_for` as DICOM JSON.

    :param document: the header of the result's earliest instance, where the query needs it.
    """
    usual_is_all = _nothing_more(query)
    if usual_is_all and query.level == "instance":
        ready: bytes = row[9]
        return ready
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
    """What the index knows of a row and of what is above it."""
    known = _study(query, row)
    if query.level != "study":
        known = known | _series(query, row)
    return known | {"00020010": attribute("UI", row[10])} if query.level == "instance" else known


def _study(_: Query, row: tuple[Any, ...]) -> Attributes:
    return _study_of(*row[1:6])


@lru_cache(maxsize=64)
def _study_of(uid: str, attributes: bytes, series: int, instances: int, modalities: str | None) -> Attributes:
    """To be read only: the instances of a study come one after the other, and each shows it."""
    return study_result(orjson.loads(attributes), uid, set(modalities.split(",")) if modalities else (), series, instances)


def _series(query: Query, row: tuple[Any, ...]) -> Attributes:
    return series_result(parsed(row[7]), _study(query, row), query, Resource(row[1], row[6]), row[8])


def _instance(query: Query, row: tuple[Any, ...]) -> Attributes:
    return instance_result(orjson.loads(row[9]), partial(_series, query, row), query)


_USUAL: dict[Level, Callable[[Query, tuple[Any, ...]], Attributes]] = {"study": _study, "series": _series, "instance": _instance}
