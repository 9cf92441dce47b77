"""A body on its way in: followed while it comes, kept when it is whole, and bounded whatever comes."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import Body, FileSlice, Retrieve, View
from gateway.backends.cached import growing
from gateway.backends.cached.cached import Cached
from gateway.backends.cached.disk import DiskTier
from gateway.backends.cached.memory import SHARE
from gateway.backends.held import LARGE
from gateway.errors import OriginFailed
from tests.backends.cached.behind import Behind, joined, settle, until
from tests.backends.made import FIRST, FRAMES, JSON, dicom, read, store, wants
from tests.backends.twice import cached

FRAME = wants(View.FRAMES, FRAMES, *FIRST, frames=[1])
OF_STUDY = wants(View.METADATA, JSON, FIRST[0])
OF_INSTANCE = wants(View.METADATA, JSON, *FIRST)
ROOM = 4 << 20
"""A share is a mebibyte."""

Make = Callable[..., Cached]


@pytest.fixture
async def behind() -> Behind:
    return Behind()


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[DiskTier]:
    tier = DiskTier(tmp_path / "disk", 64 << 20)
    yield tier
    await tier.aclose()


@pytest.fixture
async def make(behind: Behind, tmp_path: Path, disk: DiskTier) -> AsyncIterator[Make]:
    opened: list[Cached] = []

    def make(**options: Any) -> Cached:
        opened.append(cached(behind, tmp_path, **{"room": ROOM} | options))
        return opened[-1]

    yield make
    for one in opened:
        await one.aclose()
        assert behind.open == 0 and not len(one._reads)
        kept = [*one._memory._new.values(), *one._memory._proven.values()]
        assert one._memory.taken == sum(entry.cost for entry in kept)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def data_of(size: int) -> bytes:
    return os.urandom(1 << 12) * (size // (1 << 12)) + bytes(size % (1 << 12))


async def test_a_document_goes_out_as_it_comes_to_all_who_ask(make: Make, behind: Behind) -> None:
    backend, data = make(), data_of(100_000)
    behind.answer, behind.pieces, behind.length, behind.media = lambda: data, 10, False, "application/dicom+json"
    behind.free = 3
    behind.between.clear()
    first = await backend.retrieve(OF_STUDY)
    pieces = [await anext(first.pieces)]
    assert (first.length, first.etag, first.served.cache) == (None, None, "miss")
    second = await backend.retrieve(OF_STUDY)
    later = asyncio.create_task(read(second))
    await settle()
    behind.between.set()
    pieces += [piece async for piece in first.pieces]
    await first.aclose()
    assert joined(pieces) == data == await later
    assert behind.calls == 1
    hit = await backend.retrieve(OF_STUDY)
    assert (hit.length, hit.served.cache) == (len(data), "hit") and hit.etag
    assert await read(hit) == data


@pytest.mark.parametrize("what", [FRAME, OF_INSTANCE])
@pytest.mark.parametrize("length", [True, False])
async def test_what_is_short_is_answered_whole_with_a_tag_that_stays(make: Make, behind: Behind, what: Retrieve, length: bool) -> None:
    backend, data = make(), data_of(200_000)
    behind.answer, behind.pieces, behind.length = lambda: data, 5, length
    first = await backend.retrieve(what)
    assert first.length == len(data) and first.etag is not None
    assert await read(first) == data
    second = await backend.retrieve(what)
    assert (second.etag, second.weak, second.length, second.served.cache) == (first.etag, first.weak, first.length, "hit")
    assert await read(second) == data
    await store(backend, dicom())
    third = await backend.retrieve(what)
    assert (third.etag, third.served.cache) == (first.etag, "miss")
    await third.aclose()


async def test_a_tag_of_the_store_behind_stays_its_own(make: Make, behind: Behind) -> None:
    backend = make()
    behind.etag = "theirs"
    for _ in range(2):
        body = await backend.retrieve(FRAME)
        assert body.etag == "theirs"
        await body.aclose()


async def test_multipart_bodies_are_weak_and_their_boundary_says_nothing(make: Make, behind: Behind) -> None:
    backend = make()
    tags = set()
    for boundary in ("one", "two"):
        behind.media = f'multipart/related; type="image/jpeg"; boundary={boundary}'
        behind.answer = f"--{boundary}\r\n\r\ndata\r\n--{boundary}--".encode
        body = await backend.retrieve(FRAME)
        assert body.weak and body.select is None and body.media_type == behind.media
        tags.add(body.etag)
        await body.aclose()
        await store(backend, dicom())
    assert len(tags) == 1 and None not in tags


@pytest.mark.parametrize("size", [1000, 500_000])
async def test_ranges_of_what_was_kept_and_of_what_has_just_come(make: Make, behind: Behind, size: int) -> None:
    backend, data = make(), data_of(size)
    behind.answer = lambda: data
    for cache in ("miss", "hit"):
        body = await backend.retrieve(FRAME)
        assert body.select is not None and body.served.cache == cache
        assert await read(body.select(100, size - 100)) == data[100:-100]


# -- failures


@pytest.mark.parametrize("what", [FRAME, OF_INSTANCE, OF_STUDY])
async def test_a_body_that_breaks_off_is_an_error_for_all_and_kept_for_nobody(make: Make, behind: Behind, what: Retrieve) -> None:
    backend, data = make(disk=None), data_of(10_000)
    behind.answer, behind.pieces, behind.breaks = lambda: data, 10, 5

    async def ask() -> bytes:
        return await read(await backend.retrieve(what))

    results = await asyncio.gather(*[ask() for _ in range(5)], return_exceptions=True)
    assert {type(result) for result in results} == {OriginFailed}
    assert len(backend._memory) == 0
    behind.breaks = None
    assert await ask() == data
    assert (await backend.retrieve(what)).served.cache == "hit"


async def test_a_short_body_fails_before_its_answer_so_that_an_old_one_can_stand_in(make: Make, behind: Behind) -> None:
    backend = make(ttl=0, stale_if_error=1000)
    assert await read(await backend.retrieve(FRAME)) == b"answer"
    behind.breaks = 0
    body = await backend.retrieve(FRAME)
    assert (await read(body), body.served.cache) == (b"answer", "stale")


async def test_a_body_of_another_length_than_it_said_is_not_kept(make: Make, behind: Behind) -> None:
    class Lying(Behind):
        async def retrieve(self, retrieve: Retrieve) -> Body:
            return replace(await super().retrieve(retrieve), length=7)

    lying = Lying()
    backend = make()
    backend._arrivals = replace(backend._arrivals, inner=lying)
    for _ in range(2):
        with pytest.raises(EOFError):
            await read(await backend.retrieve(FRAME))
    assert (lying.calls, lying.open) == (2, 0)


async def test_when_the_last_reader_leaves_the_body_behind_is_closed(make: Make, behind: Behind) -> None:
    backend, data = make(), data_of(10_000)
    behind.answer, behind.pieces, behind.length, behind.free = lambda: data, 10, False, 2
    behind.between.clear()
    first, second = [await backend.retrieve(OF_STUDY) for _ in range(2)]
    await anext(first.pieces)
    await first.aclose()
    await settle()
    assert behind.open == 1
    await second.aclose()
    await settle()
    assert behind.open == 0 and len(backend._memory) == 0


async def test_a_reader_who_leaves_when_all_has_come_does_not_lose_it_for_others(make: Make, behind: Behind) -> None:
    backend, data = make(), data_of(900_000)  # copied in a thread when it is whole
    behind.answer, behind.length = lambda: data, False
    body = await backend.retrieve(OF_STUDY)
    await anext(body.pieces)
    await body.aclose()
    await until(lambda: not len(backend._reads))
    assert (await backend.retrieve(OF_STUDY)).served.cache == "hit"


async def test_without_a_descriptor_it_is_answered_and_not_kept(make: Make, behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    backend, data = make(), data_of(LARGE)
    behind.answer = lambda: data
    monkeypatch.setattr(os, "memfd_create", none_left)
    for _ in range(2):
        body = await backend.retrieve(FRAME)
        assert (body.length, body.served.cache) == (len(data), "miss")
        assert await read(body) == data


async def test_files_of_the_store_behind_are_read_and_closed(make: Make, behind: Behind, tmp_path: Path) -> None:
    data = data_of(3_000_000)
    (tmp_path / "file").write_bytes(data)

    class Files(Behind):
        async def _pieces(self, _: bytes) -> Any:
            yield FileSlice(os.open(tmp_path / "file", os.O_RDONLY), 1000, 500_000)

    files = Files(lambda: data[1000:501_000])
    backend = make()
    backend._arrivals = replace(backend._arrivals, inner=files)
    before = open_files()
    for _ in range(2):
        assert await read(await backend.retrieve(FRAME)) == data[1000:501_000]
    assert files.calls == 1
    backend._memory.forget(next(iter(backend._memory._proven)))
    await until(lambda: open_files() == before)  # the thread that made it may hold it for a moment


# -- what does not fit


async def test_what_is_longer_than_all_that_is_kept_passes_to_each_by_itself(make: Make, behind: Behind) -> None:
    backend, data = make(entry_bytes=1000), data_of(2000)
    behind.answer = lambda: data
    results = await asyncio.gather(*[backend.retrieve(FRAME) for _ in range(4)])
    assert [await read(body) for body in results] == [data] * 4
    assert behind.calls == 4 and len(backend._memory) == 0
    body = await backend.retrieve(FRAME)
    await body.aclose()


async def test_what_is_too_long_and_wanted_by_nobody_any_more_is_closed(make: Make, behind: Behind) -> None:
    backend, data = make(entry_bytes=1000), data_of(2000)
    behind.answer = lambda: data
    behind.gate.clear()
    waiting = asyncio.create_task(backend.retrieve(FRAME))
    await settle()
    behind.gate.set()
    waiting.cancel()
    await settle()
    assert behind.open == 0


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("length", [False, True])
async def test_what_outgrows_memory_passes_through_and_goes_to_disk(
    make: Make, behind: Behind, disk: DiskTier, length: bool, on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "WINDOW", 100_000)
    data = data_of(3 * ROOM // SHARE)
    backend = make(disk=disk if on_disk else None)
    behind.answer, behind.pieces, behind.length = lambda: data, 50, length

    async def ask() -> bytes:
        return await read(await backend.retrieve(FRAME))

    assert set(await asyncio.gather(*[ask() for _ in range(5)])) == {data}
    assert behind.calls == (5 if length and not on_disk else 1)
    assert backend._memory.taken == 0
    calls = behind.calls
    body = await backend.retrieve(FRAME)
    assert body.served.cache == ("hit" if on_disk else "miss")
    if on_disk:
        assert body.select is not None and body.length == len(data)
        assert await read(body.select(5, 2_000_000)) == data[5:2_000_000]
        assert behind.calls == calls
    await body.aclose()


async def test_a_large_document_on_disk_comes_in_whole_pieces(make: Make, behind: Behind, disk: DiskTier) -> None:
    data = (b"{" + b"x" * 99_999) * 30
    backend = make(disk=disk)
    behind.answer, behind.pieces, behind.length, behind.media, behind.etag = lambda: data, 30, False, "application/dicom+json", "theirs"
    assert await read(await backend.retrieve(OF_STUDY)) == data
    await until(lambda: not len(backend._reads))
    body = await backend.retrieve(OF_STUDY)
    assert (body.served.cache, body.etag) == ("hit", "theirs")
    pieces = [piece async for piece in body.pieces]
    assert all(isinstance(piece, bytes) and piece.startswith(b"{") and len(piece) <= 300_000 for piece in pieces)
    assert joined(pieces) == data


@pytest.mark.parametrize("on_disk", [False, True])
async def test_what_outgrows_everything_is_kept_nowhere(make: Make, behind: Behind, disk: DiskTier, on_disk: bool, tmp_path: Path) -> None:
    data = data_of(3 << 20)
    backend = make(disk=disk if on_disk else None, entry_bytes=2 << 20)
    behind.answer, behind.pieces, behind.length = lambda: data, 50, False
    for _ in range(2):
        assert await read(await backend.retrieve(FRAME)) == data
    await until(lambda: not len(backend._reads) and not disk._pending)
    assert behind.calls == 2 and list((tmp_path / "disk").glob("??/*")) == []


async def test_a_large_body_that_breaks_off_leaves_nothing_on_disk(make: Make, behind: Behind, disk: DiskTier, tmp_path: Path) -> None:
    data = data_of(3 << 20)
    backend = make(disk=disk)
    behind.answer, behind.pieces, behind.breaks = lambda: data, 50, 45
    with pytest.raises(OriginFailed):
        await read(await backend.retrieve(FRAME))
    await until(lambda: not len(backend._reads) and not disk._pending)
    assert list((tmp_path / "disk").glob("??/*")) == []


async def test_with_no_room_at_all_everything_passes(make: Make, behind: Behind) -> None:
    backend = make(room=0)
    behind.length = False
    for what in (FRAME, OF_STUDY, FRAME):
        assert await read(await backend.retrieve(what)) == b"answer"
    behind.answer = lambda: b""
    assert await read(await backend.retrieve(FRAME)) == b""
    assert behind.calls == 4
