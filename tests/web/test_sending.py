"""Bodies on sockets, on both event loops: byte-identical to slow readers, and nothing is left behind when they leave."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from gateway.app import SERVICE
from gateway.backends.base import Body, FileSlice, Piece
from gateway.backends.held import LARGE as BY_FILE
from gateway.web import sending
from tests.backends.made import dicom, study
from tests.test_serving import make_certificate
from tests.web.conftest import Lines, Serve
from tests.web.gate import BASE, INSTANCE, PATIENCE, STORED, Answer, Gate, Streams, parts_of, read_answer, read_head, request

SIZE = 3 << 20
LARGE = dicom(PixelData=random.Random(1).randbytes(SIZE))
STUDY = study("1.5", series=1, instances=4, PixelData=random.Random(2).randbytes(SIZE // 4))
OTHERS = study("1.5", series=12, instances=1, PixelData=bytes(1 << 20))[1:]
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"

get_large = request("GET", BASE + INSTANCE, {"Accept": STORED})
get_study = request("GET", BASE + "/studies/1.5", {"Accept": PARTS})
get_made = request("GET", BASE + INSTANCE, {"Accept": "application/dicom"})


@pytest.fixture(params=["memory", "local"])
async def stored(request: pytest.FixtureRequest, serve: Serve) -> Gate:
    """A gateway that holds much."""
    gate = await serve(backend=request.param)
    await gate.store(LARGE, *STUDY)
    return gate


async def slow(gate: Gate) -> Streams:
    """A connection whose client has little room."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", gate.port))
    return await asyncio.open_connection(sock=sock, limit=4096)


async def read_slowly(reader: asyncio.StreamReader) -> Answer:
    status, headers = await read_head(reader)
    body, length = bytearray(), int(headers["Content-Length"])
    while len(body) < length:
        body += await reader.read(min(50_000, length - len(body)))
        await asyncio.sleep(0)
    return Answer(status, headers, bytes(body))


def held() -> Counter[str]:
    """Descriptors of this process that requests may open: sockets and stored files."""
    found: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            name = str(entry.readlink())
        except FileNotFoundError:  # the one of the folder itself
            continue
        found.update(kind for kind in ("socket", ".dcm") if kind in name)
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def aborted() -> float:
    return REGISTRY.get_sample_value("gateway_aborted_answers_total", {"transaction": "retrieve"}) or 0


# -- whole


async def test_a_large_instance_to_a_slow_reader(stored: Gate) -> None:
    reader, writer = await slow(stored)
    writer.write(get_large)
    assert (await read_slowly(reader)).body == LARGE
    writer.close()


async def test_a_large_study_to_a_slow_reader(stored: Gate) -> None:
    reader, writer = await slow(stored)
    writer.write(get_study)
    assert [data for _, data in parts_of(await read_slowly(reader))] == STUDY
    writer.close()


async def test_many_readers_at_once(stored: Gate) -> None:
    connections = [await slow(stored) for _ in range(6)]
    for _, writer in connections:
        writer.write(get_large)
    answers = await asyncio.gather(*(read_slowly(reader) for reader, _ in connections))
    assert all(answer.body == LARGE for answer in answers)
    for _, writer in connections:
        writer.close()


@pytest.mark.parametrize("cached", [True, False])
async def test_whether_or_not_the_page_cache_has_it(serve: Serve, monkeypatch: pytest.MonkeyPatch, cached: bool) -> None:
    monkeypatch.setattr(sending, "_cached", lambda *_: cached)
    gate = await serve()
    await gate.store(LARGE)
    assert (await gate.get(INSTANCE, STORED)).body == LARGE
    answer = await gate.get(INSTANCE, STORED, {"Range": "bytes=1234567-2345678"})
    assert (answer.status, answer.body) == (206, LARGE[1234567:2345679])


async def test_a_connection_goes_on_after_a_file(stored: Gate) -> None:
    reader, writer = await stored.connect()
    for _ in range(3):
        writer.write(get_large)
        assert (await read_answer(reader)).body == LARGE
        writer.write(request("GET", BASE + "/studies?limit=1"))
        assert (await read_answer(reader)).json[0]["0020000D"]["Value"] == ["1.1"]
    writer.close()


async def test_pipelined_requests_are_answered_in_order(stored: Gate) -> None:
    reader, writer = await stored.connect()
    writer.write(get_large + get_study + request("HEAD", BASE + INSTANCE, {"Accept": STORED}))
    writer.write(
        request("GET", BASE + "/studies/9") + request("GET", BASE + INSTANCE, {"Accept": STORED, "Range": "bytes=-100"}) + get_made
    )
    assert (await read_answer(reader)).body == LARGE
    assert [data for _, data in parts_of(await read_answer(reader))] == STUDY
    assert (await read_answer(reader, head=True)).headers["Content-Length"] == str(len(LARGE))
    assert (await read_answer(reader)).status == 404
    assert (await read_answer(reader)).body == LARGE[-100:]
    assert (await read_answer(reader)).body == LARGE
    writer.close()


async def test_a_file_never_overtakes_what_is_still_on_its_way(stored: Gate) -> None:
    small = request("GET", "/version")
    expected = (await stored.raw(small)).body

    def ask(client: socket.socket) -> bytes:
        collected = bytearray()
        while not collected.endswith(expected) or collected.count(expected) < 101:
            collected += (piece := client.recv(1 << 16))
            assert piece
        return bytes(collected)

    def begun(turn: int) -> bool:
        return manager.requests_count == turn

    manager = stored.connections.manager
    for _ in range(5):
        with socket.socket() as client:
            client.settimeout(PATIENCE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.to_thread(client.connect, ("127.0.0.1", stored.port))
            await until(lambda: len(manager.connections) == 1)
            (transport,) = (connection.transport for connection in manager.connections)
            assert transport is not None
            with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as outside:
                outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            # More than the kernel takes and less than what makes a writer wait: it rests in the transport when the file's turn comes.
            turn = manager.requests_count + 101
            await asyncio.to_thread(client.sendall, small * 100 + get_large + small)
            await until(partial(begun, turn))
            answers = await asyncio.to_thread(ask, client)
            assert answers.partition(LARGE)[0].count(expected) == 100
        await stored.idle()


@pytest.mark.parametrize("keep", [b"", b"Connection: keep-alive\r\n"])
async def test_a_client_of_http_1_0(serve: Serve, keep: bytes) -> None:
    gate = await serve()
    await gate.store(dicom(syntax=IMPLICIT))
    for path, accept in ((INSTANCE, STORED), (INSTANCE, "application/dicom"), (INSTANCE + "/metadata", "*/*")):
        expected = await gate.get(path, accept, {"Host": gate.host})
        answer = await gate.raw(f"GET {BASE}{path} HTTP/1.0\r\nHost: {gate.host}\r\nAccept: {accept}\r\n".encode() + keep + b"\r\n")
        assert (answer.status, answer.body) == (200, expected.body)
        assert "Transfer-Encoding" not in answer.headers


async def test_bodies_that_are_made_on_the_way_are_chunked(serve: Serve) -> None:
    gate = await serve()
    await gate.store(dicom(syntax=IMPLICIT, PixelData=bytes(SIZE)))
    answer = await gate.get(INSTANCE, "application/dicom")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.body.endswith(b"OW\0\0" + SIZE.to_bytes(4, "little") + bytes(SIZE))


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


async def tls_gate(serve: Serve, certificate: tuple[Path, Path], **server: Any) -> Gate:
    gate = await serve(server={"tls_certificate": certificate[0], "tls_key": certificate[1]} | server)
    gate.tls = ssl.create_default_context(cafile=str(certificate[0]))
    gate.tls.check_hostname = False
    return gate


async def test_files_over_tls(serve: Serve, certificate: tuple[Path, Path]) -> None:
    gate = await tls_gate(serve, certificate)
    answer = await gate.store(LARGE, *STUDY)
    assert answer.json["00081199"]["Value"][0]["00081190"]["Value"][0].startswith("https://gate.example/dicom-web/")
    before = held()
    reader, writer = await gate.connect()
    writer.write(get_large + get_study)
    assert (await read_slowly(reader)).body == LARGE
    assert [data for _, data in parts_of(await read_slowly(reader))] == STUDY
    writer.close()
    await until(lambda: held() == before)


# -- clients that leave


@pytest.mark.parametrize("asked", [get_large, get_study, get_made], ids=["file", "files", "made"])
async def test_clients_that_leave_leave_nothing_behind(serve: Serve, lines: Lines, asked: bytes) -> None:
    gate = await serve()
    # More than the buffers of both sides hold, so that an answer is in the middle when its client leaves.
    await gate.store(dicom(syntax=IMPLICIT if asked is get_made else EXPLICIT, PixelData=bytes(12 << 20)), *STUDY, *OTHERS)
    await gate.idle()
    descriptors, tasks, chance = held(), len(asyncio.all_tasks()), random.Random(3)
    lines.clear()
    for _ in range(12):
        reader, writer = await slow(gate)
        writer.write(asked)
        await reader.readexactly(chance.choice([1, 1000, 100_000, SIZE // 4 + 300, SIZE // 2]))
        writer.transport.abort()
    await until(lambda: held() == descriptors and len(asyncio.all_tasks()) == tasks)
    assert {line["status"] for line in lines} <= {200, 499}
    assert any(line["status"] == 499 for line in lines)
    assert (await gate.get(INSTANCE, STORED)).status == 200


async def test_leaving_before_the_answer(serve: Serve) -> None:
    gate = await serve()
    await gate.store(LARGE, *STUDY)
    await gate.idle()
    descriptors, tasks = held(), len(asyncio.all_tasks())
    for asked in (get_large, get_study) * 5:
        _, writer = await gate.connect()
        writer.write(asked)
        await asyncio.sleep(0)
        writer.transport.abort()
    await until(lambda: held() == descriptors and len(asyncio.all_tasks()) == tasks)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("asked", [get_large, get_made], ids=["file", "made"])
async def test_a_client_that_reads_nothing_is_cut_off(
    serve: Serve, lines: Lines, certificate: tuple[Path, Path], tls: bool, asked: bytes
) -> None:
    big = dicom(syntax=IMPLICIT if asked is get_made else EXPLICIT, PixelData=bytes(12 << 20))
    gate = await (tls_gate(serve, certificate, stall_timeout=0.3) if tls else serve(server={"stall_timeout": 0.3}))
    await gate.store(big)
    await gate.idle()
    descriptors, before = held(), aborted()
    _, writer = await gate.connect(limit=4096)
    writer.write(asked)
    await until(lambda: aborted() == before + 1)
    writer.transport.abort()
    await until(lambda: held() == descriptors)
    assert [line["status"] for line in lines if line["event"] == "request"] == [200, 499]


# -- bodies that break


class Given:
    """A store whose every answer is one body."""

    def __init__(self, body: Callable[[], Body]) -> None:
        self.retrieve = self._retrieve
        self._body = body

    async def _retrieve(self, _: object) -> Body:
        return self._body()

    async def aclose(self) -> None:
        pass


def give(gate: Gate, monkeypatch: pytest.MonkeyPatch, body: Callable[[], Body]) -> None:
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", Given(body))


async def all_bytes(gate: Gate, asked: bytes) -> bytes:
    """What comes until the connection ends, however it does."""
    reader, writer = await gate.connect()
    writer.write(asked)
    collected = b""
    try:
        while piece := await reader.read(1 << 16):
            collected += piece
    except ConnectionError:
        pass
    writer.close()
    return collected


async def broken(fault: Exception | None = None, pieces: int = 3) -> AsyncGenerator[Piece, None]:
    for _ in range(pieces):
        yield bytes(1000)
    if fault is not None:
        raise fault


@pytest.mark.parametrize("length", [3000, 5000, None], ids=["at the end", "in the middle", "chunked"])
async def test_an_error_in_the_middle_cuts_the_connection(
    plain: Gate, lines: Lines, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    lines.expected = {"answer broke off"}
    give(plain, monkeypatch, lambda: Body("application/dicom", broken(ValueError("of the canary")), length))
    before = aborted()
    assert b"ok" not in await all_bytes(plain, request("GET", BASE + INSTANCE) + request("GET", "/healthz"))
    assert aborted() == before + 1
    error, asked = lines
    assert (error["error"], error["request_id"], asked["status"]) == ("ValueError", asked["request_id"], 499)
    assert "canary" not in str(lines)


@pytest.mark.parametrize("length", [2000, 5000], ids=["too long", "too short"])
async def test_a_body_of_another_length_than_announced_cuts_the_connection(
    plain: Gate, lines: Lines, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    lines.expected = {"answer broke off"}
    give(plain, monkeypatch, lambda: Body("application/dicom", broken(), length))
    before = aborted()
    assert b"ok" not in await all_bytes(plain, request("GET", BASE + INSTANCE) + request("GET", "/healthz"))
    assert aborted() == before + 1


async def test_a_file_that_became_shorter_cuts_the_connection(serve: Serve, lines: Lines, tmp_path: Path) -> None:
    lines.expected = {"answer broke off"}
    gate = await serve()
    await gate.store(LARGE)
    await gate.idle()
    descriptors = held()
    (blob,) = tmp_path.glob("default/blobs/*/*.dcm")
    os.truncate(blob, len(LARGE) // 2)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await gate.get(INSTANCE, STORED)
    await until(lambda: held() == descriptors)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_body_is_closed(plain: Gate, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    closed: list[int] = []
    give(plain, monkeypatch, lambda: Body("text/plain", broken(), 3000, close=lambda: closed.append(1)))
    assert (await plain.ask(method, INSTANCE)).status == 200
    assert closed == [1]


# -- parts of it


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_file_that_was_taken_and_never_sent_is_closed(
    plain: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    opened: list[int] = []

    async def pieces() -> AsyncGenerator[Piece, None]:
        opened.append(os.open(tmp_path / "file", os.O_RDONLY))
        yield FileSlice(opened[0], 0, 1)

    async def left(*_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(web.StreamResponse, "prepare", left)
    give(plain, monkeypatch, lambda: Body("text/plain", pieces(), 1))
    await all_bytes(plain, request(method, BASE + INSTANCE))
    assert len(opened) == (method == "GET")
    for descriptor in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


@pytest.mark.parametrize("length", [1, sending.WHOLE, sending.WHOLE + 1, BY_FILE, BY_FILE + 1])
async def test_a_body_of_one_piece_in_memory(plain: Gate, lines: Lines, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    data, closed = random.Random(length).randbytes(length), list[int]()

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield data

    give(plain, monkeypatch, lambda: Body("text/plain", pieces(), length, close=lambda: closed.append(1)))
    for method in ("GET", "HEAD"):
        answer = await plain.ask(method, INSTANCE)
        assert (answer.headers["Content-Length"], answer.headers["Content-Type"]) == (str(length), "text/plain")
        assert answer.body == (data if method == "GET" else b"")
    assert closed == [1, 1]
    assert [(line["status"], line["sent"], line["instances"]) for line in lines] == [(200, length, 1), (200, 0, 1)]


@pytest.mark.parametrize("length", [6, None], ids=["announced", "chunked"])
async def test_headers_wait_for_the_first_piece_and_for_nothing_else(
    plain: Gate, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield b"abc"
        await more.wait()
        yield b"def"

    give(plain, monkeypatch, lambda: Body("text/plain", pieces(), length))
    reader, writer = await plain.connect()
    writer.write(request("GET", BASE + INSTANCE))
    async with asyncio.timeout(PATIENCE):
        status, _ = await read_head(reader)
        assert (status, (await reader.readuntil(b"abc"))[-3:]) == (200, b"abc")
        more.set()
        assert (await reader.readuntil(b"def"))[-3:] == b"def"
    writer.close()


def test_what_cannot_tell_is_not_cached(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    assert not sending._cached(reading, 0, 1)
    os.close(reading)
    os.close(writing)
    (tmp_path / "file").write_bytes(bytes(10_000))
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    assert sending._cached(descriptor, 0, 10_000) in (True, False)
    os.close(descriptor)


def test_what_lies_in_memory_is_cached(tmp_path: Path) -> None:
    descriptor = os.memfd_create("test")
    os.write(descriptor, bytes(10_000))
    assert sending._cached(descriptor, 0, 10_000)
    os.close(descriptor)
