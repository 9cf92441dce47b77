"""The reference backend: everything in memory, nothing durable.

For tests, and as the baseline of load tests. Where the protocol leaves a question open, what this does is the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson

from gateway.backends import needs
from gateway.backends.base import URL_BASE, Body, Failed, Health, Matches, Retrieve, Stored, StoreResult, Tally, Upload, View
from gateway.backends.bulk import Laid, all_bulk_data, bulk_body
from gateway.backends.documents import metadata_body
from gateway.backends.evaluate import all_match
from gateway.backends.policy import OnDuplicate
from gateway.backends.representations import Blob, instances, state_of_all
from gateway.backends.results import Attributes, asked, attribute, instance_alone, instance_result, rendered, series_result, study_result
from gateway.backends.views import frames_body
from gateway.dicom.attributes import INDEX_TAGS, IndexAttributes, index_attributes
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable, frame_table
from gateway.dicom.header import Instance
from gateway.dicom.metadata import instance_metadata
from gateway.dicom.model import Data
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
from gateway.dicomweb.query import Query
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import Gone, InstanceError, NotFound


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A `Source` over bytes."""

    data: bytes

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def piece(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class _Held:
    """An instance and what was found out about it when it came."""

    instance: Instance
    data: bytes
    version: int
    modified: float
    attributes: IndexAttributes
    table: FrameTable | None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.instance.study, self.instance.series, self.instance.sop

    @property
    def blob(self) -> Blob:
        return Blob(self.instance, len(self.data), f"{self.version:x}", self.modified, _Bytes(self.data))


class MemoryBackend:
    """See `Backend` for the methods, `LocalStore` for the parameters."""

    def __init__(
        self,
        *,
        on_duplicate: OnDuplicate = OnDuplicate.REJECT,
        limits: Limits | None = None,
        default_transfer_syntax: str = "1.2.840.10008.1.2.1",
    ) -> None:
        self._policy = on_duplicate
        self._limits = limits or Limits()
        self._default = default_transfer_syntax
        self._held: dict[tuple[str, str, str], _Held] = {}
        self._deleted: set[Resource] = set()
        self._versions = 0

    # -- store

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`."""
        received: list[tuple[Upload, _Held]] = []
        failed: list[Failed] = []
        async for upload in uploads:
            try:
                data = b"".join([bytes(piece) async for piece in upload.body])
                received.append((upload, await asyncio.to_thread(self._examine, upload.instance, data)))
            except InstanceError as error:
                failed.append(Failed(upload.part, error.reason, error.message, upload.instance.sop_class, upload.instance.sop))
        stored: list[Stored] = []
        for upload, new in received:  # nothing is visible before the request has ended well
            outcome = self._decide(upload.part, new, OnDuplicate.REPLACE if upload.replace else self._policy)
            if isinstance(outcome, Stored):
                stored.append(outcome)
            else:
                failed.append(outcome)
        return StoreResult(tuple(stored), tuple(failed))

    def _examine(self, instance: Instance, data: bytes) -> _Held:
        walk = Walk(wanted=INDEX_TAGS | TABLE_TAGS, limits=self._limits)
        walk.feed(data)
        walk.finish()
        attributes = index_attributes(walk.values, implicit=walk.implicit, little_endian=walk.little_endian)
        try:
            table = frame_table(walk, lambda offset, length: data[offset : offset + length])
        except InstanceError:
            table = None
        return _Held(instance, data, 0, time.time(), attributes, table)

    def _decide(self, part: int, new: _Held, policy: OnDuplicate) -> Stored | Failed:
        old = self._held.get(new.key)
        if old is not None and old.data == new.data:
            return Stored(new.instance, known=True)
        if old is not None and policy is OnDuplicate.REJECT:
            return Failed(
                part,
                Reason.PROCESSING_FAILURE,
                "an instance with the same UIDs and other content is stored already",
                new.instance.sop_class,
                new.instance.sop,
            )
        if old is not None and policy is OnDuplicate.SKIP:
            return Stored(new.instance, WarningReason.COERCED, known=True)
        self._versions += 1
        self._held.pop(new.key, None)  # a new version counts as the latest of its study
        self._held[new.key] = replace(new, version=self._versions)
        study, series, instance = new.key
        self._deleted -= {Resource(study), Resource(study, series), Resource(study, series, instance)}
        return Stored(new.instance)

    # -- search

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        return await asyncio.to_thread(_Search(query, list(self._held.values()), self._limits).matches)

    # -- retrieve

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        held = self._find(retrieve.resource)
        if retrieve.view is View.METADATA:
            state = state_of_all([one.blob for one in held])
            return metadata_body(retrieve.accept, _batches(held, self._limits), state, asyncio.to_thread)
        if retrieve.view is View.PIXELDATA or (retrieve.view is View.BULKDATA and retrieve.bulk is None):
            every = _Every(held, self._limits)
            return await all_bulk_data(retrieve.resource, retrieve.view, every, retrieve.accept, asyncio.to_thread, self._limits)
        return await asyncio.to_thread(self._body, retrieve, held)

    def _body(self, retrieve: Retrieve, held: list[_Held]) -> Body:
        blobs = [one.blob for one in held]
        if retrieve.view is View.INSTANCES:
            single = retrieve.resource.instance is not None
            return instances(blobs, retrieve.accept, self._default, asyncio.to_thread, single=single, limits=self._limits)
        if retrieve.view is View.FRAMES:
            return frames_body(blobs[0], held[0].table, retrieve.resource.frames, retrieve.accept, asyncio.to_thread, self._limits)
        return bulk_body(_laid(held[0], self._limits), retrieve.bulk or "", retrieve.accept, asyncio.to_thread, self._limits)

    def _find(self, resource: Resource) -> list[_Held]:
        found = [held for held in self._held.values() if _below(held, resource)]
        if found:
            return found
        if replace(resource, frames=()) in self._deleted:
            raise Gone(f"this {resource.level} was deleted")
        raise NotFound(f"there is no such {resource.level} here")

    # -- the rest

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        gone = self._find(resource)
        for held in gone:
            del self._held[held.key]
            study, series, instance = held.key
            self._deleted.add(Resource(study, series, instance))
            self._deleted |= {
                above
                for above in (Resource(study, series), Resource(study))
                if not any(_below(left, above) for left in self._held.values())
            }
        self._deleted.add(resource)
        return len(gone)

    async def check(self) -> Health:
        """See `Backend.check`."""
        return Health(ready=True)

    async def tally(self) -> Tally:
        """See `Countable.tally`."""
        studies, series = {key[0] for key in self._held}, {key[:2] for key in self._held}
        return Tally(len(studies), len(series), len(self._held), sum(len(held.data) for held in self._held.values()))

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        self._held.clear()


_DEPTH: dict[Level, int] = {"study": 1, "series": 2, "instance": 3}


def _below(held: _Held, resource: Resource) -> bool:
    named = (resource.study, resource.series, resource.instance)
    return all(uid is None or uid == own for uid, own in zip(named, held.key, strict=True))


def _modelled(held: _Held, limits: Limits) -> tuple[Data, Walk]:
    walk = Walk(record=True, limits=limits)
    walk.feed(held.data)
    walk.finish()
    deflated = held.instance.transfer_syntax in DEFLATED
    return inflated(held.data, limits) if deflated else held.data, walk


def _laid(held: _Held, limits: Limits) -> Laid:
    data, walk = _modelled(held, limits)
    return Laid(held.blob, data, walk, lambda: held.table)


@dataclass(frozen=True, slots=True)
class _Every:
    """See `bulk.Held`."""

    held: list[_Held]
    limits: Limits

    @property
    def blobs(self) -> list[Blob]:
        return [one.blob for one in self.held]

    def documents(self, some: Sequence[int]) -> list[bytes]:
        return [_document(self.held[number], self.limits) for number in some]

    def laid(self, number: int) -> Laid:
        return _laid(self.held[number], self.limits)


async def _batches(held: list[_Held], limits: Limits) -> AsyncGenerator[list[bytes], None]:
    for one in held:
        yield [await asyncio.to_thread(_document, one, limits)]


def _document(held: _Held, limits: Limits) -> bytes:
    data, walk = _modelled(held, limits)
    return instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix=URL_BASE + Resource(*held.key).path)


class _Search:
    """One search over all that is held, which is in the order in which it came."""

    def __init__(self, query: Query, held: list[_Held], limits: Limits) -> None:
        self._query = query
        self._limits = limits
        self._filters = needs.restricting(query.filters)
        self._studies = _grouped(held, "study")
        self._series = _grouped(held, "series")
        self._below = [one for one in held if _below(one, query.resource)]

    def matches(self) -> Matches:
        query = self._query
        found = [group for group in _grouped(self._below, query.level).values() if self._some_row_matches(group)]
        page = found[query.offset : query.offset + query.limit]
        remaining = max(0, len(found) - query.offset - len(page))
        newest = max((one.modified for one in self._below), default=None)
        return Matches(tuple(rendered(self._result(group)) for group in page), remaining, newest)

    def _some_row_matches(self, group: list[_Held]) -> bool:
        rows = _grouped(group, needs.rows(self._query)).values()
        return not self._filters or any(all_match(self._known(row[0]), self._filters) for row in rows)

    def _known(self, held: _Held) -> Attributes:
        headers = any(not needs.in_index(item.path[0]) for item in self._filters)
        return (self._header(held) if headers else {}) | self._kept(held, needs.rows(self._query))

    def _header(self, held: _Held) -> Attributes:
        found: Attributes = orjson.loads(_document(held, self._limits))
        return found

    def _kept(self, held: _Held, level: Level) -> Attributes:
        """What an index would know of the row of that level, and of those above."""
        study, series, _ = held.key
        of_study = self._studies[study,]
        kept = of_study[0].attributes.study | {
            "00080056": attribute("CS", "ONLINE"),
            "00080061": attribute("CS", *sorted(self._modalities(study))),
            "00201206": attribute("IS", len({one.key[1] for one in of_study})),
            "00201208": attribute("IS", len(of_study)),
        }
        if level != "study":
            of_series = self._series[study, series]
            kept |= of_series[0].attributes.series | {"00201209": attribute("IS", len(of_series))}
        if level == "instance":
            syntax = attribute("UI", held.instance.transfer_syntax)
            kept |= held.attributes.instance | {"00020010": syntax, "00083002": syntax}
        return kept

    def _modalities(self, study: str) -> set[str]:
        of_series = [group[0].attributes.series for key, group in self._series.items() if key[0] == study]
        return {value for one in of_series for value in one.get("00080060", {}).get("Value", ())}

    def _result(self, group: list[_Held]) -> Attributes:
        query, first = self._query, group[0]
        document = self._header(first) if needs.document(query) else None
        return self._usual(first) | asked(query, self._kept(first, query.level), document)

    def _usual(self, first: _Held) -> Attributes:
        makers = {"study": self._study_result, "series": self._series_result, "instance": self._instance_result}
        return makers[self._query.level](first)

    def _study_result(self, first: _Held) -> Attributes:
        of_study = self._studies[first.key[:1]]
        series = len({one.key[1] for one in of_study})
        return study_result(of_study[0].attributes.study, first.key[0], self._modalities(first.key[0]), series, len(of_study))

    def _series_result(self, first: _Held) -> Attributes:
        of_series = self._series[first.key[:2]]
        above = self._study_result(first)
        return series_result(of_series[0].attributes.series, above, self._query, Resource(*first.key[:2]), len(of_series))

    def _instance_result(self, first: _Held) -> Attributes:
        instance = first.instance
        alone = instance_alone(first.attributes.instance, Resource(*first.key), instance.sop_class, instance.transfer_syntax)
        return instance_result(alone, partial(self._series_result, first), self._query)


def _grouped(held: list[_Held], level: Level) -> dict[tuple[str, ...], list[_Held]]:
    groups: dict[tuple[str, ...], list[_Held]] = {}
    for one in held:
        groups.setdefault(one.key[: _DEPTH[level]], []).append(one)
    return groups
