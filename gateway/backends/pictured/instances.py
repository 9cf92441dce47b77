"""Whole instances in a transfer syntax in which they are not stored (PS3.18 10.4.1.1.1, 8.7.3).

1. In which form each instance goes out is settled first (`selecting`), and the first one is begun: what fails until then is an answer of
   its own. What fails later breaks the body off, since nobody may take a part of a study for all of it.
2. The beginning of each instance, which for most is all of it, is made a few instances ahead of the socket; of a large one a few
   batches of frames are. That, and nothing else, is in memory.
3. A full queue refuses who has not been answered yet. A body that has begun waits for its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from gateway.backends.base import Body, FileSlice, Piece, Retrieve, View
from gateway.backends.pictured.pipeline import Pipeline
from gateway.backends.pictured.selecting import ADVICE, STORED, Form, forms
from gateway.backends.pictured.sources import Sources, syntax_of
from gateway.backends.representations import DICOM, typed
from gateway.backends.upstream.reframing import Closing
from gateway.dicomweb import framing
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN
from gateway.errors import Busy, NotAcceptable, NotFound
from gateway.pixels.instances import Begin, Further
from gateway.pixels.limits import PixelLimits
from gateway.pixels.plans import Plan, check
from gateway.pixels.pool import Pool
from gateway.pixels.work import Input, NotDrawable, Region, Result

T = TypeVar("T")

AHEAD = 3
"""Instances, and batches of frames of one, that are begun before the socket has taken what comes before them."""

PATIENCE = 60.0
"""Seconds that a body which has begun waits for a place in a full queue."""

PAUSE = 0.25
"""Seconds between two tries."""


async def instances(sources: Sources, pool: Pool, limits: PixelLimits, retrieve: Retrieve, default_syntax: str) -> Body:
    """The instances of a resource, each in the form that suits the caller best.

    :param default_syntax: the transfer syntax for a caller who names none, ``*`` for as stored.
    :raises NotFound: :raises Gone: there are none. :raises NotAcceptable: naming the stored transfer syntax. :raises Busy: too many jobs.
    """
    wanted = await forms(sources, retrieve, default_syntax)
    making = _Making(sources, pool, limits, retrieve.rendering.quality)
    try:
        first = await making.begun(wanted[0])
    except BaseException:
        await making.aclose()
        raise
    if not wanted[0].multipart:
        return Body(typed(DICOM, first.syntax), Closing(making.pieces(first), making.aclose), first.length)
    boundary = framing.new_boundary()
    pieces = making.parts(first, wanted, boundary)
    return Body(framing.content_type(DICOM, boundary), Closing(pieces, making.aclose), weak=True, instances=len(wanted))


@dataclass(frozen=True, slots=True)
class _Begun:
    """An instance whose first bytes are there.

    :param syntax: the transfer syntax that it goes out in. :param length: its bytes, None where nobody knows yet.
    :param given: it as the store behind gives it, or how it is made, and of what.
    :param stack: what is open for it.
    """

    syntax: str
    length: int | None
    given: Body | tuple[Plan, Region]
    stack: AsyncExitStack


class _Making:
    """The making of one body. :param quality: of lossy encodings."""

    def __init__(self, sources: Sources, pool: Pool, limits: PixelLimits, quality: int | None) -> None:
        self._sources = sources
        self._pool = pool
        self._frame_bytes = limits.frame_bytes
        self._quality = quality
        self._open: set[AsyncExitStack] = set()
        self._running: set[asyncio.Task[object]] = set()

    async def aclose(self) -> None:
        """Closes what is open; the pieces are closed before."""
        while self._open:
            await self._open.pop().aclose()

    # -- the beginning of an instance

    async def begun(self, form: Form) -> _Begun:
        """Makes the first bytes of an instance.

        :raises NotAcceptable: when it cannot be had. :raises Busy: too many jobs, or no room to lay it.
        """
        async with AsyncExitStack() as stack:
            begun = await self._given(form, stack) or await self._made(form, stack)
            kept = stack.pop_all()
        self._open.add(kept)
        return replace(begun, stack=kept)

    async def _given(self, form: Form, stack: AsyncExitStack) -> _Begun | None:
        """An instance as the store behind gives it, None where it does not."""
        if form.accept is None:
            return None
        try:
            body = await self._sources.inner.retrieve(Retrieve(form.resource, View.INSTANCES, form.accept))
        except NotAcceptable:
            if form.target is None:
                raise
            return None
        stack.push_async_callback(body.aclose)
        return _Begun(syntax_of(body.media_type), body.length, body, stack)

    async def _made(self, form: Form, stack: AsyncExitStack) -> _Begun:
        begin = Begin(form.target or EXPLICIT_LITTLE_ENDIAN, self._quality, self._frame_bytes)
        whole = await stack.enter_async_context(self._sources.instance(form.resource))
        try:
            plan = Plan.of(await self._pool.run(begin, [[whole.region]], kind="transcode"), begin)
        except NotDrawable as error:
            raise NotDrawable(_named(error.message, whole.syntax)) from None
        if plan is None:
            return await self._as_stored(form, stack)
        return _Begun(begin.target, plan.length, (plan, whole.region), stack)

    async def _as_stored(self, form: Form, stack: AsyncExitStack) -> _Begun:
        """An instance whose file says that it has the wanted transfer syntax, whatever others said."""
        found = await self._given(replace(form, accept=STORED, target=None), stack)
        if found is None:
            raise NotFound("the instance is not there any more")
        return found

    async def _later(self, form: Form) -> _Begun | None:
        """As `begun`, ahead of its turn; None where there is no room for that now."""
        try:
            return await self.begun(form)
        except Busy:
            return None

    # -- pieces

    async def pieces(self, begun: _Begun) -> AsyncGenerator[Piece, None]:
        """All bytes of an instance; closes what was open for it."""
        try:
            if isinstance(begun.given, Body):
                async for piece in begun.given.pieces:
                    yield piece
                return
            plan, whole = begun.given
            yield _piece(plan.beginning)
            if not plan.finished:
                async with aclosing(self._further(plan, whole)) as further:
                    async for piece in further:
                        yield piece
                yield _piece(plan.ending)
        finally:
            self._open.discard(begun.stack)
            await begun.stack.aclose()

    async def _further(self, plan: Plan, whole: Region) -> AsyncGenerator[Piece, None]:
        pipeline = Pipeline((partial(self._run, work, inputs) for work, inputs in plan.jobs(whole)), AHEAD)
        try:
            while (result := await pipeline.next()) is not None:
                yield _piece(result.region())
        finally:
            pipeline.cancel()
            while self._running:  # they read the instance, which is closed next
                await asyncio.wait(self._running)

    async def _run(self, work: Further, inputs: list[Input]) -> Result:
        task = asyncio.current_task()
        self._running |= {task} if task else set()
        try:
            result = await _patiently(partial(self._pool.run, work, inputs, kind="transcode"))
        finally:
            self._running -= {task}
        check(work, result)
        return result

    async def parts(self, first: _Begun, wanted: Sequence[Form], boundary: str) -> AsyncGenerator[Piece, None]:
        """All instances as parts of a multipart body. :param first: of them."""
        pipeline = Pipeline((partial(self._later, form) for form in wanted[1:]), AHEAD)
        begun: _Begun | None = first
        try:
            for number, form in enumerate(wanted):
                if number:
                    begun = await pipeline.next()
                if begun is None:
                    begun = await _patiently(partial(self.begun, form))
                yield framing.part_head(boundary, typed(DICOM, begun.syntax), first=not number)
                async with aclosing(self.pieces(begun)) as pieces:
                    async for piece in pieces:
                        yield piece
        finally:
            pipeline.cancel()
        yield framing.closing(boundary)


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """What comes of some work, for which there may be no room for a while."""
    for _ in range(round(PATIENCE / PAUSE)):
        try:
            return await work()
        except Busy:
            await asyncio.sleep(PAUSE)
    return await work()


def _piece(part: bytes | Region) -> Piece:
    return part if isinstance(part, bytes) else FileSlice(part.descriptor, part.offset, part.length)


def _named(message: str, syntax: str) -> str:
    """A reason with the stored transfer syntax in it, and with what can be had instead."""
    return f"{message if syntax in message else f'stored as {syntax}: {message}'}; {ADVICE}"
