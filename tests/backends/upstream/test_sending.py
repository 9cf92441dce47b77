from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_writer import StreamWriter
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.backends.upstream.sending import PIECE, Outgoing, Stalled


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Any] = []

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return False

    @property
    def bytes(self) -> bytes:
        return b"".join(self.writes)


async def written(body: Outgoing, *, chunked: bool, paused: bool = False) -> Wire:
    """What aiohttp's writer sends of it, head included."""
    protocol = BaseProtocol(asyncio.get_running_loop())
    wire = protocol.transport = Wire()
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    if chunked:
        writer.enable_chunking()
    await writer.write_headers("POST / HTTP/1.1", CIMultiDict())
    if paused:
        protocol.pause_writing()
    await body.write_with_length(writer, None)
    await writer.write_eof()
    return wire


def unchunked(data: bytes) -> bytes:
    """The body behind a head, by the book (RFC 9112 7.1)."""
    found, rest = b"", data.partition(b"\r\n\r\n")[2]
    while True:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        found += rest[:size]
        assert rest[size : size + 2] == b"\r\n"
        rest = rest[size + 2 :]
        if size == 0:
            assert rest == b""
            return found


async def of(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@given(st.lists(st.one_of(st.binary(max_size=20), st.integers(8100, 9000).map(bytes))))
async def test_any_pieces_make_chunks_by_the_book(pieces: list[bytes]) -> None:
    wire = await written(Outgoing(of(pieces), 60), chunked=True)
    assert unchunked(wire.bytes) == b"".join(pieces)


async def test_pieces_of_a_known_length_are_not_copied() -> None:
    piece = bytes(1 << 20)
    body = Outgoing(of([b"head", piece, piece]), 60)
    wire = await written(body, chunked=False)
    assert sum(data is piece for data in wire.writes) == 2
    assert body.sent == 4 + (2 << 20)
    assert body.ended > 0


async def test_bytes_go_out_in_bounded_pieces_and_can_be_sent_again() -> None:
    data = bytes(range(256)) * 4096
    body = Outgoing(data, 60)
    assert body.size == len(data)
    for _ in range(2):
        wire = await written(body, chunked=False)
        assert max(len(write) for write in wire.writes) <= PIECE + 100
        assert wire.bytes.endswith(data)
        assert body.replayable
    assert body.sent == 2 * len(data)


async def test_a_stream_can_be_sent_again_until_something_was_taken_from_it() -> None:
    body = Outgoing(of([b"x"]), 60)
    assert body.size is None
    assert body.replayable
    await written(body, chunked=True)
    assert not body.replayable


async def test_an_origin_that_takes_nothing_is_given_up() -> None:
    body = Outgoing(of([b"x"]), 0.01)
    with pytest.raises(Stalled):
        await written(body, chunked=True, paused=True)
    assert isinstance(body.failure, Stalled)
    assert body.ended == 0


async def test_what_goes_wrong_while_a_piece_is_made_is_remembered() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError

    body = Outgoing(broken(), 60)
    with pytest.raises(LookupError):
        await written(body, chunked=True)
    assert isinstance(body.failure, LookupError)


async def test_a_body_is_never_text() -> None:
    with pytest.raises(TypeError):
        Outgoing(b"x", 0).decode()
