"""What results lack at an origin and have here: counts, the study and series around them, headers, transfer syntaxes.

Each is asked for only where it is missing and shown, or matched; a few at a time, as `scanning.side_by_side` has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.backends.results import Attributes, attribute
from gateway.backends.upstream import asking
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.profiles import Profile
from gateway.backends.upstream.rewriting import Splitter, remade
from gateway.backends.upstream.scanning import AVAILABLE_SYNTAX, INLINE, Pages, named, side_by_side
from gateway.dicomweb.resources import Level, Resource, is_uid
from gateway.errors import GatewayError, NotFound

COUNTED = 100_000
"""Series or instances that are counted one by one, where an origin does not say how many there are."""

LISTED = 20
"""UIDs in one list: a URL of 1,500 characters passes every server."""

MODALITIES, SERIES, INSTANCES, IN_SERIES = "00080061", "00201206", "00201208", "00201209"

HEADER = 16 << 20
"""Bytes of the metadata of one instance that are read to look into it, eight of them at the same time."""

SMALL = 1 << 16
"""Bytes of Orthanc's answers about one instance."""


def counted(own: Attributes, key: str) -> int | None:
    """A count that an origin gives along with a result; None where it gives none, or something else than a number."""
    try:
        return int((own.get(key, {}).get("Value") or [None])[0])
    except (TypeError, ValueError, OverflowError):
        return None


class Filling:
    """Asks one origin for what its results lack."""

    def __init__(self, client: Client, profile: Profile) -> None:
        self._client = client
        self._profile = profile

    def pages(self, resource: Resource, level: Level, keys: Iterable[asking.Param] = (), include: str | None = None) -> Pages:
        """A search below a resource; results show what they always show."""
        path = f"{resource.path}/{asking.SEGMENTS[level]}"
        shown = asking.always(level, self._profile) if include is None else include
        return Pages(self._client, self._profile, level, path, tuple(keys), shown)

    # -- counts

    async def counts(self, rows: Sequence[Attributes], level: Level) -> list[Attributes]:
        """Studies with ModalitiesInStudy and both counts, or series with theirs."""
        if level == "instance":
            return list(rows)
        wanted = (MODALITIES, SERIES, INSTANCES) if level == "study" else (IN_SERIES,)

        async def filled(row: Attributes) -> Attributes:
            if _complete(row, wanted):
                return row
            return row | (await self._of_study(named(row)) if level == "study" else await self._of_series(named(row)))

        if all(_complete(row, wanted) for row in rows):
            return list(rows)
        return await side_by_side(filled, rows)

    async def _of_study(self, study: Resource) -> Attributes:
        series = await self.pages(study, "series").all(COUNTED)
        modalities = {str(value) for one in series for value in one.get("00080060", {}).get("Value", ()) if value}
        counts = [counted(one, IN_SERIES) for one in series]
        instances = sum(filter(None, counts)) if all(counts) else await self.instances(study)
        return {
            MODALITIES: attribute("CS", *sorted(modalities)),
            SERIES: attribute("IS", len(series)),
            INSTANCES: attribute("IS", instances),
        }

    async def _of_series(self, series: Resource) -> Attributes:
        return {IN_SERIES: attribute("IS", await self.instances(series))}

    async def instances(self, resource: Resource) -> int:
        """How many a study or series has, counted one by one."""
        pages = self.pages(resource, "instance", include="00080018" if self._profile.includes else "")
        count = 0
        while not pages.ended and count < COUNTED:
            count += len(await pages.next(COUNTED))
        return count

    # -- above

    async def studies(self, uids: Sequence[str], include: str | None = None) -> dict[str, Attributes]:
        """The studies of these UIDs, with their counts. What is gone meanwhile is left out.

        :param include: what they have to show; by default what they always do.
        """
        some = LISTED if self._profile.lists else 1
        lists = [uids[start : start + some] for start in range(0, len(uids), some)]

        async def listed(names: Sequence[str]) -> list[Attributes]:
            keys = [("StudyInstanceUID", self._profile.lists.join(names))]
            return await self.pages(Resource(), "study", keys, include).all(len(names))

        found = [row for rows in await side_by_side(listed, lists) for row in rows]
        return {named(row).study or "": row for row in await self.counts(found, "study")}

    async def series(self, studies: Iterable[str], include: str | None = None) -> dict[tuple[str, str], Attributes]:
        """The series of these studies by both UIDs, likewise."""

        async def of_study(uid: str) -> list[Attributes]:
            return await self.pages(Resource(uid), "series", (), include).all(COUNTED)

        found = [row for rows in await side_by_side(of_study, studies) for row in rows]
        return {_series(row): row for row in await self.counts(found, "series")}

    # -- headers

    async def headers(self, rows: Sequence[Attributes], wanted: Collection[str] | None) -> list[Attributes]:
        """The header of an instance of each study or series, or of each instance; empty where there is none any more.

        :param wanted: the attributes that are kept of it; None for all.
        """

        async def header(row: Attributes) -> Attributes:
            whole = await self._header(named(row))
            return whole if wanted is None else {key: value for key, value in whole.items() if key in wanted}

        return await side_by_side(header, rows)

    async def _header(self, resource: Resource) -> Attributes:
        if resource.instance is None:
            below = await self.pages(resource, "instance", include="").next(1)
            if not below:
                return {}
            resource = named(below[0])
        try:
            answer = await self._client.ask("GET", f"{resource.path}/metadata", transaction="metadata", headers=_JSON)
        except NotFound:
            return {}
        body = await answer.read(HEADER)
        return _read(body, resource) if len(body) <= INLINE else await asyncio.to_thread(_read, body, resource)

    # -- transfer syntaxes

    async def syntaxes(self, rows: Sequence[Attributes]) -> list[Attributes]:
        """Instances with their transfer syntax at 00083002, where it can be known."""
        if self._profile.syntaxes != "orthanc" or all(AVAILABLE_SYNTAX in row for row in rows):
            return list(rows)
        return await side_by_side(self._with_syntax, rows)

    async def _with_syntax(self, row: Attributes) -> Attributes:
        """Orthanc finds an instance by its UID, and keeps the transfer syntax among its own notes on it."""
        rest = urlsplit(self._client.base).path.rpartition("/")[0]
        try:
            found = await self._rest("POST", f"{rest}/tools/lookup", (named(row).instance or "").encode())
            [path, *_] = [one["Path"] for one in orjson.loads(found) if one["Type"] == "Instance"]
            syntax = (await self._rest("GET", f"{rest}{path}/metadata/TransferSyntax")).decode("ascii", "replace").strip()
        except (GatewayError, ValueError, LookupError, TypeError):
            return row  # its own API is hidden from us
        return row | {AVAILABLE_SYNTAX: attribute("UI", syntax)} if is_uid(syntax) else row

    async def _rest(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answer = await self._client.ask(method, path, transaction="search", body=body, ok=(200,), root=True)
        return await answer.read(SMALL)


_JSON: dict[str, Any] = {"Accept": "application/dicom+json"}


def _complete(row: Attributes, wanted: Collection[str]) -> bool:
    return all(key in row and (key == MODALITIES or counted(row, key) is not None) for key in wanted)


def _series(row: Attributes) -> tuple[str, str]:
    resource = named(row)
    return resource.study or "", resource.series or ""


def _read(body: bytes, resource: Resource) -> Attributes:
    splitter = Splitter()
    documents = [*splitter.feed(body), *splitter.finish()]
    header: Attributes = orjson.loads(remade(documents[0], resource)) if documents else {}
    return header
