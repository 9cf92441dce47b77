"""The reference backend: everything in memory, nothing durable.

For tests, and as the baseline of load tests. Where the protocol leaves a question open, what this does is the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from gateway.backends.base import URL_BASE, Body, Failed, Health, Matches, Retrieve, Stored, StoreResult, Upload, View
from gateway.backends.documents import metadata_body
from gateway.backends.evaluate import matches
from gateway.backends.policy import OnDuplicate
from gateway.backends.representations import Blob, instances
from gateway.backends.results import attribute, check_keys, instance_result, rendered, series_result, study_result
from gateway.backends.views import bulk_body, frames_body
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
            outcome = self._decide(upload.part, new)
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

    def _decide(self, part: int, new: _Held) -> Stored | Failed:
        old = self._held.get(new.key)
        if old is not None and old.data == new.data:
            return Stored(new.instance)
        if old is not None and self._policy is OnDuplicate.REJECT:
            return Failed(
                part,
                Reason.PROCESSING_FAILURE,
                "an instance with the same UIDs and other content is stored already",
                new.instance.sop_class,
                new.instance.sop,
            )
        if old is not None and self._policy is OnDuplicate.SKIP:
            return Stored(new.instance, WarningReason.COERCED)
        self._versions += 1
        self._held.pop(new.key, None)  # a new version counts as the latest of its study
        self._held[new.key] = replace(new, version=self._versions)
        study, series, instance = new.key
        self._deleted -= {Resource(study), Resource(study, series), Resource(study, series, instance)}
        return Stored(new.instance)

    # -- search

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        check_keys(query)
        groups: dict[tuple[str, ...], list[_Held]] = {}
        for held in self._held.values():
            if _below(held, query.resource):
                groups.setdefault(held.key[: _DEPTH[query.level]], []).append(held)
        found = [group for group in groups.values() if self._matches(group[0], query)]
        page = found[query.offset : query.offset + query.limit]
        remaining = max(0, len(found) - query.offset - len(page))
        return Matches(tuple(rendered(self._result(query, group)) for group in page), remaining)

    def _matches(self, held: _Held, query: Query) -> bool:
        own = held.attributes
        known = own.study | own.series | own.instance | {"00080061": attribute("CS", *self._modalities(held.instance.study))}
        return all(matches(known, item) for item in query.filters)

    def _modalities(self, study: str) -> set[str]:
        series = (held.attributes.series for held in self._held.values() if held.instance.study == study)
        return {value for one in series for value in one.get("00080060", {}).get("Value", ())}

    def _result(self, query: Query, group: list[_Held]) -> dict[str, Any]:
        own, instance = group[0].attributes, group[0].instance
        if query.level == "study":
            series = len({held.instance.series for held in group})
            return study_result(own.study, instance.study, self._modalities(instance.study), series, len(group))
        if query.level == "series":
            return series_result(own.series, own.study, query, Resource(instance.study, instance.series), len(group))
        resource = Resource(instance.study, instance.series, instance.sop)
        return instance_result(own.instance, own.study, own.series, query, resource, instance.sop_class, instance.transfer_syntax)

    # -- retrieve

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        held = self._find(retrieve.resource)
        if retrieve.view is View.METADATA:
            return metadata_body(retrieve.accept, _batches(held, self._limits), len(held), asyncio.to_thread)
        return await asyncio.to_thread(self._body, retrieve, held)

    def _body(self, retrieve: Retrieve, held: list[_Held]) -> Body:
        blobs = [one.blob for one in held]
        if retrieve.view is View.INSTANCES:
            single = retrieve.resource.instance is not None
            return instances(blobs, retrieve.accept, self._default, asyncio.to_thread, single=single, limits=self._limits)
        if retrieve.view is View.FRAMES:
            return frames_body(blobs[0], held[0].table, retrieve.resource.frames, retrieve.accept, asyncio.to_thread, self._limits)
        data, walk = _modelled(held[0], self._limits)
        return bulk_body(blobs[0], held[0].table, data, walk, retrieve.bulk or "", retrieve.accept, asyncio.to_thread, self._limits)

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


async def _batches(held: list[_Held], limits: Limits) -> AsyncGenerator[list[bytes], None]:
    for one in held:
        data, walk = await asyncio.to_thread(_modelled, one, limits)
        prefix = URL_BASE + Resource(*one.key).path
        yield [instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix=prefix)]
