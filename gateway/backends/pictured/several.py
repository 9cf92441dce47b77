"""Several rendered bodies as one multipart body (PS3.18 8.6.1.2): frames of an instance, instances of a series or study.

The first part is made before the answer begins, so that what cannot be had at all is an honest 406. The others are made while
those before them are sent, `AHEAD` at a time; nothing else of the body is in memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import replace

from gateway.backends.base import Body, Piece, Served
from gateway.dicomweb import framing
from gateway.errors import BadRequest, Gone, NotAcceptable, NotFound

AHEAD = 2
"""Parts that are made ahead of the socket: one is drawn while another is fetched."""

Make = Callable[[], Awaitable[Body]]
"""Makes a part."""

_MISSING = (NotAcceptable, NotFound, Gone, BadRequest)


class _Parts:
    """Parts in their order, some of them under way.

    :ivar refusal: why the first one that is missing is; what the caller can mend goes before what he cannot.
    """

    def __init__(self, makers: Iterable[Make], *, lenient: bool, ends: bool) -> None:
        self._makers = iter(makers)
        self._lenient = lenient
        self._ends = ends
        self._given = 0
        self._tasks: deque[asyncio.Task[Body]] = deque()
        self.refusal: NotAcceptable | NotFound | Gone | BadRequest | None = None

    async def next(self) -> Body | None:
        """The next part, None behind the last."""
        while True:
            self._fill()
            if not self._tasks:
                return None
            task = self._tasks[0]
            try:
                body = await task
            except _MISSING as error:
                if self._ends and self._given and isinstance(error, NotFound):
                    self.close()
                    return None
                if not self._lenient:
                    raise
                if self.refusal is None or (isinstance(error, BadRequest) and not isinstance(self.refusal, BadRequest)):
                    self.refusal = error
                body = None
            self._tasks.popleft()
            if body is not None:
                self._given += 1
                self._fill()
                return body

    def _fill(self) -> None:
        while len(self._tasks) < AHEAD and (make := next(self._makers, None)) is not None:
            self._tasks.append(asyncio.ensure_future(make()))

    def close(self) -> None:
        """Gives up what is under way, and closes what is made."""
        for task in self._tasks:
            task.cancel()
            task.add_done_callback(_close)
        self._tasks.clear()


def _close(task: asyncio.Task[Body]) -> None:
    """Nobody has begun to read what the task made."""
    if not task.cancelled() and task.exception() is None and (close := task.result().close) is not None:
        close()


async def together(makers: Iterable[Make], *, lenient: bool = False, ends: bool = False) -> Body:
    """A multipart body.

    :param makers: of its parts; what they make is no multipart.
    :param lenient: whether a part that cannot be had is left out. All of them cannot.
    :param ends: whether what is not there, after the first part, is the end: instances claim more frames than they have.
    :raises NotAcceptable: :raises BadRequest: when the first part, or with `lenient` every part, cannot be had.
    """
    parts = _Parts(makers, lenient=lenient, ends=ends)
    try:
        first = await parts.next()
        if first is None:
            if isinstance(parts.refusal, BadRequest):
                raise parts.refusal
            why = f": {parts.refusal.message}" if parts.refusal is not None else ""
            raise NotAcceptable(f"nothing of it can be drawn in a form that was asked for{why}")
    except BaseException:
        parts.close()
        raise
    boundary = framing.new_boundary()
    media = framing.content_type(first.media_type.partition(";")[0], boundary)
    left = [first]
    pieces = _pieces(parts, left, boundary)

    def close() -> None:
        for body in left:
            if body.close is not None:
                body.close()
        left.clear()
        parts.close()

    return Body(media, pieces, weak=True, close=close, served=Served(warnings=first.served.warnings))


async def _pieces(parts: _Parts, left: list[Body], boundary: str) -> AsyncGenerator[Piece, None]:
    body: Body | None = left.pop() if left else None
    first = True
    try:
        while body is not None:
            try:
                yield framing.part_head(boundary, body.media_type, first=first)
                async for piece in body.pieces:
                    yield piece
            finally:
                await body.aclose()
            first = False
            body = await parts.next()
        yield framing.closing(boundary)
    finally:
        parts.close()


def warned(body: Body, warnings: tuple[str, ...]) -> Body:
    """The same body with something to be said of it."""
    return replace(body, served=replace(body.served, warnings=(*body.served.warnings, *warnings))) if warnings else body
