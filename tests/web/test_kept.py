"""What is kept: the bound, the order in which things go, and beginnings that never become whole."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.base import FileSlice
from gateway.backends.held import LARGE
from gateway.web import kept
from gateway.web.kept import OVERHEAD, SHARE, Kept

ROOM = 2 * OVERHEAD
"""Of a bound of 8 of these, each of which is the share of one body."""


def full(room: Kept, key: str, *pieces: bytes) -> None:
    beginning = room.begin(key, "text/plain")
    for piece in pieces:
        beginning.add(piece)
    asyncio.run(beginning.keep())


def shown(room: Kept, key: str) -> tuple[str, bytes]:
    entry = room.get(key)
    assert entry is not None
    return entry.media_type, entry.read()


def test_what_was_kept_is_found_with_its_type() -> None:
    room = Kept(8 * ROOM)
    full(room, "a", b"one", b"", b"two")
    assert shown(room, "a") == ("text/plain", b"onetwo")
    assert room.get("b") is None
    assert room.taken == OVERHEAD + 6


def test_what_was_used_least_recently_goes_first() -> None:
    room = Kept(8 * ROOM)
    for key in "abcdefgh":
        full(room, key, bytes(OVERHEAD))
    assert room.get("a") is not None
    full(room, "i", b"x")
    assert [key for key in "abcdefghi" if room.get(key)] == list("acdefghi")


def test_a_body_above_its_share_is_not_kept_and_drives_nothing_out() -> None:
    room = Kept(8 * ROOM)
    full(room, "a", b"x")
    full(room, "large", bytes(ROOM), bytes(ROOM))
    assert (room.get("large"), room.taken) == (None, OVERHEAD + 1)
    full(room, "fits", bytes(ROOM - OVERHEAD))
    assert room.get("fits") is not None and room.get("a") is not None


def test_beginnings_count_and_give_back() -> None:
    room = Kept(8 * ROOM)
    beginnings = [room.begin(str(number), "") for number in range(20)]
    for beginning in beginnings:
        beginning.add(bytes(ROOM - OVERHEAD))
    assert room.taken == 8 * ROOM
    for beginning in beginnings:
        beginning.drop()
        beginning.drop()
        asyncio.run(beginning.keep())
        beginning.add(b"late")
    assert room.taken == 0
    assert room.get("0") is None


def test_the_same_key_again_replaces_and_counts_once() -> None:
    room = Kept(8 * ROOM)
    for data in (b"one", b"other"):
        full(room, "a", data)
    assert (shown(room, "a"), room.taken) == (("text/plain", b"other"), OVERHEAD + 5)


@pytest.mark.parametrize("bound", [0, 1, OVERHEAD, SHARE * OVERHEAD])
def test_without_room_nothing_is_kept(bound: int) -> None:
    room = Kept(bound)
    full(room, "a", b"x")
    assert (room.get("a"), room.taken) == (None, 0)


steps = st.lists(st.tuples(st.sampled_from(["begin", "add", "keep", "drop", "get"]), st.integers(0, 5), st.integers(0, 900)), max_size=60)


@given(steps)
def test_the_bound_holds_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    room = Kept(8 * ROOM)
    open_: dict[int, kept.Beginning] = {}
    for verb, number, size in steps:
        if verb == "begin" and number not in open_:
            open_[number] = room.begin(str(number), "")
        elif verb == "get":
            room.get(str(number))
        elif verb == "add" and number in open_:
            open_[number].add(bytes(size))
        elif verb in ("keep", "drop") and number in open_:
            beginning = open_.pop(number)
            asyncio.run(beginning.keep()) if verb == "keep" else beginning.drop()
        assert 0 <= room.taken <= room.bound
    for beginning in open_.values():
        beginning.drop()
    assert room.taken == sum(OVERHEAD + entry.length for entry in room._entries.values())


def test_a_large_body_lies_where_the_kernel_can_send_it() -> None:
    room = Kept(SHARE * 2 * LARGE)
    pieces = [bytes([number % 256]) * 97 for number in range(LARGE // 97 + 1)]
    full(room, "a", *pieces)
    entry = room.get("a")
    assert entry is not None and entry.read() == b"".join(pieces)
    taken = entry.piece()
    assert isinstance(taken, FileSlice) and (taken.offset, taken.length) == (0, entry.length)
    for key in "bcdefghijklmnopqrstuvw":  # drives the first one out
        full(room, key, *pieces)
    del entry
    assert room.get("a") is None
    assert os.pread(taken.descriptor, taken.length, 0) == b"".join(pieces)
    os.close(taken.descriptor)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_body_that_is_driven_out_gives_its_descriptor_back() -> None:
    before = open_files()
    room = Kept(SHARE * 2 * LARGE)
    for key in range(40):
        full(room, str(key), bytes(LARGE))
    assert open_files() - before <= SHARE * 2
    del room
    assert open_files() == before


def test_a_body_for_which_there_is_no_descriptor_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "memfd_create", none_left)
    room = Kept(SHARE * 2 * LARGE)
    full(room, "a", bytes(LARGE))
    assert (room.get("a"), room.taken) == (None, 0)
