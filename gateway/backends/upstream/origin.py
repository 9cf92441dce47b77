"""A DICOMweb origin as a store: the `Backend` in front of a PACS or a cloud.

    search    Searching                         what the origin cannot match is matched here
    store     Storing -> Passage -> Client      peeked and walked while it passes
    retrieve  Retrieving -> Fetching -> Client  unopened where that is right
              Cutting -> Area                   frames and bulk data out of whole instances
    delete    Deleting                          the way that the profile names

All of them ask through one `Client`, which knows credentials, retries, the breaker and the bound on calls in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from gateway.backends.base import Body, Health, Matches, Retrieve, StoreResult, Upload
from gateway.backends.upstream.area import Area
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.cutting import Cutting
from gateway.backends.upstream.deleting import Deleting
from gateway.backends.upstream.fetching import Fetching
from gateway.backends.upstream.profiles import Profile
from gateway.backends.upstream.refusals import answer_of
from gateway.backends.upstream.retrieving import Retrieving
from gateway.backends.upstream.searching import Searching
from gateway.backends.upstream.storing import Storing
from gateway.dicom.elements import Limits
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, NotImplementedHere

LOOK = 10.0
"""Seconds that a look at the origin counts: probes come every second, from several places."""

LOOK_SECONDS = 5.0
"""Seconds after which a look says that the origin is not there."""

PROBE = 64 << 10
"""Bytes of the answer to a look that are read so that its connection can be used again."""


class Origin:
    """See `Backend`.

    :param area: where whole instances rest while frames are cut out of them; closed with the store.
    :param scan: results of the origin that a search may look through.
    :param limits: of an instance's structure.
    :param default_transfer_syntax: for callers who name none, ``*`` for as stored.
    :param decodes: whether the origin is asked for instances in transfer syntaxes that only pixels decoded can be written in.
    """

    def __init__(
        self,
        client: Client,
        profile: Profile,
        *,
        area: Area,
        scan: int,
        limits: Limits = Limits(),
        default_transfer_syntax: str = EXPLICIT_LITTLE_ENDIAN,
        decodes: bool = True,
    ) -> None:
        self._client = client
        self._area = area
        self._searching = Searching(client, profile, scan=scan)
        self._storing = Storing(client, profile, self._searching, limits)
        cutting = Cutting(Fetching(client, profile), area, limits, lambda: client.credentials.scope)
        self._retrieving = Retrieving(client, profile, cutting, limits, default_transfer_syntax, decodes=decodes)
        self._deleting = Deleting(client, profile.deletes, self._searching)
        self._looked = -LOOK
        self._looking: asyncio.Task[Health] | None = None
        self._health = Health(ready=True)

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`."""
        studies: set[str] = set()
        try:
            async with aclosing(self._seen(uploads, studies)) as seen:
                return await self._storing.store(seen)
        finally:
            for study in studies:
                self._area.changed(study)

    async def _seen(self, uploads: AsyncIterator[Upload], studies: set[str]) -> AsyncGenerator[Upload, None]:
        """The same uploads; what is kept of their studies is forgotten before the origin sees them, and after."""
        async for upload in uploads:
            if upload.replace:
                raise NotImplementedHere("the origin behind this store decides itself what becomes of another version of an instance")
            studies.add(upload.instance.study)
            self._area.changed(upload.instance.study)
            yield upload

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`."""
        return await self._searching.search(query)

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        return await self._retrieving.retrieve(retrieve)

    async def delete(self, resource: Resource) -> int:
        """See `Backend.delete`."""
        study = resource.study or ""
        self._area.changed(study)
        try:
            return await self._deleting.delete(resource)
        finally:
            self._area.changed(study)

    async def check(self) -> Health:
        """See `Backend.check`. The origin is looked at every `LOOK` seconds at most, and once for all who ask meanwhile."""
        if time.monotonic() - self._looked < LOOK:
            return self._health
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        self._health = await asyncio.shield(self._looking)
        return self._health

    async def _look(self) -> Health:
        """Whether the origin answers. That it refuses whoever asks does not make it unfit for others."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                answer = await self._client.ask("GET", "/studies", params=[("limit", "1")], transaction="health")
                await answer.beginning(PROBE)
            health = Health(ready=True)
        except TimeoutError:
            health = Health(ready=False, writable=False, detail=f"the origin did not answer within {LOOK_SECONDS:.0f} seconds")
        except GatewayError as error:
            said = answer_of(error)
            answers = said is not None and said.status in (401, 403) and not self._client.credentials.own
            health = Health(ready=answers, writable=answers, detail="" if answers else error.message)
        self._looked = time.monotonic()
        return health

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        self._area.close()
        await self._client.aclose()
