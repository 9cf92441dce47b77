"""Reads of an origin: what is asked of it, and what is made of its answer (PS3.18 10.4).

1. Whole instances pass unopened where the caller takes them as they are stored.
2. Where a caller wants a transfer syntax, instances are asked for as stored all the same, and native ones are written anew on
   the way as a local store does it. What cannot be written here is asked of the origin in the form that is wanted, unless somebody
   in front of it decodes pixels: compressed ones travel faster.
3. Metadata is asked for as DICOM JSON and made ours while it passes (`rewriting`); XML is written from it.
4. Frames come by the origin's route where its profile trusts it; else they are cut out of the instance, as all bulk data is.
5. A resource that the origin does not know is 404 in our own words: its own may name patients.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from gateway.backends.base import Body, Retrieve, View
from gateway.backends.documents import metadata_body, metadata_offer
from gateway.backends.upstream.client import Answer, Client
from gateway.backends.upstream.converting import NotConvertible, Wish, converted, refused, wish_of
from gateway.backends.upstream.cutting import Cutting, run
from gateway.backends.upstream.fetching import Fetching
from gateway.backends.upstream.framed import Unfit, framed
from gateway.backends.upstream.profiles import Profile
from gateway.backends.upstream.reframing import Closing, media_of, modified_of, passed, version_of, wrapped
from gateway.backends.upstream.refusals import answer_of
from gateway.backends.upstream.rewriting import Splitter, remade
from gateway.backends.upstream.unwrapping import unwrapped
from gateway.backends.validators import State
from gateway.dicom.elements import Limits
from gateway.dicomweb.media import MULTIPART, Accept, Range
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, NotAcceptable, NotFound, OriginFailed

INLINE = 8 << 10
"""Bytes of metadata that are made ours on the loop: a quarter of a millisecond."""

BATCH = 256 << 10
"""Bytes of metadata that one hop to a thread makes ours; the first come at once, for a quick first byte."""

_CANNOT = frozenset({400, 405, 406, 415, 500, 501})
"""Statuses by which origins say that they cannot do what was asked for."""


_INSTANCES = frozenset({MULTIPART, "application/dicom", "application/octet-stream"})
"""Media types in which origins send instances; the last one is what those say that do not know the second."""


class Retrieving:
    """:param default: the transfer syntax for callers who name none, ``*`` for as stored.
    :param decodes: whether the origin is asked for what cannot be written here.
    """

    def __init__(self, client: Client, profile: Profile, cutting: Cutting, limits: Limits, default: str, *, decodes: bool = True) -> None:
        self._fetching = Fetching(client, profile)
        self._profile = profile
        self._cutting = cutting
        self._limits = limits
        self._default = default
        self._decodes = decodes

    async def retrieve(self, retrieve: Retrieve) -> Body:
        """See `Backend.retrieve`."""
        try:
            return await self._retrieve(retrieve)
        except NotFound as error:
            if answer_of(error) is None:
                raise
            raise NotFound(f"there is no such {retrieve.resource.level} here") from None

    async def _retrieve(self, retrieve: Retrieve) -> Body:
        if retrieve.view is View.INSTANCES:
            return await self._instances(retrieve.resource, retrieve.accept)
        if retrieve.view is View.METADATA:
            return await self._metadata(retrieve.resource, retrieve.accept)
        if retrieve.view is View.FRAMES:
            return await self._frames(retrieve)
        if retrieve.view is View.BULKDATA and retrieve.bulk is not None:
            return await self._cutting.bulk(retrieve)
        return await self._cutting.everything(retrieve)

    # -- instances

    async def _instances(self, resource: Resource, accept: Accept) -> Body:
        single = resource.instance is not None
        wish = wish_of(accept, self._default, single=single)
        if wish.stored:
            return await self._as_stored(resource, multipart=wish.multipart)
        answer = await self._fetching.instances(resource, single=not wish.multipart)
        await _closing_on_error(answer, lambda: _is_framed(answer))
        try:
            return await converted(answer, wish, self._limits)
        except NotConvertible as error:
            stored = error.stored
        if self._decodes and (body := await self._made_there(resource, wish)) is not None:
            return body
        try:  # somebody else's second choice
            wish = wish_of(_as_stored_alone(accept), self._default, single=single)
        except NotAcceptable:
            raise refused(stored) from None
        return await self._as_stored(resource, multipart=wish.multipart)

    async def _as_stored(self, resource: Resource, *, multipart: bool) -> Body:
        answer = await self._fetching.instances(resource, single=not multipart)
        framed_there = await _closing_on_error(answer, lambda: _is_framed(answer))
        if multipart:
            return await (passed(answer) if framed_there else wrapped(answer))
        return await unwrapped(answer)

    async def _made_there(self, resource: Resource, wish: Wish) -> Body | None:
        """Instances that the origin writes in the form that is wanted; None when it cannot."""
        try:
            answer = await self._fetching.instances(resource, syntax=wish.syntaxes[0], single=not wish.multipart)
            return await converted(answer, wish, self._limits)
        except NotConvertible:  # it answers with something else, as many do
            return None
        except GatewayError as error:
            if not _cannot(error):
                raise
            return None

    # -- metadata

    async def _metadata(self, resource: Resource, accept: Accept) -> Body:
        metadata_offer(accept)
        if self._profile.metadata == "cut":
            return await self._cut_metadata(resource, accept)
        state: State | None = None
        modified: float | None = None
        try:
            answer = await self._fetching.metadata(resource)
            close = answer.aclose
            batches = _documents(answer, resource)
            modified = modified_of(answer)
            if (version := version_of(answer)) is not None:
                state = State(version, 0.0, 1)
        except GatewayError as error:
            if not _cannot(error):
                raise
            return await self._cut_metadata(resource, accept)
        body = metadata_body(accept, await _begun(batches, resource), state, run)
        return replace(body, pieces=Closing(body.pieces, close), modified=modified)

    async def _cut_metadata(self, resource: Resource, accept: Accept) -> Body:
        batches = self._cutting.documents(resource)
        body = metadata_body(accept, await _begun(batches, resource), None, run)
        return replace(body, pieces=Closing(body.pieces, batches.aclose))

    # -- frames

    async def _frames(self, retrieve: Retrieve) -> Body:
        numbers = retrieve.resource.frames
        if self._profile.frames == "route" and list(numbers) == sorted(set(numbers)):
            try:
                return await framed(await self._fetching.frames(retrieve.resource), len(numbers), retrieve.accept)
            except Unfit:
                pass
            except GatewayError as error:  # it may be the frame that is not there; the instance tells
                if not _cannot(error) and not isinstance(error, NotFound):
                    raise
        return await self._cutting.frames(retrieve)


async def _begun(batches: AsyncGenerator[list[bytes], None], resource: Resource) -> AsyncGenerator[list[bytes], None]:
    """The batches, of which one is there.

    :raises NotFound: when there is none.
    """
    first = await anext(batches, None)
    if first is None:
        raise NotFound(f"there is no such {resource.level} here")
    return _resumed(first, batches)


def _cannot(error: GatewayError) -> bool:
    """Whether the origin said that it cannot do what was asked for, rather than that it is in trouble."""
    answer = answer_of(error)
    return answer is not None and answer.status in _CANNOT


def _as_stored_alone(accept: Accept) -> Accept:
    """What is left of an Accept where only as stored can be given."""

    def any_syntax(one: Range) -> bool:
        return one.transfer_syntax == "*" or (one.transfer_syntax is None and one.wildcard)

    return Accept(tuple(filter(any_syntax, accept.ranges)), tuple(filter(any_syntax, accept.fallback)))


def _is_framed(answer: Answer) -> bool:
    """Whether instances come in a multipart.

    :raises OriginFailed: when they are none: proxies and portals answer 200 with a page of their own.
    """
    media = media_of(answer).type
    if media not in _INSTANCES:
        raise OriginFailed("What the origin answers is no DICOM instance. Check the store's url, and what stands between.")
    return media == MULTIPART


async def _closing_on_error(answer: Answer, look: Callable[[], bool]) -> bool:
    try:
        return look()
    except BaseException:
        await answer.aclose()
        raise


async def _documents(answer: Answer, resource: Resource) -> AsyncGenerator[list[bytes], None]:
    """The instances of an origin's metadata as we write them."""
    splitter = Splitter()
    pieces: list[bytes] = []
    size, enough = 0, 0
    chunks = answer.chunks()
    async with aclosing(chunks):
        async for chunk in chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size > enough:
                if some := await _ours(partial(_split, splitter, pieces, resource), size):
                    yield some
                pieces, size, enough = [], 0, BATCH
    if some := await _ours(partial(_split, splitter, pieces, resource, final=True), size):
        yield some


def _split(splitter: Splitter, pieces: list[bytes], resource: Resource, *, final: bool = False) -> list[bytes]:
    found = splitter.feed(b"".join(pieces))
    if final:
        found += splitter.finish()
    return [remade(one, resource) for one in found]


async def _ours(work: Callable[[], list[bytes]], size: int) -> list[bytes]:
    return work() if size <= INLINE else await run(work)


async def _resumed(first: list[bytes], batches: AsyncGenerator[list[bytes], None]) -> AsyncGenerator[list[bytes], None]:
    async with aclosing(batches):
        yield first
        async for some in batches:
            yield some
