"""Bodies as input of work: in memory, where they lie, or in a file without a name."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest

from gateway.backends.base import Body, FileSlice, Piece
from gateway.backends.pictured.reading import PIECE, Opened, Shelf, everything
from gateway.errors import TooLarge
from gateway.pixels.work import NotDrawable, Region
from tests.backends.pictured.picturing import descriptors


@pytest.fixture
def slices(tmp_path: Path) -> Callable[[bytes], FileSlice]:
    """Bytes that lie in a file behind others."""

    def made(data: bytes) -> FileSlice:
        path = tmp_path / "slice"
        path.write_bytes(b"before" + data + b"after")
        return FileSlice(os.open(path, os.O_RDONLY), 6, len(data))

    return made


def body(*pieces: Piece, length: int | None = None, error: Exception | None = None) -> Body:
    async def given() -> AsyncGenerator[Piece, None]:
        for piece in pieces:
            yield piece
        if error is not None:
            raise error

    return Body("application/octet-stream", given(), length)


def content(given: Sequence[bytes | Region]) -> bytes:
    return b"".join(one if isinstance(one, bytes) else os.pread(one.descriptor, one.length, one.offset) for one in given)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf", 4 * PIECE)


async def test_everything_is_read_and_closed(slices: Callable[[bytes], FileSlice]) -> None:
    before = descriptors()
    assert await everything(body(b"one", slices(b"two"), b"three"), 100) == b"onetwothree"
    assert await everything(body(), 0) == b""
    assert descriptors() == before


async def test_what_is_too_long_is_not_read_on(slices: Callable[[bytes], FileSlice]) -> None:
    before = descriptors()
    for pieces in ((b"123", b"456"), (b"123", slices(b"456"))):
        with pytest.raises(NotDrawable, match="more than 5 bytes"):
            await everything(body(*pieces), 5)
    assert descriptors() == before


async def test_slices_stay_where_they_are_as_long_as_they_are_needed(slices: Callable[[bytes], FileSlice]) -> None:
    before = descriptors()
    with Opened() as opened:
        given = await opened.input(body(b"one", slices(b"two")), 100)
        assert [type(one) for one in given] == [bytes, Region]
        assert content(given) == b"onetwo"
    assert descriptors() == before
    with pytest.raises(NotDrawable), Opened() as opened:
        await opened.input(body(b"one", slices(b"two")), 5)
    assert descriptors() == before


async def test_a_whole_that_lies_in_one_file_is_left_there(slices: Callable[[bytes], FileSlice], tmp_path: Path, shelf: Shelf) -> None:
    with Opened() as opened:
        region = await opened.region(body(slices(b"whole"), length=5), shelf)
        assert content([region]) == b"whole"
    assert not (tmp_path / "shelf").exists()


async def test_what_comes_in_pieces_is_put_into_a_file(slices: Callable[[bytes], FileSlice], tmp_path: Path, shelf: Shelf) -> None:
    before = descriptors()
    large = os.urandom(PIECE + 1000)
    for pieces in ((b"one", large, b"two"), (slices(b"one"), large, b"two"), (large, slices(b"12345")), ()):
        expected = b"".join(one if isinstance(one, bytes) else os.pread(one.descriptor, one.length, one.offset) for one in pieces)
        with Opened() as opened:
            region = await opened.region(body(*pieces), shelf)
            assert (region.offset, region.length) == (0, len(expected)) and content([region]) == expected
            assert [path.name for path in (tmp_path / "shelf").iterdir()] == ["stamps"], "the file has no name"
            assert shelf().taken == len(expected)
    assert shelf().taken == 0 and descriptors() == before


async def test_the_folder_is_bounded(slices: Callable[[bytes], FileSlice], shelf: Shelf) -> None:
    before = descriptors()
    assert await refused(body(*[bytes(PIECE)] * 5, b"never read"), shelf) is TooLarge
    assert await refused(body(slices(b"1"), bytes(PIECE), slices(b"2"), error=ValueError("broken")), shelf) is ValueError
    assert await refused(body(bytes(PIECE), length=5 * PIECE), shelf) is TooLarge
    assert shelf().taken == 0 and descriptors() == before


async def refused(given: Body, shelf: Shelf) -> type[Exception]:
    try:
        with Opened() as opened:
            await opened.region(given, shelf)
    except Exception as error:
        return type(error)
    raise AssertionError("it fits")


def test_the_folder_is_made_once(shelf: Shelf) -> None:
    assert shelf() is shelf()
