"""What drawing needs: where things come from, who draws them, and how much may be drawn; and what is drawn as a body."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.backends.base import Body, FileSlice, Served
from gateway.backends.pictured.headers import Header
from gateway.backends.pictured.sources import Sources
from gateway.dicomweb.resources import Resource
from gateway.pixels.limits import PixelLimits
from gateway.pixels.pool import Pool
from gateway.pixels.syntaxes import NATIVE
from gateway.pixels.work import Input, NotDrawable, Region, Result, Work

TOGETHER = 64 << 20
"""Bytes of frames that are read into memory with one question, instead of one question for each."""

SMALLER = 8
"""Times that a compressed frame is smaller than its pixels, at least, mostly: to guess the above."""


@dataclass(frozen=True, slots=True)
class Studio:
    """See `rendering.rendered`."""

    sources: Sources
    pool: Pool
    limits: PixelLimits

    async def bulk(self, resource: Resource, paths: Sequence[str]) -> list[Input]:
        """The values at these paths; empty where there is none."""
        return [[await self.sources.bulk(resource, path) or b""] for path in paths]

    @asynccontextmanager
    async def frames(self, header: Header, resource: Resource, numbers: Sequence[int]) -> AsyncIterator[Sequence[Input]]:
        """Frames as they are stored, in the order asked for."""
        size = 0 if header.image is None else header.image.frame_bytes * len(numbers)
        small = (size if header.syntax in NATIVE else size // SMALLER) <= TOGETHER
        async with self.sources.frames(resource, numbers, small=small) as frames:
            yield frames.inputs

    async def drawn(self, work: Work, inputs: Sequence[Input]) -> Result:
        """Has it drawn.

        :raises NotDrawable: when it cannot be.
        """
        return await self.pool.run(work, inputs, kind="render")


def picture(media: str, result: Result, warnings: Sequence[str] = ()) -> Body:
    """What was drawn, as a body of which ranges can be asked for."""
    if not result.length:
        raise NotDrawable("nothing came of it")
    piece = result.region()
    left = [FileSlice(piece.descriptor, piece.offset, piece.length) if isinstance(piece, Region) else piece]

    async def pieces(start: int, stop: int) -> AsyncGenerator[bytes | FileSlice, None]:
        if left:
            held = left.pop()
            yield held[start:stop] if isinstance(held, bytes) else FileSlice(held.descriptor, held.offset + start, stop - start)

    def close() -> None:
        while left:
            if isinstance(held := left.pop(), FileSlice):
                os.close(held.descriptor)

    served = Served(warnings=tuple(warnings))

    def select(start: int, stop: int) -> Body:
        return Body(media, pieces(start, stop), stop - start, close=close, served=served)

    return Body(media, pieces(0, result.length), result.length, select=select, close=close, served=served)
