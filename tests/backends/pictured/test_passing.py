"""Stored bytes that go out as they are."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from gateway.backends.base import Body, FileSlice, Piece
from gateway.backends.pictured.passing import passing
from gateway.backends.representations import whole
from tests.backends.made import read
from tests.backends.pictured.picturing import descriptors

DATA = b"0123456789"


def stored(tmp_path: Path, kind: str) -> Body:
    """The same ten bytes: in memory, in a file, or as an origin streams them."""
    if kind == "memory":
        return whole("application/octet-stream", DATA, "tag", 0)
    path = tmp_path / "slice"
    path.write_bytes(b"before" + DATA)
    if kind == "file":
        return whole("application/octet-stream", FileSlice(os.open(path, os.O_RDONLY), 6, len(DATA)), "tag", 0)

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield DATA[:4]
        yield FileSlice(os.open(path, os.O_RDONLY), 10, 3)
        yield FileSlice(os.open(path, os.O_RDONLY), 13, 3)

    return Body("application/octet-stream", pieces())


@pytest.mark.parametrize("kind", ["memory", "file", "stream"])
@pytest.mark.parametrize("length", [None, 10, 9, 7, 4, 0])
async def test_all_of_it_without_the_padding(tmp_path: Path, kind: str, length: int | None) -> None:
    before = descriptors()
    body = passing(stored(tmp_path, kind), "application/pdf", length=length, warnings=["a warning"])
    assert body.media_type == "application/pdf"
    assert body.served.warnings == ("a warning",)
    assert body.length == (None if kind == "stream" else 10 if length is None else length)
    assert await read(body) == DATA[:length]
    assert descriptors() == before


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_ranges(tmp_path: Path, kind: str) -> None:
    body = passing(stored(tmp_path, kind), "application/pdf", length=9)
    assert body.select is not None
    part = body.select(2, 5)
    assert (part.media_type, part.length) == ("application/pdf", 3)
    assert await read(part) == b"234"


async def test_no_ranges_of_a_stream(tmp_path: Path) -> None:
    body = passing(stored(tmp_path, "stream"), "application/pdf")
    assert body.select is None
    await body.aclose()


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("begun", [False, True])
async def test_who_leaves_closes_it(tmp_path: Path, kind: str, begun: bool) -> None:
    before = descriptors()
    body = passing(stored(tmp_path, kind), "application/pdf")
    if begun:
        piece = await anext(body.pieces)
        if isinstance(piece, FileSlice):
            os.close(piece.descriptor)
    await body.aclose()
    assert descriptors() == before


async def test_its_entity_tag_is_its_own(tmp_path: Path) -> None:
    whole_one, cut, other = (
        passing(stored(tmp_path, "memory"), media, length=length) for media, length in (("a/b", None), ("a/b", 9), ("c/d", None))
    )
    assert len({whole_one.etag, cut.etag, other.etag, "tag"}) == 4
    assert whole_one.select is not None
    assert whole_one.select(1, 2).etag == whole_one.etag
    assert passing(stored(tmp_path, "stream"), "a/b").etag is None
