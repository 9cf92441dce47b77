"""What work on pixels is made of, asked of any `Backend`: the header of an instance, its frames, its bulk values, all its bytes.

1. Nothing is asked but what everybody may ask, so a picture can be made of whatever stands behind: files, an origin, a cache.
2. What lies in a file goes on as a place in it (`Region`); its descriptor is open as long as the context manager that gave it.
3. Headers are kept parsed, by their entity tag, so they never go stale: a viewer asks for a hundred frames of one instance.
4. A whole instance that does not lie in one file is put into one without a name, in a folder that is bounded in bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import orjson

from gateway.backends.base import Backend, Body, Retrieve, View
from gateway.backends.cached.coalescing import Flight, Flights
from gateway.backends.pictured.headers import Header, Headers, Key
from gateway.backends.pictured.listing import SYNTAX, Listed, listed, order
from gateway.backends.pictured.reading import Opened, everything
from gateway.backends.upstream.area import Area
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, parse_accept, parse_media_type
from gateway.dicomweb.multipart import Data, MultipartLimits, Part, Scanner, boundary_of
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import MAX_FRAMES, Resource
from gateway.errors import Gone, NotAcceptable, NotFound, OriginFailed
from gateway.pixels.image import Image, Json, number
from gateway.pixels.work import Input, Region

__all__ = ["Frames", "Header", "Headers", "Listed", "Sources", "Whole", "syntax_of"]

JSON = parse_accept(["application/dicom+json"])
ONE = parse_accept(["application/octet-stream; transfer-syntax=*"])
SEVERAL = parse_accept(['multipart/related; type="application/octet-stream"; transfer-syntax=*'])
WHOLE = parse_accept(["application/dicom; transfer-syntax=*"])

INLINE = 32 << 10
"""Bytes of a header that are parsed on the loop: a quarter of a millisecond."""

VALUE = 64 << 20
"""Bytes of one bulk value; tables of look-ups have 128 KiB, and waveforms of a whole day half of this."""

PAGE = 5_000
"""Instances that are listed with one question."""

_LIMITS = MultipartLimits(parts=MAX_FRAMES)


@dataclass(frozen=True, slots=True)
class Frames:
    """:param inputs: one a frame, in the order asked for.
    :param syntax: the transfer syntax that they are in; native ones are little endian octets (`EXPLICIT_LITTLE_ENDIAN`).
    """

    inputs: Sequence[Input]
    syntax: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole instance as PS3.10 has it, as it is stored.

    :param region: where it lies. :param syntax: its transfer syntax.
    """

    region: Region
    syntax: str

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.region.length


class Sources:
    """:param inner: who is asked.
    :param name: of the store, in keys.
    :param area: makes, or gives again, the folder for whole instances; blocks.
    :param scope: what stands for the caller where `inner` sees him, else empty.
    :param frame_bytes: the longest frame that is read into memory.
    """

    def __init__(
        self,
        inner: Backend,
        *,
        name: str,
        headers: Headers,
        area: Callable[[], Area],
        scope: Callable[[], str] = lambda: "",
        frame_bytes: int = 512 << 20,
    ) -> None:
        self.inner = inner
        self._name = name
        self._headers = headers
        self._area = area
        self._scope = scope
        self._frame_bytes = frame_bytes
        self._loading: Flights[Header] = Flights()

    async def aclose(self) -> None:
        """Ends what is under way; `inner` is closed by others."""
        await self._loading.aclose()

    # -- headers

    async def header(self, resource: Resource) -> Header:
        """The header of an instance. Frame numbers of the resource say which frame tells the transfer syntax, where one has to.

        :raises NotFound: :raises Gone: there is no such instance.
        """
        key, body = await self._metadata(resource)
        return await self._header(resource, key, body)

    async def image(self, resource: Resource) -> Image | None:
        """The pixels of an instance, None where it has none; what `header` says of them, without parsing a long one once more."""
        key, body = await self._metadata(resource)
        if key is not None and self._headers.knows(key):
            await body.aclose()
            return self._headers.image(key)
        return (await self._header(resource, key, body)).image

    async def _metadata(self, resource: Resource) -> tuple[Key | None, Body]:
        """Metadata that is not read yet, and its key where it has an entity tag."""
        alone = Resource(resource.study, resource.series, resource.instance)
        body = await self.inner.retrieve(Retrieve(alone, View.METADATA, JSON))
        return None if body.etag is None else (self._name, self._scope(), alone.path, body.etag), body

    async def _header(self, resource: Resource, key: Key | None, body: Body) -> Header:
        alone = Resource(resource.study, resource.series, resource.instance)
        load = partial(self._load, body, alone, resource.frames[:1] or (1,))
        if key is None:
            return await load()
        if (kept := self._headers.get(key)) is not None:
            await body.aclose()
            return kept
        flight, joined = self._loading.join(key, partial(self._kept, key, load))
        try:
            if joined:
                await body.aclose()
            return await flight.result()
        finally:
            flight.leave()

    async def _kept(self, key: Key, load: Callable[[], Awaitable[Header]], flight: Flight[Header]) -> None:
        header = await load()
        self._headers.add(key, header)
        flight.answer(header)

    async def _load(self, body: Body, alone: Resource, frames: tuple[int, ...]) -> Header:
        raw = (await everything(body, self._frame_bytes)).strip()[1:-1].strip()
        data: Json = orjson.loads(raw) if len(raw) <= INLINE else await asyncio.to_thread(orjson.loads, raw)
        syntax = body.syntax or await self._syntax(data, alone, frames)
        return Header(alone.path, data, raw, syntax, Image.of(data, syntax), body.etag)

    async def _syntax(self, data: Json, alone: Resource, frames: tuple[int, ...]) -> str:
        """The transfer syntax of the frames, or else of the instance: nothing in its metadata need say."""
        if number(data, "00280010"):
            try:
                resource = Resource(alone.study, alone.series, alone.instance, frames)
                return await self._said(Retrieve(resource, View.FRAMES, ONE))
            except (NotFound, NotAcceptable):
                pass
        return await self._said(Retrieve(alone, View.INSTANCES, WHOLE))

    async def _said(self, retrieve: Retrieve) -> str:
        body = await self.inner.retrieve(retrieve)
        await body.aclose()
        return syntax_of(body.media_type)

    # -- frames and values

    @asynccontextmanager
    async def frames(self, resource: Resource, numbers: Sequence[int], *, small: bool = False) -> AsyncIterator[Frames]:
        """Frames as they are stored, numbered from 1.

        :param small: whether they may be read into memory together: one question is asked then, and not one for each.
        :raises NotFound: for a frame that is not there.
        """
        with Opened() as opened:
            if small and len(numbers) > 1:
                yield await self._together(resource, numbers)
                return
            inputs: list[Input] = []
            syntax = EXPLICIT_LITTLE_ENDIAN
            for one in numbers:
                wanted = Resource(resource.study, resource.series, resource.instance, (one,))
                body = await self.inner.retrieve(Retrieve(wanted, View.FRAMES, ONE))
                syntax = syntax_of(body.media_type)
                inputs.append(await opened.input(body, self._frame_bytes))
            yield Frames(inputs, syntax)

    async def _together(self, resource: Resource, numbers: Sequence[int]) -> Frames:
        wanted = Resource(resource.study, resource.series, resource.instance, tuple(numbers))
        body = await self.inner.retrieve(Retrieve(wanted, View.FRAMES, SEVERAL))
        data = await everything(body, self._frame_bytes)
        scanner = Scanner(boundary_of(parse_media_type(body.media_type)), _LIMITS)
        inputs: list[list[bytes]] = []
        syntax = EXPLICIT_LITTLE_ENDIAN
        for event in (*scanner.feed(data), *scanner.close()):
            if isinstance(event, Part):
                syntax = syntax_of(event.headers.get("content-type", "application/octet-stream"))
                inputs.append([])
            elif isinstance(event, Data):
                inputs[-1].append(event.data)
        if len(inputs) != len(numbers):
            raise OriginFailed(f"{len(inputs)} frames came where {len(numbers)} were asked for.")
        return Frames(inputs, syntax)

    async def bulk(self, resource: Resource, path: str) -> bytes | None:
        """One value, None where there is none.

        :param path: below the instance, as a BulkDataURI of its metadata has it behind ``/bulkdata/``.
        """
        alone = Resource(resource.study, resource.series, resource.instance)
        try:
            body = await self.inner.retrieve(Retrieve(alone, View.BULKDATA, ONE, path))
        except (NotFound, Gone, NotAcceptable):
            return None
        return await everything(body, VALUE)

    # -- instances

    async def listed(self, resource: Resource, *, syntaxes: bool = False) -> list[Listed]:
        """All instances below a study or series by the numbers of series and instances; what has none comes last.

        :param syntaxes: whether transfer syntaxes are wanted also where a search does not show them unasked.
        """
        where = Resource(resource.study, resource.series)
        include = frozenset({SYNTAX}) if syntaxes else frozenset()
        found: list[Listed] = []
        while True:
            matches = await self.inner.search(Query("instance", where, include=include, limit=PAGE, offset=len(found)))
            some = await asyncio.to_thread(listed, matches.results, where)
            found += some
            if matches.remaining == 0 or not some:
                return sorted(found, key=order)

    @asynccontextmanager
    async def instance(self, resource: Resource) -> AsyncIterator[Whole]:
        """A whole instance in one place.

        :raises NotFound: :raises Gone: there is no such instance. :raises Busy: the area is full.
        """
        alone = Resource(resource.study, resource.series, resource.instance)
        body = await self.inner.retrieve(Retrieve(alone, View.INSTANCES, WHOLE))
        with Opened() as opened:
            yield Whole(await opened.region(body, self._area), syntax_of(body.media_type))


def syntax_of(media_type: str) -> str:
    """The transfer syntax that a Content-Type names; Explicit VR Little Endian where it names none (PS3.18 8.7.3.5.2)."""
    return parse_media_type(media_type).param("transfer-syntax") or EXPLICIT_LITTLE_ENDIAN
