"""Compressed bodies: the same bytes after decoding, at once, off the loop, bounded, and kept for the next caller."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from gateway.app import SERVICE
from gateway.backends.base import Body, FileSlice, Piece
from gateway.web import compression
from gateway.web.compression import AT_ONCE, GATHERED, Compression
from gateway.web.encoding import Coding
from tests.backends.made import dicom, read, study
from tests.web.coded import CODINGS, begun, decoded, plain
from tests.web.conftest import Lines, Serve
from tests.web.gate import BASE, INSTANCE, PATIENCE, STORED, Gate, parts_of, read_head, request
from tests.web.test_sending import slow

XML = 'multipart/related; type="application/dicom+xml"'
METADATA = "/studies/1.5/metadata"


async def body(*pieces: bytes) -> AsyncGenerator[Piece, None]:
    for piece in pieces:
        yield piece


def answers(coding: str, source: str) -> float:
    return REGISTRY.get_sample_value("gateway_compressed_answers_total", {"coding": coding, "source": source}) or 0


# -- streams


@hypothesis_settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=99), st.integers(0, 300_000).map(bytes)), max_size=9), st.sampled_from(CODINGS))
def test_whatever_comes_in_comes_out_after_decoding(pieces: list[bytes], coding: Coding) -> None:
    async def run() -> None:
        made = Compression().body(coding, Body("text/plain", body(*pieces), 5, select=lambda *_: Body("", body())))
        assert made is not None and (made.length, made.select) == (None, None)
        assert decoded(coding, await read(made)) == b"".join(pieces)

    asyncio.run(run())


@pytest.mark.parametrize("coding", CODINGS)
async def test_the_first_piece_goes_out_before_the_second_is_there(coding: Coding) -> None:
    later = asyncio.Event()

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield b"first"
        await later.wait()
        yield b"second"

    made = Compression().body(coding, Body("text/plain", pieces()))
    assert made is not None
    async with asyncio.timeout(PATIENCE):
        first = await anext(made.pieces)
    assert isinstance(first, bytes) and begun(coding, first) == b"first"
    later.set()
    rest = [piece async for piece in made.pieces]
    assert decoded(coding, b"".join([first, *rest])) == b"firstsecond"  # type: ignore[list-item]  # none is a file
    await made.aclose()


async def test_small_pieces_share_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    fed = compression._fed

    def counted(compressor: Any, data: Sequence[bytes], *, flush: bool) -> bytes:
        turns.append(len(data))
        return fed(compressor, data, flush=flush)

    monkeypatch.setattr(compression, "_fed", counted)
    made = Compression().body("gzip", Body("text/plain", body(*[b"x" * (GATHERED // 4)] * 10)))
    assert made is not None
    assert decoded("gzip", await read(made)) == b"x" * (GATHERED // 4 * 10)
    assert turns == [1, 4, 4]


async def test_a_file_has_no_place_in_a_document() -> None:
    async def pieces() -> AsyncGenerator[Piece, None]:
        yield FileSlice(-1, 0, 1)

    made = Compression().body("gzip", Body("text/plain", pieces()))
    assert made is not None
    with pytest.raises(TypeError, match="a file"):
        await read(made)


async def test_so_many_are_compressed_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "STREAMS", 2)
    closed: list[int] = []
    compressing = Compression()
    made = [compressing.body("zstd", Body("", body(b"x"), close=partial(closed.append, number))) for number in range(3)]
    assert [one is None for one in made] == [False, False, True]
    assert made[0] is not None and made[1] is not None
    for _ in range(2):
        await made[0].aclose()
    assert (closed, compressing.streams) == ([0, 0], 1)
    assert compressing.body("gzip", Body("", body(b"x"))) is not None
    await made[1].aclose()
    assert compressing.streams == 1


@pytest.mark.parametrize("streamed", [True, False])
async def test_work_is_done_in_a_few_threads_and_never_on_the_loop(monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
    running, most = 0, 0
    finish = compression._Gzip.finish

    def watched(self: Any, data: bytes) -> bytes:
        nonlocal running, most
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        running += 1
        most = max(most, running)
        made = finish(self, data)
        running -= 1
        return made

    monkeypatch.setattr(compression._Gzip, "finish", watched)
    compressing, data = Compression(), random.Random(1).randbytes(1 << 20)
    bodies = [compressing.body("gzip", Body("", body(data))) for _ in range(6)] if streamed else []
    work = [read(one) for one in bodies if one is not None] or [compressing.document("gzip", data) for _ in range(6)]
    made = await asyncio.gather(*work)
    assert [decoded("gzip", one) for one in made] == [data] * 6
    assert most <= AT_ONCE


# -- what is kept


async def test_what_is_whole_is_kept_with_its_type() -> None:
    compressing = Compression()
    first = compressing.body("gzip", Body("multipart/related; boundary=1", body(b"one", b"two")), "tag")
    assert first is not None
    data = await read(first)
    second = compressing.body("gzip", Body("multipart/related; boundary=2", body(), instances=7), "tag")
    assert second is not None
    assert (second.media_type, second.length, second.instances) == ("multipart/related; boundary=1", len(data), 7)
    assert await read(second) == data
    assert await compressing.document("gzip", b"", "tag") == data


async def test_what_goes_out_as_it_is_is_kept_too(serve: Serve) -> None:
    gate = await filled(await serve(backend="local"))
    first = await gate.get("/studies/1.5/metadata", headers={"Accept-Encoding": "identity"})
    again = await gate.get("/studies/1.5/metadata", headers={"Accept-Encoding": "identity"})
    assert (first.headers["Transfer-Encoding"], again.headers["Content-Length"]) == ("chunked", str(len(first.body)))
    assert (again.body, again.headers["ETag"]) == (first.body, first.headers["ETag"])
    await gate.store(dicom("1.5", "1.5.1", "1.5.1.99"))
    changed = await gate.get("/studies/1.5/metadata", headers={"Accept-Encoding": "identity"})
    assert len(changed.json) == len(again.json) + 1


async def test_without_a_tag_nothing_is_kept() -> None:
    compressing = Compression()
    made = compressing.body("gzip", Body("", body(b"one")))
    assert made is not None
    await read(made)
    await compressing.document("gzip", b"one")
    assert compressing.kept.taken == 0


@pytest.mark.parametrize("how", ["left", "broken", "too large", "nothing may be kept"])
async def test_what_is_not_whole_or_too_large_is_not_kept(how: str) -> None:
    compressing = Compression(0 if how == "nothing may be kept" else 1 << 16)
    size = 1 << 20 if how == "too large" else 100

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield random.Random(1).randbytes(size)
        if how == "broken":
            raise ValueError(how)
        yield b"end"

    made = compressing.body("zstd", Body("", pieces()), "tag")
    assert made is not None
    if how == "left":
        await anext(made.pieces)
        assert compressing.kept.taken > 0
        await made.aclose()
    elif how == "broken":
        with pytest.raises(ValueError, match="broken"):
            await read(made)
    else:
        assert len(decoded("zstd", await read(made))) == size + 3
    assert (compressing.kept.get("tag"), compressing.kept.taken, compressing.streams) == (None, 0, 0)


async def test_two_who_ask_first_at_the_same_time_do_not_wait_for_each_other() -> None:
    compressing = Compression()
    first, second = (compressing.body("zstd", Body("", body(b"one" * 999, b"two")), "tag") for _ in range(2))
    assert first is not None and second is not None
    started = await anext(first.pieces)
    data = await read(second)
    assert isinstance(started, bytes) and data.startswith(started)
    await first.aclose()
    found = compressing.kept.get("tag")
    assert found is not None and found.read() == data


# -- over HTTP


async def filled(gate: Gate) -> Gate:
    await gate.store(*study("1.5", series=2, instances=6, PatientComments="words and words " * 50))
    return gate


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", [METADATA, "/studies/1.5/series/1.5.1/metadata", "/studies/1.5/series/1.5.1/instances/1.5.1.1/metadata"])
async def test_metadata_is_the_same_after_decoding(gate: Gate, coding: str, path: str) -> None:
    await filled(gate)
    identity = await gate.get(path)
    assert "Content-Encoding" not in identity.headers
    for _ in range(2):  # the second time it is kept
        answer = await gate.get(path, headers={"Accept-Encoding": f"br, {coding}"})
        assert (answer.status, answer.headers["Content-Encoding"], plain(answer)) == (200, coding, identity.body)
        assert answer.headers["Content-Type"] == "application/dicom+json"
        assert answer.headers["ETag"] == identity.headers["ETag"].removesuffix('"') + f'-{coding}"'
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"
        assert len(answer.body) < len(identity.body)


@pytest.mark.parametrize("coding", CODINGS)
async def test_xml_is_the_same_after_decoding(gate: Gate, coding: str) -> None:
    await filled(gate)
    identity = parts_of(await gate.get(METADATA, XML))
    for _ in range(2):
        answer = await gate.get(METADATA, XML, {"Accept-Encoding": coding})
        assert answer.headers["ETag"].startswith("W/") and answer.headers["ETag"].endswith(f'-{coding}"')
        assert parts_of(type(answer)(answer.status, answer.headers, plain(answer))) == identity


async def test_who_has_a_compressed_answer_does_not_get_it_again(gate: Gate) -> None:
    await filled(gate)
    etags = {}
    for coding in ("identity", *CODINGS):
        answer = await gate.get(METADATA, headers={"Accept-Encoding": coding})
        etags[coding] = answer.headers["ETag"]
        again = await gate.get(METADATA, headers={"Accept-Encoding": coding, "If-None-Match": etags[coding]})
        assert (again.status, again.headers["ETag"], "Content-Encoding" in again.headers) == (304, etags[coding], False)
    assert len(set(etags.values())) == 3
    assert (await gate.get(METADATA, headers={"Accept-Encoding": "gzip", "If-None-Match": etags["zstd"]})).status == 200


@pytest.mark.parametrize("coding", CODINGS)
async def test_head_has_the_headers_of_get(gate: Gate, coding: str) -> None:
    await filled(gate)
    for path in (METADATA, METADATA, "/instances"):  # at first not kept, then kept
        head = await gate.ask("HEAD", path, {"Accept-Encoding": coding})
        get = await gate.ask("GET", path, {"Accept-Encoding": coding})
        names = set(get.headers) - {"Date", "X-Request-Id", "Transfer-Encoding"}
        assert {name: head.headers.get(name) for name in names} == {name: get.headers[name] for name in names}
        assert head.headers["Content-Encoding"] == coding


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (INSTANCE, STORED),
        (INSTANCE, 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        (INSTANCE + "/frames/2", "application/octet-stream; transfer-syntax=*"),
        (INSTANCE + "/bulkdata/7FE00010", "application/octet-stream; transfer-syntax=*"),
    ],
)
async def test_pixels_and_instances_are_never_coded(gate: Gate, path: str, accept: str) -> None:
    await gate.store(dicom(Rows=64, Columns=64, NumberOfFrames="2", PixelData=bytes(1 << 14)))
    answer = await gate.get(path, accept, {"Accept-Encoding": "gzip, zstd, identity;q=0"})
    assert (answer.status, "Content-Encoding" in answer.headers) == (200, False)
    assert bytes(1 << 13) in answer.body


@pytest.mark.parametrize("coding", CODINGS)
async def test_kept_answers_are_used_again_until_something_changes(gate: Gate, coding: str) -> None:
    await filled(gate)
    before = answers(coding, "made"), answers(coding, "kept")
    numbers = itertools.count(100)

    async def since(path: str, host: str = "gate.example") -> tuple[float, float]:
        unlike_any = f"request-{next(numbers)}"  # for what comes in the same bytes again nobody looks into what is kept here
        answer = await gate.get(path, headers={"Accept-Encoding": coding, "Host": host, "X-Request-Id": unlike_any})
        assert f'"http://{host}/dicom-web/studies/1.5'.encode() in plain(answer)
        return answers(coding, "made") - before[0], answers(coding, "kept") - before[1]

    for number, path in enumerate((METADATA, "/instances")):
        made, kept = 3 * number, 2 * number
        assert await since(path) == (made + 1, kept)
        assert await since(path) == (made + 1, kept + 1)
        assert await since(path, "other.example") == (made + 2, kept + 1)
        assert await since(path) == (made + 2, kept + 2)
        await gate.ask("DELETE", f"/studies/1.5/series/1.5.1/instances/1.5.1.{number + 1}")
        assert await since(path) == (made + 3, kept + 2)


async def test_nothing_is_kept_where_the_setting_says_so(serve: Serve) -> None:
    gate = await filled(await serve(backend="memory", limits={"kept_bytes": 0}))
    before = answers("gzip", "made")
    for _ in range(3):
        await gate.get(METADATA, headers={"Accept-Encoding": "gzip"})
    assert answers("gzip", "made") - before == 3
    assert gate.app[SERVICE].compression.kept.taken == 0


async def test_bytes_are_counted_before_and_after(gate: Gate) -> None:
    def both() -> list[float]:
        return [REGISTRY.get_sample_value(f"gateway_compression_{way}_bytes_total", {"coding": "gzip"}) or 0 for way in ("in", "out")]

    await filled(gate)
    before, identity = both(), await gate.get(METADATA)
    answer = await gate.get(METADATA, headers={"Accept-Encoding": "gzip"})
    assert [after - start for after, start in zip(both(), before, strict=True)] == [len(identity.body), len(answer.body)]


async def test_when_too_much_is_compressed_answers_go_out_plain(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(gate)
    monkeypatch.setattr(compression, "STREAMS", 0)
    identity, answer = await gate.get(METADATA), await gate.get(METADATA, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert (answer.body, answer.headers["ETag"]) == (identity.body, identity.headers["ETag"])


# -- clients that leave


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("coding", CODINGS)
async def test_clients_that_leave_leave_nothing_behind(gate: Gate, lines: Lines, coding: str) -> None:
    chance = random.Random(4)
    for number in range(24):  # more than the buffers of both sides hold, whatever the coding
        await gate.store(dicom("1.7", "1.7.1", f"1.7.1.{number + 1}", TextValue=chance.randbytes(1 << 18).hex()))
    await gate.idle()
    compressing, tasks = gate.app[SERVICE].compression, len(asyncio.all_tasks())
    lines.clear()
    for wanted in (0, 1, 1000, 200_000) * 2:
        reader, writer = await slow(gate)
        writer.write(request("GET", f"{BASE}/studies/1.7/metadata", {"Accept-Encoding": coding}))
        if wanted:
            assert (await read_head(reader))[0] == 200
            await reader.readexactly(wanted)
            assert compressing.streams == 1
        writer.transport.abort()
        await until(lambda: compressing.streams == 0 and len(asyncio.all_tasks()) == tasks)
    assert compressing.kept.taken == 0
    assert {line["status"] for line in lines} == {499}
    answer = await gate.get("/studies/1.7/metadata", headers={"Accept-Encoding": coding})
    assert len(plain(answer)) > 24 << 19


async def test_a_body_that_breaks_cuts_the_connection(plain: Gate, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.expected = {"answer broke off"}

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield b"x" * 5000
        raise ValueError

    class Broken:
        async def retrieve(self, _: object) -> Body:
            return Body("application/dicom+json", pieces(), etag="a")

        async def aclose(self) -> None:
            pass

    monkeypatch.setitem(plain.app[SERVICE].catalog._stores, "default", Broken())
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await plain.get(METADATA, headers={"Accept-Encoding": "gzip"})
    compressing = plain.app[SERVICE].compression
    await until(lambda: (compressing.kept.taken, compressing.streams) == (0, 0))
