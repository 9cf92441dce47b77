"""Bytes that are held: small ones as they are, large ones behind a descriptor that outlives nobody."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from gateway.backends.base import FileSlice, Piece
from gateway.backends.held import LARGE, VECTOR, Held


def taken(piece: Piece) -> bytes:
    if isinstance(piece, bytes):
        return piece
    try:
        return os.pread(piece.descriptor, piece.length, piece.offset)
    finally:
        os.close(piece.descriptor)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, LARGE + 12_345])
def test_what_was_given_is_read_and_sent_whole_and_in_ranges(size: int) -> None:
    data = os.urandom(size)
    held = Held([data[:100], b"", data[100:]])
    assert (held.length, held.small) == (size, size < LARGE)
    assert held.read() == data == taken(held.piece())
    for start, stop in ((0, size), (size // 3, size // 2), (size, size)):
        assert held.read(start, stop) == data[start:stop] == taken(held.piece(start, stop))


def test_more_pieces_than_one_call_writes() -> None:
    pieces = [bytes([number % 256]) * 200 for number in range(VECTOR + 10)]
    assert Held(pieces).read() == b"".join(pieces)


def test_a_descriptor_goes_with_what_it_was_for_and_a_piece_outlives_it() -> None:
    before = open_files()
    held = Held([bytes(LARGE)])
    piece = held.piece(10, 20)
    assert isinstance(piece, FileSlice)
    del held
    assert open_files() == before + 1
    assert taken(piece) == bytes(10)
    assert open_files() == before


def test_what_lies_in_a_file_stays_there(tmp_path: Path) -> None:
    before = open_files()
    (tmp_path / "file").write_bytes(b"head" + b"body" + b"tail")
    held = Held.in_file(os.open(tmp_path / "file", os.O_RDONLY), 4, 4)
    assert (held.length, held.small, held.read(), held.read(1, 3), taken(held.piece(1, 3))) == (4, False, b"body", b"od", b"od")
    del held
    assert open_files() == before
