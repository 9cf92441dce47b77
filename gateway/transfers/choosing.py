"""Which instances of a store are written, in an order that does not hang on when they came: by UIDs, as texts.

So a process that takes an export up again can go on where another one was killed, whatever was stored or deleted meanwhile.
Held in memory are the UIDs of all studies (some 120 bytes each; a store of a million of them takes 120 MB) and of the instances of
one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from gateway.backends.base import Backend
from gateway.dicom import dictionary
from gateway.dicomweb.query import parse_query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import BadRequest

PAGE = 1000
"""Results of one search: instances of a page take some milliseconds to be read."""

MAX_OFFSET = 10**9
"""Results that a page may come behind: an export takes its time, and counts all studies of a store."""

MAX_FILTER = 16 << 20
"""Bytes of a list of resources: some 100,000 instances."""


Row = dict[str, Any]
Key = tuple[str, str, str]
"""UIDs of an instance."""

FIRST: Key = ("", "", "")
LAST = "~"
"""Comes after every UID."""


class Picked(NamedTuple):
    """An instance. :param frames: how many it says that it has, 0 where it says nothing."""

    resource: Resource
    frames: int


class Study(NamedTuple):
    """:param missing: what was wanted of it and is not there."""

    uid: str
    picked: list[Picked]
    missing: list[Resource]


class Choosing:
    """:param wanted: studies, series and instances (`outermost`); empty for everything."""

    def __init__(self, backend: Backend, wanted: Sequence[Resource] = ()) -> None:
        self._backend = backend
        self._wanted = wanted

    async def count(self) -> int:
        """How many instances there are, as far as the store counts them; what is not there counts as one that fails."""
        if not self._wanted:
            return sum([_total(rows, "00201208") async for rows in self._pages("study", Resource())])
        return sum([await self._size(one) or 1 for one in self._wanted])

    async def studies(self, after: Key = FIRST) -> AsyncGenerator[Study, None]:
        """Studies with their instances.

        :param after: an instance up to which everything is passed over.
        """
        wanted = self._wanted or await self._all()
        for uid, group in groupby(wanted, key=lambda one: one.study or ""):
            study = Study(uid, [], [])
            for one in group:
                if _padded(one, LAST) <= after:
                    continue
                found = await self._instances(one)
                study.picked.extend(await asyncio.to_thread(_later, found, after))
                if not found and _padded(one) > after:
                    study.missing.append(one)
            if study.picked or study.missing:
                yield study

    async def _all(self) -> list[Resource]:
        uids = [_uid(row, "0020000D") async for rows in self._pages("study", Resource()) for row in rows]
        return await asyncio.to_thread(lambda: [Resource(uid) for uid in sorted(uids)])

    async def _instances(self, one: Resource) -> list[Picked]:
        pages = self._pages("instance", Resource(one.study, one.series), _only("SOPInstanceUID", one.instance))
        return [picked async for rows in pages for picked in await asyncio.to_thread(_picked, rows, one.study)]

    async def _size(self, one: Resource) -> int:
        if one.instance is not None:
            return 1
        if one.series is not None:
            pages = self._pages("series", Resource(one.study), _only("SeriesInstanceUID", one.series))
            return sum([_total(rows, "00201209") async for rows in pages])
        return sum([_total(rows, "00201208") async for rows in self._pages("study", Resource(), _only("StudyInstanceUID", one.study))])

    async def _pages(self, level: Level, above: Resource, only: Sequence[tuple[str, str]] = ()) -> AsyncGenerator[list[Row], None]:
        offset = 0
        while True:
            pairs = [*only, ("offset", str(offset))]
            bounds = {"max_limit": PAGE, "default_limit": PAGE, "max_offset": MAX_OFFSET}
            found = await self._backend.search(parse_query(level, above, pairs, dictionary, **bounds))
            yield await asyncio.to_thread(_rows, found.results)
            offset += len(found.results)
            if found.remaining == 0 or not found.results:
                return


def _rows(results: Sequence[bytes]) -> list[Row]:
    return [orjson.loads(one) for one in results]


def _picked(rows: Sequence[Row], study: str | None) -> list[Picked]:
    return [Picked(Resource(study, _uid(row, "0020000E"), _uid(row, "00080018")), _number(row, "00280008")) for row in rows]


def _later(found: Sequence[Picked], after: Key) -> list[Picked]:
    """In order, without what is passed over."""
    return sorted((one for one in found if _padded(one.resource) > after), key=lambda one: _padded(one.resource))


def _total(rows: Sequence[Row], tag: str) -> int:
    return sum(_number(row, tag) for row in rows)


def outermost(wanted: Iterable[Resource]) -> list[Resource]:
    """In order, without those that are inside of others."""
    kept: list[Resource] = []
    for one in sorted(set(wanted), key=_key):
        if not kept or _key(one)[: len(_key(kept[-1]))] != _key(kept[-1]):
            kept.append(one)
    return kept


def parse_filter(data: bytes) -> list[Resource]:
    """The resources of a list of ``/studies/S[/series/E[/instances/I]]``, one a line; see `outermost`. A long one takes seconds.

    :raises BadRequest: naming the line that is none.
    """
    found: list[Resource] = []
    for number, line in enumerate(data.decode(errors="replace").split("\n"), 1):
        if not (text := line.strip()):
            continue
        words = text.strip("/").split("/")
        if len(words) not in (2, 4, 6) or words[::2] != ["studies", "series", "instances"][: len(words) // 2]:
            raise BadRequest(f"line {number} of the filter is not /studies/UID, /studies/UID/series/UID or …/instances/UID")
        try:
            found.append(Resource.parse(*words[1::2]))
        except BadRequest:
            raise BadRequest(f"line {number} of the filter has a UID that is none") from None
    if not found:
        raise BadRequest("the filter names nothing")
    return outermost(found)


def _key(resource: Resource) -> tuple[str, ...]:
    return tuple(uid for uid in (resource.study, resource.series, resource.instance) if uid is not None)


def _padded(resource: Resource, last: str = "") -> Key:
    return (resource.study or last, resource.series or last, resource.instance or last)


def _only(keyword: str, uid: str | None) -> list[tuple[str, str]]:
    return [] if uid is None else [(keyword, uid)]


def _uid(row: Row, tag: str) -> str:
    return str(row[tag]["Value"][0])


def _number(row: Row, tag: str) -> int:
    values = row.get(tag, {}).get("Value") or [0]
    return values[0] if isinstance(values[0], int) else 0
