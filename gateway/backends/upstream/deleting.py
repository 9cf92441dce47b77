"""Deletes at an origin, by the way that its profile names, and how many instances that were.

DELETE is no part of PS3.18; what the gateway offers is `web.wado.delete`. An origin that does not count is asked before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.backends.upstream.client import Client
from gateway.backends.upstream.profiles import Deleting as Way
from gateway.backends.upstream.searching import Searching
from gateway.dicomweb.matching import Exact
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import Conflict, Gone, NotFound, OriginFailed, OriginTimeout

ANSWER = 1 << 20
"""Bytes of an operation or a lookup."""

PATIENCE = 600.0
"""Seconds until an operation of the origin must be done: studies of 100,000 instances take minutes."""

FIRST_LOOK, LAST_LOOK = 0.1, 5.0
"""Seconds between looks at an operation, the first and the longest."""

PAGE = 1000
"""Instances that are counted in one search."""

DONE = (200, 202, 204)

_COUNTED: dict[Level, tuple[str, int]] = {"study": ("00201208", 0x0020000D), "series": ("00201209", 0x0020000E)}
_TYPES: dict[Level, str] = {"study": "Study", "series": "Series", "instance": "Instance"}


class Deleting:
    """:param way: see `Profile.deletes`."""

    def __init__(self, client: Client, way: Way, searching: Searching) -> None:
        self._client = client
        self._searching = searching
        ways: dict[Way, Callable[[Resource], Awaitable[None]]] = {
            "standard": self._standard,
            "google": self._google,
            "orthanc": self._orthanc,
            "none": self._refuse,
        }
        self._delete = ways[way]

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        count = await self._count(resource)
        try:
            await self._delete(resource)  # even when nothing was found: it knows whether that was deleted, or never was there
        except NotFound:
            raise _missing(resource) from None
        except Gone:
            raise Gone(f"this {resource.level} was deleted") from None
        return count

    # -- how many

    async def _count(self, resource: Resource) -> int:
        if resource.level in _COUNTED:
            key, tag = _COUNTED[resource.level]
            above = Resource(resource.study) if resource.series is not None else Resource()
            uid = resource.series or resource.study or ""
            query = Query(resource.level, above, (Filter((tag,), "UI", Exact(uid)),), frozenset({key}), limit=1)
            found = (await self._searching.search(query)).results
            if not found:
                return 0
            values = orjson.loads(found[0]).get(key, {}).get("Value")
            if values:
                return int(values[0])
        return await self._counted_one_by_one(resource)

    async def _counted_one_by_one(self, resource: Resource) -> int:
        above = Resource(resource.study, resource.series)
        filters = () if resource.instance is None else (Filter((0x00080018,), "UI", Exact(resource.instance)),)
        count, more = 0, True
        while more:
            page = await self._searching.search(Query("instance", above, filters, limit=PAGE, offset=count))
            count += len(page.results)
            more = page.remaining != 0 and len(page.results) > 0
        return count

    # -- the ways

    async def _standard(self, resource: Resource) -> None:
        answer = await self._client.ask("DELETE", resource.path, transaction="delete", ok=DONE)
        await answer.read(ANSWER)

    async def _refuse(self, resource: Resource) -> None:
        raise Conflict(f"this store's origin deletes nothing (profile: deletes = none); the {resource.level} stays")

    async def _google(self, resource: Resource) -> None:
        """A study or series goes in an operation, which is over before we say so; an instance goes at once."""
        answer = await self._client.ask("DELETE", resource.path, transaction="delete", ok=DONE)
        operation = _read(await answer.read(ANSWER))
        name = operation.get("name")
        version = urlsplit(self._client.base).path.strip("/").partition("/")[0]
        end, pause = time.monotonic() + PATIENCE, FIRST_LOOK
        while name and not operation.get("done"):
            if time.monotonic() > end:
                raise OriginTimeout(f"The origin has not finished to delete the {resource.level} after {PATIENCE:.0f} seconds.")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_LOOK)
            answer = await self._client.ask("GET", f"/{version}/{name}", transaction="delete", root=True)
            operation = _read(await answer.read(ANSWER))
        if "error" in operation:
            raise OriginFailed(f"The origin could not delete the {resource.level}; its operation ended with an error.")

    async def _orthanc(self, resource: Resource) -> None:
        """Orthanc's REST API finds resources by their UID and deletes by a name of its own."""
        found = [one for one in await self._looked_up(resource) if await self._is_below(one, resource)]
        if not found:
            raise _missing(resource)
        for path in found:
            answer = await self._client.ask("DELETE", path, transaction="delete", root=True, ok=(*DONE, 404))
            await answer.read(ANSWER)

    @property
    def _rest(self) -> str:
        """Where the REST API begins: beside the plugin's root."""
        return urlsplit(self._client.base).path.rpartition("/")[0]

    async def _looked_up(self, resource: Resource) -> list[str]:
        """Paths of all that has the UID: one UID may be in several studies, of patients of several names."""
        uid = resource.instance or resource.series or resource.study or ""
        answer = await self._client.ask("POST", f"{self._rest}/tools/lookup", transaction="delete", root=True, body=uid.encode())
        found = _read(await answer.read(ANSWER))
        return [f"{self._rest}{one['Path']}" for one in found if one.get("Type") == _TYPES[resource.level]]

    async def _is_below(self, path: str, resource: Resource) -> bool:
        """Whether what has that path lies where the resource is asked for."""
        parents: dict[str, str | None] = {"study": resource.study if resource.series else None, "series": None}
        if resource.instance is not None:
            parents["series"] = resource.series
        for kind, uid in parents.items():
            if uid is not None and uid != await self._uid_of(f"{path}/{kind}", kind):
                return False
        return True

    async def _uid_of(self, path: str, kind: str) -> str:
        answer = await self._client.ask("GET", path, transaction="delete", root=True)
        return str(_read(await answer.read(ANSWER)).get("MainDicomTags", {}).get(f"{kind.capitalize()}InstanceUID"))


def _missing(resource: Resource) -> NotFound:
    return NotFound(f"there is no such {resource.level} here")


def _read(body: bytes) -> Any:
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise OriginFailed("The origin's answer to a delete is not JSON.") from None
