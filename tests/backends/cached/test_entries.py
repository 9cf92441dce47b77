"""What is kept, and the answers that are made of it."""

from __future__ import annotations

import os
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.base import FileSlice, Matches, Served
from gateway.backends.cached import entries
from gateway.backends.cached.entries import GATHERED, OVERHEAD, Found, Head, Read, cuts_of, now, tag_of
from gateway.backends.cached.keys import Kind
from gateway.backends.held import LARGE, Held
from tests.backends.made import read

HIT = Served("hit", 3.5)


def entry(kind: Kind, *pieces: bytes, media: str = "image/jpeg", weak: bool = False) -> Read:
    return Read(kind, 1, 0.0, Head(media, "tag", weak, 12.5, 7), Held(pieces), cuts_of(map(len, pieces)) if kind == "metadata" else ())


@pytest.mark.parametrize("size", [0, 10, LARGE + 1])
async def test_a_body_is_what_was_kept_each_time(size: int) -> None:
    one = entry("frames", bytes(range(256)) * (size // 256 + 1))
    data = one.held.read()
    for _ in range(2):
        body = one.body(HIT)
        assert (body.media_type, body.etag, body.weak, body.modified, body.instances) == ("image/jpeg", "tag", False, 12.5, 7)
        assert (body.length, body.served) == (len(data), HIT)
        assert await read(body) == data
    assert one.cost == OVERHEAD + len(data)


@pytest.mark.parametrize("size", [100, LARGE + 100])
async def test_a_range_is_cut_out_of_what_was_kept(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    body = entry("bulkdata", data).body(HIT)
    assert body.select is not None
    some = body.select(10, size - 10)
    assert (some.length, some.etag, some.served) == (size - 20, "tag", HIT)
    assert await read(some) == data[10:-10]


async def test_of_multipart_bodies_and_documents_no_ranges_are_given() -> None:
    assert entry("frames", b"x", media="multipart/related", weak=True).body(HIT).select is None
    assert entry("metadata", b"[]", media="application/dicom+json").body(HIT).select is None


async def test_a_body_that_nobody_reads_opens_nothing() -> None:
    body = entry("frames", bytes(LARGE)).body(HIT)
    await body.aclose()
    taken = [piece async for piece in entry("frames", bytes(LARGE)).body(HIT).pieces]
    assert len(taken) == 1 and isinstance(taken[0], FileSlice)
    os.close(taken[0].descriptor)


@given(st.lists(st.integers(1, 3 * GATHERED), max_size=30))
def test_cuts_are_ends_of_pieces_and_no_further_apart_than_they_must(lengths: list[int]) -> None:
    cuts = cuts_of(lengths)
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    assert set(cuts) <= set(ends) and list(cuts) == sorted(cuts)
    assert cuts[-1:] == tuple(ends[-1:])
    for low, high in pairwise((0, *cuts)):
        assert high - low <= GATHERED or not any(low < end < high for end in ends)


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(5, 40))
async def test_a_document_comes_in_pieces_that_are_whole(lengths: list[int], gathered: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "GATHERED", gathered)
        pieces = [b"<" + b"x" * (length - 1) for length in lengths]
        found = [piece async for piece in entry("metadata", *pieces).body(HIT).pieces]
    assert b"".join(piece for piece in found if isinstance(piece, bytes)) == b"".join(pieces)
    assert all(isinstance(piece, bytes) and piece.startswith(b"<") for piece in found)
    assert all(len(piece) <= gathered or piece.count(b"<") == 1 for piece in found if isinstance(piece, bytes))


async def test_a_large_document_is_bytes_too() -> None:
    pieces = [b"{" + b"x" * 50_000 for _ in range(LARGE // 50_000 + 1)]
    one = entry("metadata", *pieces, media="application/dicom+json")
    assert not one.held.small
    found = [piece async for piece in one.body(HIT).pieces]
    assert all(isinstance(piece, bytes) and piece.startswith(b"{") and len(piece) <= GATHERED for piece in found)
    assert b"".join(piece for piece in found if isinstance(piece, bytes)) == b"".join(pieces)


def test_a_tag_says_the_content_and_not_the_boundary() -> None:
    def multipart(boundary: str, data: bytes, inner: str = "image/jpeg") -> str:
        body = [b"--" + boundary.encode() + b"\r\n\r\n", data, b"\r\n--" + boundary.encode() + b"--"]
        return tag_of(f'multipart/related; type="{inner}"; boundary={boundary}', body)

    assert multipart("one", b"data") == multipart("other", b"data")
    assert multipart("one", b"data") != multipart("one", b"date")
    assert multipart("one", b"data") != multipart("one", b"data", "image/jls")
    assert tag_of("image/jpeg", [b"ab", b"c"]) == tag_of("image/jpeg", [b"a", b"bc"]) != tag_of("image/png", [b"abc"])


def test_results_are_counted() -> None:
    few, many = (Found("search", 1, 0.0, Matches((b"x" * 100,) * count)) for count in (1, 1000))
    assert many.cost - few.cost >= 999 * 100


def test_time_goes_on() -> None:
    first = now()
    time.sleep(0.002)
    assert first < now()
