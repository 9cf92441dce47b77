"""Bodies of the store behind, as input of work on pixels: read into memory, or left where they lie."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

from gateway.backends.base import Body, FileSlice, Piece
from gateway.backends.representations import close_pieces, size_of
from gateway.backends.upstream.area import Area, Held
from gateway.pixels.work import Input, NotDrawable, Region

T = TypeVar("T")

PIECE = 1 << 20
"""Bytes that are written in one hop to a thread."""


async def everything(body: Body, bound: int) -> bytes:
    """All bytes of a body; closes it.

    :raises NotDrawable: when they are more than that.
    """
    pieces: list[bytes] = []
    size = 0
    async with aclosing(_pieces(body)) as coming:
        async for piece in coming:
            size += size_of(piece)
            if size > bound:
                close_pieces([piece])
                raise NotDrawable(f"what pixels are to be made of has more than {bound} bytes")
            pieces.append(piece if isinstance(piece, bytes) else await _read(piece))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _pieces(body: Body) -> AsyncGenerator[Piece, None]:
    try:
        async for piece in body.pieces:
            yield piece
    finally:
        await body.aclose()


async def _read(piece: FileSlice) -> bytes:
    """The bytes of a slice; closes it."""
    try:
        return await _in_thread(partial(os.pread, piece.descriptor, piece.length, piece.offset))
    finally:
        os.close(piece.descriptor)


async def _in_thread(work: Callable[[], T]) -> T:
    """What work in a thread returns; it has always ended after this, so that what it uses can be closed."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@dataclass
class Opened:
    """What has to stay open while work is done. :ivar files: files of the area."""

    descriptors: list[int] = field(default_factory=list)
    files: list[Held] = field(default_factory=list)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        for file in self.files:
            file.close()

    async def input(self, body: Body, bound: int) -> Input:
        """A body as it comes: slices are not read."""
        found: list[bytes | Region] = []
        size = 0
        async with aclosing(_pieces(body)) as coming:
            async for piece in coming:
                found.append(piece if isinstance(piece, bytes) else self._kept(piece))
                size += size_of(piece)
                if size > bound:
                    raise NotDrawable(f"a frame has more than {bound} bytes")
        return found

    def _kept(self, piece: FileSlice) -> Region:
        self.descriptors.append(piece.descriptor)
        return Region(piece.descriptor, piece.offset, piece.length)

    async def region(self, body: Body, area: Callable[[], Area]) -> Region:
        """A body in one place."""
        held: list[Piece] = []
        try:
            async with aclosing(_pieces(body)) as coming:
                first = await anext(coming, b"")
                if isinstance(first, FileSlice) and first.length == body.length:
                    return self._kept(first)
                held.append(first)
                file = await asyncio.to_thread(lambda: Held(area(), body.length or 0))
                self.files.append(file)
                size = size_of(first)
                async for piece in coming:
                    held.append(piece)
                    size += size_of(piece)
                    if size >= PIECE:
                        await _in_thread(partial(_written, file, held))
                        size = 0
                await _in_thread(partial(_written, file, held))
        finally:
            close_pieces(held)
        file.settle()
        return Region(file.descriptor, 0, file.size)


def _written(file: Held, pieces: list[Piece]) -> None:
    """Writes pieces, and takes them out of the list."""
    while pieces:
        piece = pieces[0]
        if isinstance(piece, bytes):
            file.write([piece])
        else:
            for at in range(0, piece.length, PIECE):
                file.write([os.pread(piece.descriptor, min(PIECE, piece.length - at), piece.offset + at)])
        del pieces[0]
        close_pieces([piece])


class Shelf:
    """The folder for whole instances, made when one is needed for the first time.

    :param root: the folder. :param bound: bytes, see `Area`.
    """

    def __init__(self, root: Path, bound: int) -> None:
        self._root = root
        self._bound = bound
        self._area: Area | None = None
        self._lock = Lock()

    def __call__(self) -> Area:
        """The area; blocks, and may be called from any thread."""
        with self._lock:
            if self._area is None:
                self._area = Area(self._root, self._bound)
            return self._area
