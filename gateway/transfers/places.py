"""Where files are that are stored from or written to: the protocol of such a place, who may go where, and the threads for it.

1. A caller of the API goes with the rights of the gateway, so he goes only where the settings let him: below some folders, and
   below some URIs of buckets. Nothing is let through unless it is named.
2. A place blocks; `Hands` calls it in threads. What comes out of it is an error of ours, never one of a library.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from gateway.errors import Forbidden, GatewayError
from gateway.transfers.uris import FILE, Pattern, Uri

T = TypeVar("T")

PIECE = 256 << 10
"""Bytes of a file that are read in one hop."""

BATCH = 1000
"""Names that are listed in one hop: what one answer of a bucket holds."""

THREADS = 16
"""Hops at once: twice as many as files are under way at once, since lists are read beside."""

TURNS = 4
"""Operations of a process that go from or to places at once; each has its threads and its files under way. Others wait."""

TIDYING = 1.0
"""Seconds that somebody who stops waits until what he had begun to write is taken back; that goes on without him."""


class Found(NamedTuple):
    """A file. :param name: as in its URI. :param size: in bytes."""

    name: str
    size: int


class Writing(Protocol):
    """A file that is being written; nobody sees it before it is whole."""

    def write(self, data: bytes) -> None:
        """The next bytes."""

    def done(self) -> None:
        """It is there from now on, in place of what had its name."""

    def abandon(self) -> None:
        """It is not wanted any more, and leaves nothing behind."""


class Place(Protocol):
    """Blocks. Everything raises `GatewayError`."""

    def listing(self, pattern: Pattern, after: str = "") -> Iterator[Found]:
        """Its files in the order of their names; those whose names come later than `after`."""

    def reading(self, name: str) -> Iterator[bytes]:
        """A file in pieces of about `PIECE`.

        :raises NotFound: when there is none.
        """

    def writing(self, name: str) -> Writing:
        """A file that is to be."""


class Hands:
    """A place as coroutines see it.

    :param place: is asked in threads.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._threads = ThreadPoolExecutor(THREADS, "transfer")

    def close(self) -> None:
        """Does not wait for what is under way: that may be an answer that never comes."""
        self._threads.shutdown(wait=False)

    async def listing(self, pattern: Pattern, after: str = "") -> AsyncGenerator[list[Found], None]:
        """Files in the order of their names, `BATCH` at a time."""
        found = await self._run(self._place.listing, pattern, after)
        async for some in self._stepped(found, lambda: list(islice(found, BATCH))):
            yield some

    async def reading(self, name: str) -> AsyncGenerator[bytes, None]:
        """A file; see `Place.reading`."""
        pieces = await self._run(self._place.reading, name)
        async for piece in self._stepped(pieces, lambda: next(pieces, b"")):
            yield piece

    async def write(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Writes a file, begun when its first piece is there. When `pieces` raise, nothing of it is there."""
        first = await anext(pieces, b"")
        writing = await self._run(self._place.writing, name)
        future: Future[None] = self._threads.submit(writing.write, first)
        try:
            await asyncio.wrap_future(future)
            async for piece in pieces:
                future = self._threads.submit(writing.write, piece)
                await asyncio.wrap_future(future)
            future = self._threads.submit(writing.done)
            await asyncio.wrap_future(future)
        except BaseException:
            abandoned = asyncio.ensure_future(asyncio.to_thread(_abandon, future, writing))
            await asyncio.wait([abandoned], timeout=TIDYING)
            raise

    async def _stepped(self, iterator: Iterator[object], step: Callable[[], T]) -> AsyncGenerator[T, None]:
        """What each step gives, until one gives nothing."""
        future: Future[T] | None = None
        try:
            while True:
                future = self._threads.submit(step)
                if not (some := await asyncio.wrap_future(future)):
                    return
                yield some
        finally:
            _closing(iterator, future)

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.wrap_future(self._threads.submit(call, *arguments))


def _abandon(future: Future[None], writing: Writing) -> None:
    """Takes back what was written, when the thread that still writes is through."""
    wait([future])
    _quietly(writing.abandon)


def _closing(iterator: Iterator[object], future: Future[T] | None) -> None:
    """Closes what is read from; a thread that is at it does so when it comes back."""
    close = getattr(iterator, "close", None)
    if close is not None and future is not None:
        future.add_done_callback(lambda _: _quietly(close))


def _quietly(call: Callable[[], object]) -> None:
    with suppress(GatewayError, OSError, ValueError):
        call()


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where callers may go.

    :param folders: with all that is below them. :param buckets: URIs with all that is below them: ``gs://`` is every bucket there.
    """

    folders: Sequence[Path] = ()
    buckets: Sequence[str] = ()

    def check(self, uri: Uri) -> None:
        """:raises Forbidden: naming the setting."""
        if uri.scheme == FILE:
            self.root(uri)
        elif not any(_is_below(str(uri), one) for one in self.buckets):
            what = f"this gateway reads and writes {'nothing else of' if self.buckets else 'no'} object storage; healthcare.buckets lets it"
            raise Forbidden(f"{what}, for example buckets = ['{uri.scheme}://{uri.bucket}/']")

    def root(self, uri: Uri) -> Path:
        """The folder that lets a file through, the innermost of them.

        :raises Forbidden: naming the setting.
        """
        path = Path("/" + uri.name)
        roots = [one for one in self.folders if one == path or one in path.parents]
        if not roots:
            what = f"this gateway reads and writes no {'other ' if self.folders else ''}folder of its host"
            raise Forbidden(f"{what}; healthcare.folders names those that it may")
        return max(roots, key=lambda one: len(one.parts))


def _is_below(uri: str, above: str) -> bool:
    return uri.startswith(above if above.endswith("/") else above + "/")


@dataclass(frozen=True, slots=True)
class Places:
    """Opens places.

    :param allowed: where callers may go.
    :param bucket: opens one; may block. :param folder: opens what is below a root.
    """

    bucket: Callable[[Uri], Place]
    folder: Callable[[Path], Place]
    allowed: Allowed = field(default_factory=Allowed)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TURNS))
    """Held by an operation while it is at work."""

    async def at(self, uri: Uri) -> Hands:
        """The place of a URI; the caller closes it.

        :raises Forbidden: when callers may not go there.
        """
        self.allowed.check(uri)
        if uri.scheme == FILE:
            return Hands(self.folder(self.allowed.root(uri)))
        return Hands(await asyncio.to_thread(self.bucket, uri))
