"""Bodies that are made while they are sent: their bytes, how far they are ahead, and what stays open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends import parts as making
from gateway.backends.base import Body, FileSlice, Piece
from gateway.backends.parts import Content, Part, made_whole, multipart, single, spanned, windowed
from gateway.backends.representations import close_pieces
from gateway.backends.validators import State
from tests.backends.made import located, read
from tests.backends.resting import Disk, open_below

T = TypeVar("T")

STATE = State("digest", 5.0, 3)
LARGE = making.SMALL + 1
RUN = asyncio.to_thread


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(256)) * (8 * LARGE // 256))
    return Disk(path)


def text(value: bytes) -> Content:
    return made_whole(lambda: value)


def body_of(parts: list[Part] | Iterator[Part | None], first: int = making.AHEAD) -> Body:
    return multipart("text/plain; charset=utf-8", parts, RUN, STATE, "tag", first=first)


# -- contents


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=5), st.integers(0, 50), st.integers(0, 50))
def test_spans_are_one_run_of_bytes_that_can_be_cut_anywhere(spans: list[tuple[int, int]], start: int, stop: int) -> None:
    class Bytes:
        def read(self, offset: int, length: int) -> bytes:
            return bytes(range(offset, offset + length))

        piece = read

    whole = b"".join(bytes(range(offset, offset + length)) for offset, length in spans)
    content = spanned(Bytes(), spans)
    assert content.length == len(whole)
    assert b"".join(map(bytes, content.make(start, stop))) == whole[start:stop]  # type: ignore[arg-type]  # all of them are bytes
    assert b"".join(map(bytes, content.make(0, 1 << 62))) == whole  # type: ignore[arg-type]  # likewise


@given(st.integers(0, 100), st.integers(0, 110), st.integers(0, 110), st.sampled_from([8, 16, 64]))
def test_windows_begin_between_words_wherever_the_cut_is(length: int, start: int, stop: int, size: int) -> None:
    whole = bytes(range(length))
    asked: list[tuple[int, int]] = []

    def made(offset: int, count: int) -> bytes:
        asked.append((offset, count))
        return whole[offset : offset + count]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "PIECE", size)
        assert b"".join(windowed(made, length).make(start, stop)) == whole[start:stop]  # type: ignore[arg-type]  # all of them are bytes
    assert all(offset % 8 == 0 and count <= size for offset, count in asked)


def test_small_spans_are_read_and_large_ones_sliced(disk: Disk) -> None:
    pieces = list(spanned(disk, [(0, making.SMALL), (3, LARGE), (7, 1)]).make(0, 1 << 62))
    assert [isinstance(piece, FileSlice) for piece in pieces] == [False, True, False]
    close_pieces(pieces)


# -- multipart


async def test_parts_have_their_type_first_and_a_location_where_they_have_one() -> None:
    body = body_of([Part("text/plain; charset=utf-8", text(b"one"), "a/1"), Part("image/jpeg", text(b"two"))])
    assert body.media_type.startswith('multipart/related; type="text/plain"; boundary=')
    data = await read(body)
    boundary = body.media_type.partition("boundary=")[2]
    assert (
        data
        == (
            f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Location: a/1\r\n\r\none"
            f"\r\n--{boundary}\r\nContent-Type: image/jpeg\r\n\r\ntwo\r\n--{boundary}--\r\n"
        ).encode()
    )


async def test_what_is_known_of_the_instances_is_said() -> None:
    body = body_of([Part("text/plain", text(b""))])
    assert (body.etag, body.weak, body.modified, body.instances, body.select) == ("tag", True, 5.0, 3, None)
    await body.aclose()


async def test_the_length_is_known_when_all_parts_and_their_lengths_are(disk: Disk) -> None:
    listed = [Part("a/b", spanned(disk, [(number, LARGE)]), f"{number}") for number in range(12)]
    body = body_of(listed)
    assert body.length is not None
    assert len(await read(body)) == body.length
    for unknown in (body_of(iter(listed)), body_of([*listed, Part("a/b", text(b"of any length"))])):
        assert unknown.length is None
        await unknown.aclose()
    assert open_below(disk.path.parent) == 0


async def test_heads_and_contents_are_pieces_of_their_own() -> None:
    """Google's dcmweb drops whatever shares a read with a boundary."""
    body = body_of([Part("a/b", text(b"content"))])
    assert [piece == b"content" for piece in [piece async for piece in body.pieces]] == [False, True, False]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 40])
async def test_few_files_are_open_at_once(disk: Disk, count: int) -> None:
    body = body_of([Part("a/b", spanned(disk, [(number, LARGE)])) for number in range(count)])
    most = 0
    async for piece in body.pieces:
        most = max(most, open_below(disk.path.parent))
        close_pieces([piece])
    assert 0 < most <= making.OPEN
    assert open_below(disk.path.parent) == 0


async def test_a_hop_ends_when_enough_bytes_wait() -> None:
    made: list[int] = []

    def content(number: int) -> Content:
        def make(start: int, stop: int) -> Iterator[Piece]:
            made.append(number)
            yield bytes(making.HELD // 2)

        return Content(make)

    body = body_of(Part("a/b", content(number)) for number in range(6))
    assert made == [0, 1]
    taken = 0
    async for piece in body.pieces:
        taken += len(piece) == making.HELD // 2 if isinstance(piece, bytes) else 0
        assert len(made) <= taken + 2
    assert made == list(range(6))


async def test_a_hop_ends_when_enough_pieces_wait() -> None:
    hops: list[object] = []

    async def run(work: Callable[[], T]) -> T:
        hops.append(work)
        return await asyncio.to_thread(work)

    body = multipart("a/b", [Part("a/b", text(b"x"))] * 2 * making.AHEAD, run, STATE, "tag")
    assert len(await located(body)) == 2 * making.AHEAD
    assert len(hops) == 4  # after the first one, which was not asked for in a thread


async def test_the_beginning_may_be_short() -> None:
    made: list[int] = []

    def parts() -> Iterator[Part]:
        for number in range(20):
            made.append(number)
            yield Part("a/b", text(b"x"))

    body = body_of(parts(), first=2)
    assert made == [0]
    assert [content for _, _, content in await located(body)] == [b"x"] * 20


async def test_a_thread_that_worked_enough_gives_way() -> None:
    """None among the parts ends a hop, also where it brought nothing."""
    hops: list[Callable[[], object]] = []

    async def run(work: Callable[[], T]) -> T:
        hops.append(work)
        return await asyncio.to_thread(work)

    parts: list[Part | None] = [Part("a/b", text(b"1")), None, None, Part("a/b", text(b"2")), None]
    body = multipart("a/b", iter(parts), run, STATE, "tag")
    assert [content for _, _, content in await located(body)] == [b"1", b"2"]
    assert len(hops) == 3


@pytest.mark.parametrize("taken", range(9))
async def test_a_reader_that_leaves_leaves_nothing_open(disk: Disk, taken: int) -> None:
    body = body_of([Part("a/b", spanned(disk, [(0, LARGE), (1, LARGE)])) for _ in range(20)])
    for _ in range(taken):
        close_pieces([await anext(body.pieces)])
    await body.aclose()
    await body.aclose()
    assert open_below(disk.path.parent) == 0


async def test_a_reader_that_leaves_while_pieces_are_made_leaves_nothing_open(disk: Disk) -> None:
    reached, go = threading.Event(), threading.Event()
    body = body_of([Part("a/b", spanned(disk, [(0, LARGE)])) for _ in range(20)])
    for _ in range(2 * making.OPEN):
        close_pieces([await anext(body.pieces)])

    def wait() -> None:
        reached.set()
        go.wait(10)

    disk.before = wait
    reading = asyncio.ensure_future(anext(body.pieces))
    await asyncio.to_thread(reached.wait, 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    go.set()
    await body.aclose()
    async with asyncio.timeout(10):
        while open_below(disk.path.parent):
            await asyncio.sleep(0.01)


async def test_what_fails_in_the_middle_leaves_nothing_open(disk: Disk) -> None:
    def parts() -> Iterator[Part]:
        for _ in range(count):
            yield Part("a/b", spanned(disk, [(0, LARGE)]))
        raise OSError("the disk went")

    count = 20
    body = body_of(parts())
    with pytest.raises(OSError, match="went"):
        await located(body)
    count = 10
    with pytest.raises(OSError, match="went"):
        body_of(parts())
    assert open_below(disk.path.parent) == 0


# -- a single part


@pytest.mark.parametrize("lengths", [[10], [LARGE], [10, 20], [LARGE, 5, LARGE], [0], [5] * 40])
async def test_a_single_part_has_its_length_and_ranges(disk: Disk, lengths: Sequence[int]) -> None:
    spans = [(3 * number, length) for number, length in enumerate(lengths)]
    whole = b"".join(disk.read(*span) for span in spans)
    for start, stop in ((0, len(whole)), (1, len(whole)), (len(whole) // 3, len(whole) // 2)):
        body = single("a/b", spanned(disk, spans), RUN, STATE, "tag")
        assert (body.media_type, body.length, body.etag, body.weak, body.modified) == ("a/b", len(whole), "tag", False, 5.0)
        assert body.select is not None
        if start < stop:
            part = body.select(start, stop)
            assert (part.length, part.etag, await read(part)) == (stop - start, "tag", whole[start:stop])
        await body.aclose()
    assert await read(single("a/b", spanned(disk, spans), RUN, STATE, "tag")) == whole
    await single("a/b", spanned(disk, spans), RUN, STATE, "tag").aclose()
    assert open_below(disk.path.parent) == 0


async def test_a_single_part_that_has_to_be_made_has_its_length_and_ranges_too() -> None:
    body = single("a/b", text(b"0123456789"), RUN, STATE, "tag")
    assert body.length == 10 and body.select is not None
    assert await read(body.select(2, 5)) == b"234"


async def test_a_large_value_is_made_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "PIECE", 16)
    monkeypatch.setattr(making, "HELD", 16)
    whole = bytes(range(100))
    asked: list[int] = []

    def made(offset: int, count: int) -> bytes:
        asked.append(offset)
        return whole[offset : offset + count]

    body = single("a/b", windowed(made, 100), RUN, STATE, "tag")
    assert (body.length, asked) == (100, [0])
    assert await read(body) == whole
    ranged = single("a/b", windowed(made, 100), RUN, STATE, "tag")
    assert ranged.select is not None
    assert await read(ranged.select(35, 77)) == whole[35:77]
