"""Bytes of a stored value that go out as they are, under a media type of their own: documents and videos.

They are read from where they lie while they are sent, and a range of them is a range of what lies there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.backends.base import Body, FileSlice, Piece, Served
from gateway.backends.validators import validator


@dataclass(frozen=True, slots=True)
class _Cut:
    """A body up to some length. :param length: None for all of it."""

    body: Body
    media: str
    length: int | None
    served: Served

    def whole(self) -> Body:
        select = None if self.body.select is None or self.body.length is None else partial(self._range, self.body.select)
        total = self.body.length if self.length is None or self.body.length is None else min(self.length, self.body.length)
        return Body(self.media, self._pieces(), total, self._tag(), select=select, close=self._close, served=self.served)

    def _range(self, select: Callable[[int, int], Body], start: int, stop: int) -> Body:
        part = select(start, stop)
        return Body(self.media, part.pieces, part.length, self._tag(), close=part.close, served=self.served)

    def _tag(self) -> str | None:
        """An entity tag of its own, so that the ranges that a player asks for one by one are of the same bytes for certain."""
        known = self.body.etag is not None and not self.body.weak
        return validator(self.body.etag or "", "shown", self.media, str(self.length)) if known else None

    async def _pieces(self) -> AsyncGenerator[Piece, None]:
        left = self.length
        try:
            async for piece in self.body.pieces:
                first, left = (piece, None) if left is None else _first(piece, left)
                if first is not None:
                    yield first
        finally:
            await self.body.pieces.aclose()

    def _close(self) -> None:
        if self.body.close is not None:
            self.body.close()


def passing(body: Body, media: str, *, length: int | None = None, warnings: Sequence[str] = ()) -> Body:
    """A stored value as a body.

    :param length: bytes of it, None for all: what follows is padding.
    """
    return _Cut(body, media, length, Served(warnings=tuple(warnings))).whole()


def _first(piece: Piece, most: int) -> tuple[Piece | None, int]:
    """The first bytes of a piece, None when there are none to be had; and how many may follow."""
    size = len(piece) if isinstance(piece, bytes) else piece.length
    if size <= most:
        return piece, most - size
    if isinstance(piece, bytes):
        return piece[:most] or None, 0
    if most:
        return FileSlice(piece.descriptor, piece.offset, most), 0
    os.close(piece.descriptor)
    return None, 0
