"""Pages of what an origin finds: asked for one after the other, read within bounds, and parsed where it does not hurt.

An origin may give fewer results than it is asked for and say in a Warning that there are more (PS3.18 10.6.3.2), or say how
many there are (X-Total-Count). Where it says nothing, a page that is not full is the last one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import orjson

from gateway.backends.base import URL_BASE
from gateway.backends.results import Attributes
from gateway.backends.upstream.asking import Param
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.profiles import Profile
from gateway.backends.upstream.rewriting import Splitter, tidied
from gateway.dicomweb.resources import Level, Resource, is_uid
from gateway.errors import GatewayError, InvalidQuery, NotFound, OriginFailed

PAGE_BYTES = 32 << 20
"""Bytes of one answer to a search: `WHOLE_RESULTS` of 100 KB, and half as much again. Parsed they take up to twenty times that."""

ROWS = 50_000
"""Results in one answer at most: origins that know no limit give all they have, which is more than anybody asks for here."""

INLINE = 16 << 10
"""Bytes of JSON that are parsed and tidied up on the loop, in three quarters of a millisecond: twenty studies. 64 KiB take four
times as long and more."""

RESULTS = 1000
"""Results that are asked for at once: orjson lets nothing else run while it parses them, which takes three milliseconds."""

WHOLE_RESULTS = 200
"""Results with everything in them that are asked for at once: each may have 100 KB."""

IN_ONE_GO = 1 << 20
"""Bytes of JSON that are parsed in one go, in three milliseconds; larger answers are cut into their results before."""

SIDE_BY_SIDE = 8
"""Calls that one search makes at the same time: an origin has others to serve."""

DIGITS = 16
"""Of a count that is believed: Python reads no number of thousands of digits, and nobody counts so far."""

_MORE = re.compile(r"There are (\d{1,12}) additional results")
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


async def side_by_side(work: Callable[[_Item], Awaitable[_Made]], items: Iterable[_Item]) -> list[_Made]:
    """What `work` makes of each item, `SIDE_BY_SIDE` at a time; the first failure ends them all."""
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(item: _Item) -> _Made:
        async with places:
            return await work(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


class Pages:
    """What one question finds.

    :param path: of the search below the base.
    :param keys: the parameters that say what is looked for.
    :param include: the value of includefield; empty for none.
    :param offset: results to skip at the beginning.
    """

    def __init__(
        self, client: Client, profile: Profile, level: Level, path: str, keys: Sequence[Param] = (), include: str = "", offset: int = 0
    ) -> None:
        self._client = client
        self._profile = profile
        self._path = path
        self._below = _UIDS.findall(path)
        self._keys = [*keys, *([("includefield", include)] if include else [])]
        most = WHOLE_RESULTS if include == "all" else RESULTS
        self._most = min(most, profile.page_instances if level == "instance" else profile.page) or most
        self._offset = offset
        self.ended = False
        self.left: int | None = None
        """How many are beyond what was read; None where the origin does not say."""

    async def next(self, wanted: int) -> list[Attributes]:
        """The next results, `wanted` of them at most; see `ended`.

        :raises InvalidQuery: when the origin does not skip that many.
        """
        if self._profile.offset_max and self._offset > self._profile.offset_max:
            raise InvalidQuery(f"the origin of this store skips at most {self._profile.offset_max} results; narrow the search instead")
        limit = max(1, min(wanted, self._most))
        params = [*self._keys, ("limit", str(limit)), *([("offset", str(self._offset))] if self._offset else [])]
        found, headers = await self._ask(params)
        self._offset += len(found)
        self.left = self._said(headers)
        self.ended = not found or (self.left == 0 if self.left is not None else len(found) < limit)
        return found

    async def all(self, most: int) -> list[Attributes]:
        """Everything, up to about `most`."""
        found: list[Attributes] = []
        while not self.ended and len(found) < most:
            found += await self.next(self._most)
        return found

    def _said(self, headers: Mapping[str, str]) -> int | None:
        if more := _MORE.search(headers.get("Warning", "")):
            return int(more[1])
        total = headers.get("X-Total-Count", "")
        return max(0, int(total) - self._offset) if total.isascii() and total.isdecimal() and len(total) < DIGITS else None

    async def _ask(self, params: Sequence[Param]) -> tuple[list[Attributes], Mapping[str, str]]:
        try:
            answer = await self._client.ask("GET", self._path, transaction="search", params=params, headers=_JSON, ok=(200, 204, 206))
        except NotFound:
            if self._path.startswith("/studies/"):  # nothing is below a study that nobody knows
                return [], {}
            raise
        except GatewayError as error:
            if error.status == HTTPStatus.BAD_REQUEST:
                names = ", ".join(dict.fromkeys(name for name, _ in params if name not in _OURS))
                raise InvalidQuery(f"the origin of this store refuses to search by {names or 'what it was asked for'}") from error
            raise
        body = await answer.read(PAGE_BYTES)
        found = await parsed(body, self._client.name)
        if self._below and not all(map(self._asked_for, found)):
            raise OriginFailed(f"The origin of store {self._client.name!r} answers with something below another study than was asked for.")
        return found, answer.headers

    def _asked_for(self, row: Attributes) -> bool:
        """Whether a result is below what the path names: it may be another patient's."""
        found = named(row)
        return all(uid in (None, asked) for uid, asked in zip((found.study, found.series), self._below, strict=False))


_UIDS = re.compile(r"/(?:studies|series)/([0-9.]+)")
_JSON = {"Accept": "application/dicom+json"}
_OURS = frozenset({"includefield", "limit", "offset", "fuzzymatching"})


async def parsed(body: bytes, name: str) -> list[Attributes]:
    """The results of one answer, tidied up: upper-case tags that ascend, no URL of the origin, UIDs that are ones.

    The transfer syntax of an instance is at 00083002, wherever the origin puts it.

    :param name: of the store, for the message.
    :raises OriginFailed: when it is no JSON array of data sets.
    """
    if len(body) <= INLINE:
        return _parsed(body, name)
    return await asyncio.to_thread(_parsed, body, name)


def _parsed(body: bytes, name: str) -> list[Attributes]:
    try:
        if len(body) > IN_ONE_GO and body.lstrip().startswith(b"["):
            splitter = Splitter()
            rows = [*splitter.feed(body), *splitter.finish()]
            if len(rows) > ROWS:
                raise OriginFailed(f"The origin of store {name!r} answers a search with {len(rows)} results, whatever limit it is told.")
            return [_result(orjson.loads(one)) for one in rows]
        found: Any = orjson.loads(body) if body.strip() else []
        if isinstance(found, list):
            return list(map(_result, found))
    except (TypeError, AttributeError, ValueError, LookupError, RecursionError):
        pass
    raise OriginFailed(f"The origin of store {name!r} answered a search with something else than DICOM JSON. Check the store's url.")


def _result(one: Attributes) -> Attributes:
    resource = named(one)
    tidy = tidied(one, f"{URL_BASE}{resource.path}/bulkdata/")
    tidy.pop("00081190", None)
    if resource.instance is None:  # only an instance has a place for bulk data
        tidy = {key: attribute for key, attribute in tidy.items() if "BulkDataURI" not in attribute}
    if _TRANSFER_SYNTAX in one:
        tidy = tidied({AVAILABLE_SYNTAX: one[_TRANSFER_SYNTAX]}, "") | tidy
    return tidy


UIDS = ("0020000D", "0020000E", "00080018")
"""What names a study, a series and an instance."""

AVAILABLE_SYNTAX = "00083002"
_TRANSFER_SYNTAX = "00020010"


def named(row: Attributes) -> Resource:
    """What a result is about.

    :raises ValueError: when it does not say.
    """
    study, series, instance = (str(row[key]["Value"][0]).strip(" \0") if key in row else None for key in UIDS)
    if study is None or not all(uid is None or is_uid(uid) for uid in (study, series, instance)):
        raise ValueError("no UID")
    return Resource(study, series, instance)
