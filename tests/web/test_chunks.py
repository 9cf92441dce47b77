"""Bodies of unknown length on sockets: chunks of HTTP/1.1 in which files go out by sendfile (RFC 9112 7.1)."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from gateway.backends.base import Body, FileSlice, Piece
from gateway.web import sending
from tests.backends.made import dicom
from tests.web.conftest import Serve
from tests.web.gate import BASE, INSTANCE, PATIENCE, Gate, parts_of, read_answer, read_head, request
from tests.web.test_sending import give, held

PIXELS = random.Random(3).randbytes(3 << 20)
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
get_frames = request("GET", f"{BASE}{INSTANCE}/frames/1,2,3", {"Accept": FRAMES})


@pytest.fixture(params=["memory", "local"])
async def stored(request: pytest.FixtureRequest, serve: Serve) -> Gate:
    """Three frames of a megabyte."""
    gate = await serve(backend=request.param)
    await gate.store(dicom(Rows=512, Columns=1024, NumberOfFrames="3", PixelData=PIXELS))
    return gate


async def chunks(reader: asyncio.StreamReader, pause: float = 0) -> list[bytes]:
    found = []
    while length := int(await reader.readline(), 16):
        found.append(await reader.readexactly(length))
        assert await reader.readexactly(2) == b"\r\n"
        await asyncio.sleep(pause)
    assert await reader.readexactly(2) == b"\r\n"
    return found


async def test_the_head_of_a_part_is_a_chunk_of_its_own(stored: Gate) -> None:
    reader, writer = await stored.connect()
    writer.write(get_frames)
    status, headers = await read_head(reader)
    assert (status, headers["Transfer-Encoding"], "Content-Length" in headers) == (200, "chunked", False)
    boundary = headers["Content-Type"].rpartition("boundary=")[2].encode()
    found = await chunks(reader)
    heads = [chunk for chunk in found if boundary in chunk]
    assert len(heads) == 4 and all(chunk.endswith(b"\r\n\r\n") for chunk in heads[:3])
    assert b"".join(chunk for chunk in found if chunk not in heads) == PIXELS


async def test_a_connection_goes_on_after_chunks(stored: Gate) -> None:
    reader, writer = await stored.connect()
    writer.write(get_frames * 2)
    for _ in range(2):
        answer = await read_answer(reader)
        assert b"".join(data for _, data in parts_of(answer)) == PIXELS


async def test_chunks_to_a_slow_reader(stored: Gate) -> None:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", stored.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    writer.write(get_frames)
    await read_head(reader)
    assert PIXELS in b"".join(chunk for chunk in await chunks(reader, 0.001) if not chunk.startswith((b"--", b"\r\n--")))
    writer.close()


async def test_pieces_of_every_size_and_none(plain: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    before = held()["file"]
    given = [b"", b"a", b"b" * sending.JOINED, b"c" * (sending.JOINED + 1), b""]

    async def pieces() -> AsyncGenerator[Piece, None]:
        for piece in given:
            yield piece
        for length in (0, 5, 0, 1):  # an empty chunk would be the last one
            yield FileSlice(os.open(tmp_path / "file", os.O_RDONLY), 2, length)

    give(plain, monkeypatch, lambda: Body("text/plain", pieces()))
    assert (await plain.get(INSTANCE, "*/*")).body == b"".join(given) + b"234562"
    assert held()["file"] == before


async def test_who_leaves_in_the_middle_leaves_no_file_open(stored: Gate) -> None:
    before = held()[".dcm"]  # of other tests of this process
    reader, writer = await stored.connect()
    writer.write(get_frames)
    await read_head(reader)
    writer.transport.abort()
    async with asyncio.timeout(PATIENCE):
        while held()[".dcm"] > before:
            await asyncio.sleep(0.01)
