"""One instance with other metadata (JSON Patch), stored in the place of the old one.

The old version is there until the new one is, whatever is killed meanwhile: a store replaces an instance as a whole. Of two who change
an instance at the same moment the later one wins.
"""

from __future__ import annotations

import asyncio
import mmap
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

from gateway.backends.base import Backend, FileSlice, Retrieve, Stored, StoreResult, Upload, View
from gateway.backends.representations import close_pieces
from gateway.dicom.model import Data
from gateway.dicom.patching import Extent, Patched, patched
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import InstanceError
from gateway.healthcare.jsonpatch import Patch, Unfit

LARGEST = 256 << 20
"""Bytes of an instance that does not lie in one file, and so in memory while it is changed."""

PIECE = 1 << 20
"""Bytes of the old file that are read at once."""

_AS_STORED = parse_accept(["application/dicom; transfer-syntax=*"])


async def changed(
    backend: Backend, resource: Resource, patch: Patch, before: Callable[[Patched], Awaitable[bool]] | None = None
) -> StoreResult:
    """Changes an instance; what is as it shall be already is not stored again.

    :param before: is told before it is stored; False leaves it as it is.
    :raises NotFound: when there is none. :raises InstanceError: when it cannot be changed so.
    """
    data = await _data(backend, resource)
    try:
        made = await asyncio.to_thread(patched, data, partial(_applied, patch))
        if made.before == made.after or (before is not None and not await before(made)):
            return StoreResult((Stored(made.instance, known=True),))
        return await backend.store(_uploads(made, data))
    finally:
        if isinstance(data, mmap.mmap):
            with suppress(BufferError):  # a thread still looks at it
                data.close()


def _applied(patch: Patch, metadata: object) -> dict[str, object]:
    try:
        return patch.apply(metadata)  # type: ignore[arg-type]  # a mapping, as `patched` has it
    except Unfit as error:
        raise InstanceError(Reason.PROCESSING_FAILURE, str(error)) from None


async def _data(backend: Backend, resource: Resource) -> Data:
    body = await backend.retrieve(Retrieve(resource, View.INSTANCES, _AS_STORED))
    pieces: list[bytes | FileSlice] = []
    size = 0
    try:
        async for piece in body.pieces:
            pieces.append(piece)
            size += len(piece) if isinstance(piece, bytes) else piece.length
            if len(pieces) > 1 and size > LARGEST:
                raise InstanceError(
                    Reason.OUT_OF_RESOURCES, f"instances of more than {LARGEST >> 20} MiB are changed only where they lie in files"
                )
        return await asyncio.to_thread(_joined, pieces)
    finally:
        close_pieces(pieces)
        await body.aclose()


def _joined(pieces: list[bytes | FileSlice]) -> Data:
    """What is one file from its first byte on is not read but mapped."""
    if len(pieces) == 1 and isinstance(one := pieces[0], FileSlice) and one.offset == 0 and one.length:
        return mmap.mmap(one.descriptor, one.length, access=mmap.ACCESS_READ)
    return b"".join(piece if isinstance(piece, bytes) else os.pread(piece.descriptor, piece.length, piece.offset) for piece in pieces)


async def _uploads(made: Patched, data: Data) -> AsyncIterator[Upload]:
    yield Upload(1, made.instance, _body(made, data), replace=True)


async def _body(made: Patched, data: Data) -> AsyncIterator[bytes]:
    for piece in made.pieces:
        if isinstance(piece, Extent):
            for at in range(piece.offset, piece.offset + piece.length, PIECE):
                yield await asyncio.to_thread(_read, data, at, min(at + PIECE, piece.offset + piece.length))
        else:
            for start in range(0, len(piece), PIECE):
                yield piece[start : start + PIECE]


def _read(data: Data, first: int, behind: int) -> bytes:
    return bytes(data[first:behind])
