"""Frames of origins as dcmweb reads them: a chunk for each head, whatever pieces they came in."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backends.base import Body, FileSlice, Piece, Served
from gateway.web.reframing import in_chunks
from tests.flows.recorded import dcmweb_files

BODY = (
    b"preamble\r\n--Origin=1\r\nContent-Location: /here\r\nContent-Type: image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50\r\n\r\none"
    b"\r\n--Origin=1\r\ncontent-type: image/jpeg\r\n\r\ntwo\r\n--Origin=1--\r\nepilogue"
)
MEDIA = 'multipart/related; type="image/jpeg"; boundary="Origin=1"'
HIT = Served("hit")


async def pieces_of(*pieces: Piece) -> AsyncGenerator[Piece, None]:
    for piece in pieces:
        yield piece


async def read(body: Body) -> list[bytes]:
    found = [piece async for piece in body.pieces]
    assert all(isinstance(piece, bytes) for piece in found)
    return [piece for piece in found if isinstance(piece, bytes)]


def files(body: Body, chunks: list[bytes]) -> list[bytes]:
    return dcmweb_files(body.media_type, iter(chunks))


@pytest.mark.parametrize("size", [1, 7, 40, len(BODY)])
async def test_each_head_is_a_chunk_of_its_own(size: int) -> None:
    parts = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    body = in_chunks(Body(MEDIA, pieces_of(*parts), len(BODY), etag="e", served=HIT))
    chunks = await read(body)
    assert (body.length, body.etag, body.served) == (None, "e", HIT)
    assert files(body, chunks) == [b"one", b"two"]
    boundary = body.media_type.rpartition("boundary=")[2]
    assert body.media_type == f'multipart/related; type="image/jpeg"; boundary={boundary}'
    assert (
        b"".join(chunks)
        == (
            f"--{boundary}\r\nContent-Type: image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50\r\nContent-Location: /here\r\n\r\none"
            f"\r\n--{boundary}\r\nContent-Type: image/jpeg\r\n\r\ntwo\r\n--{boundary}--\r\n"
        ).encode()
    )


async def test_what_lies_in_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"xx" + BODY)
    body = in_chunks(Body(MEDIA, pieces_of(FileSlice(os.open(path, os.O_RDONLY), 2, len(BODY))), len(BODY)))
    assert files(body, await read(body)) == [b"one", b"two"]


async def test_what_is_framed_so_or_has_one_part_stays() -> None:
    single = Body("image/jpeg", pieces_of(b"one"), 3, served=HIT)
    ours = replace(single, media_type=MEDIA, length=None, served=Served())
    assert in_chunks(single) is single
    assert in_chunks(ours) is ours
