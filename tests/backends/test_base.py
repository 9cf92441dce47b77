"""The values that backends take and give."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from gateway.backends.base import URL_BASE, Body, Health, Piece, Retrieve, View
from gateway.dicomweb.media import ANYTHING
from gateway.dicomweb.resources import Resource


async def two() -> AsyncGenerator[Piece, None]:
    yield b"a"
    yield b"b"


async def test_a_body_gives_back_what_it_holds_once_it_is_closed() -> None:
    closed: list[str] = []
    body = Body("text/plain", two(), close=lambda: closed.append("closed"))
    assert await anext(body.pieces) == b"a"
    await body.aclose()
    assert closed == ["closed"]
    assert [piece async for piece in body.pieces] == []


async def test_a_body_may_be_closed_before_it_is_read_after_it_and_twice() -> None:
    unread = Body("text/plain", two())
    await unread.aclose()
    await unread.aclose()
    body = Body("text/plain", two())
    assert [piece async for piece in body.pieces] == [b"a", b"b"]
    await body.aclose()


def test_reads_are_values() -> None:
    """What is asked for can key a cache."""
    first, second = (Retrieve(Resource("1", frames=(1,)), View.FRAMES, ANYTHING) for _ in range(2))
    assert {first: "kept"}[second] == "kept"
    assert first != Retrieve(Resource("1", frames=(2,)), View.FRAMES, ANYTHING)


def test_the_base_of_urls_needs_no_escape_in_json() -> None:
    assert URL_BASE.isascii() and URL_BASE.isprintable() and not set(URL_BASE) & set('"\\')


def test_a_store_is_writable_unless_it_says_otherwise() -> None:
    assert Health(ready=True) == Health(ready=True, writable=True, detail="")
