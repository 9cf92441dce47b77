"""Instances of a store as files elsewhere.

1. A file is written from pieces as they come. Where it is not whole, nothing of it is there; where there was one of its name, it
   takes its place.
2. An instance that cannot be read, or not be had in the form that is asked for, costs only itself. A place that takes nothing ends
   it all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from heapq import merge

import xxhash

from gateway.backends.base import URL_BASE, Backend, Body, FileSlice, Retrieve
from gateway.errors import Busy, GatewayError, NotFound
from gateway.transfers.choosing import FIRST, LAST, Choosing, Key, Picked, Study
from gateway.transfers.conveyor import NOTES, Ended, Note
from gateway.transfers.forms import Form
from gateway.transfers.places import PIECE, Hands
from gateway.transfers.uris import Pattern, Uri

PATIENCE = 60
"""Seconds that an instance waits for pixel processes or memory that requests have at the moment."""

_MARK = b'"BulkDataURI":"' + URL_BASE.encode()


class Writer:
    """:param folder: below which files are written. :param base: what URLs of bulk data begin with in metadata.
    :param again: whether a file that is there with the same bytes is left alone.
    """

    def __init__(self, backend: Backend, hands: Hands, folder: Uri, form: Form, *, base: str = "", again: bool = True) -> None:
        self._backend = backend
        self._hands = hands
        self._folder = folder
        self._form = form
        self._base = b'"BulkDataURI":"' + base.encode()
        self._again = again

    async def line(self, choosing: Choosing, after: str) -> AsyncGenerator[tuple[str, Study], None]:
        """What is to be written, each with its mark: studies for their metadata, else instances, each as a study of its own."""
        async with aclosing(choosing.studies(_key(after))) as studies:
            async for study in studies:
                if self._form.kind == "metadata":
                    yield f"{study.uid}/{LAST}/{LAST}", study
                    continue
                singles = (Study(study.uid, [one], []) for one in study.picked), (Study(study.uid, [], [one]) for one in study.missing)
                for single in merge(*singles, key=_mark_of):
                    yield "/".join(_mark_of(single)), single

    async def write(self, study: Study) -> Ended:
        """Writes what there is of a study.

        :raises GatewayError: when the place takes nothing.
        """
        notes: list[Note] = [(one.path, "there is no such thing in this store") for one in study.missing]
        if self._form.kind == "metadata":
            if study.picked:
                await self._put(study.uid + self._form.extension, self._lines(study, notes))
        else:
            for one in study.picked:
                try:
                    await self._instance(one)
                except _Broken as broken:
                    notes.append((one.resource.path, broken.detail))
        wrong = len(notes) - len(study.missing)
        return Ended(len(study.picked) - wrong, notes[:NOTES], len(notes))

    async def _instance(self, one: Picked) -> None:
        for name, retrieve in self._form.files(one.resource, one.frames):
            if self._again or not await self._is_there(name, retrieve):
                await self._put(name, self._read(retrieve))

    async def _put(self, name: str, pieces: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(pieces):
            await self._hands.write(self._folder.name + name, pieces)

    async def _lines(self, study: Study, notes: list[Note]) -> AsyncGenerator[bytes, None]:
        """Metadata, an instance a line, about `PIECE` at a time."""
        held = bytearray()
        for one in study.picked:
            try:
                raw = b"".join([piece async for piece in self._read(self._form.retrieve(one.resource))])
            except _Broken as broken:
                notes.append((one.resource.path, broken.detail))
                continue
            held += (await asyncio.to_thread(_line, raw, self._base)) if len(raw) > PIECE else _line(raw, self._base)
            if len(held) >= PIECE:
                yield bytes(held)
                held.clear()
        yield bytes(held)

    async def _read(self, retrieve: Retrieve) -> AsyncGenerator[bytes, None]:
        """The bytes of an instance, of a frame or of metadata. What goes wrong is that instance's failure."""
        try:
            async with aclosing(pieces_of(await self._retrieved(retrieve))) as pieces:
                async for piece in pieces:
                    yield piece
        except GatewayError as error:
            raise _Broken(error.message) from error
        except (OSError, EOFError) as error:
            raise _Broken("it cannot be read to its end") from error

    async def _retrieved(self, retrieve: Retrieve) -> Body:
        for _ in range(PATIENCE):
            try:
                return await self._backend.retrieve(retrieve)
            except Busy as busy:
                await asyncio.sleep(min(busy.retry_after, 1))
        return await self._backend.retrieve(retrieve)

    async def _is_there(self, name: str, retrieve: Retrieve) -> bool:
        pattern = Pattern(Uri(self._folder.scheme, self._folder.bucket, self._folder.name + name))
        try:
            sizes = [found.size async for some in self._hands.listing(pattern) for found in some]
        except NotFound:
            return False
        return bool(sizes) and await digest(self._read(retrieve)) == await digest(self._hands.reading(pattern.uri.name))


class _Broken(Exception):
    """An instance that cannot be had."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


async def pieces_of(body: Body) -> AsyncGenerator[bytes, None]:
    """The bytes of a body, which is closed; those in files are read, `PIECE` at a time."""
    try:
        async for piece in body.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            try:
                for start in range(0, piece.length, PIECE):
                    yield await asyncio.to_thread(_pread, piece, start)
            finally:
                os.close(piece.descriptor)
    finally:
        await body.aclose()


def _pread(piece: FileSlice, start: int) -> bytes:
    wanted = min(PIECE, piece.length - start)
    data = os.pread(piece.descriptor, wanted, piece.offset + start)
    if len(data) < wanted:
        raise EOFError("a file ended before its length")
    return data


async def digest(pieces: AsyncIterator[bytes]) -> bytes:
    """Stands for the bytes; whoever could make two that are alike could write both files as well."""
    found = xxhash.xxh3_128()
    async for piece in pieces:
        found.update(piece)
    return found.digest()


def _line(raw: bytes, base: bytes) -> bytes:
    """The one object of a list as a line; JSON has no line breaks inside of texts, and the store makes none between."""
    return raw.strip()[1:-1].replace(_MARK, base) + b"\n"


def _key(after: str) -> Key:
    if not after:
        return FIRST
    study, series, instance = after.split("/")
    return study, series, instance


def _mark_of(single: Study) -> Key:
    resource = single.missing[0] if single.missing else single.picked[0].resource
    return resource.study or "", resource.series or "", resource.instance or ""
