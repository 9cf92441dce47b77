"""A gateway of the test's own on a loopback port, asked over plain sockets: nothing corrects what a test sends."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import web
from multidict import CIMultiDict

from gateway import app, listening, serving
from gateway.config import Settings
from gateway.connection import Connections

BASE = "/dicom-web"
BOUNDARY = "here"
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
ANY = "*/*"
STORED = "application/dicom; transfer-syntax=*"
INSTANCE = "/studies/1.1/series/1.1.1/instances/1.1.1.1"
"""What `tests.backends.made.dicom` makes without arguments."""

PATIENCE = 30.0
"""Seconds until a test is sure that something does not come; none of them waits that long."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Headers = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """The sentence of an error body."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert (self.json["status"], set(self.json)) == (self.status, {"title", "status", "detail"})
        return str(self.json["detail"])


@dataclass
class Gate:
    """A gateway that serves."""

    app: web.Application
    connections: Connections
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def connect(self, **options: Any) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, **options)

    async def ask(self, method: str, path: str, headers: Headers | None = None, body: bytes | None = None, base: str = BASE) -> Answer:
        """One request on a connection of its own."""
        return await self.raw(request(method, base + path, headers, body), head=method == "HEAD")

    async def get(self, path: str, accept: str = ANY, headers: Headers | None = None, base: str = BASE) -> Answer:
        return await self.ask("GET", path, {"Accept": accept} | dict(headers or {}), base=base)

    async def post(self, body: bytes, media: str | None = MULTIPART, headers: Headers | None = None, path: str = "/studies") -> Answer:
        given = {} if media is None else {"Content-Type": media}
        return await self.ask("POST", path, given | dict(headers or {}), body)

    async def store(self, *files: bytes) -> Answer:
        """Instances of which each is stored."""
        answer = await self.post(multipart(*files))
        assert answer.status == 200, answer.body
        return answer

    async def raw(self, *pieces: bytes, head: bool = False) -> Answer:
        """The answer to bytes."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
            async with asyncio.timeout(PATIENCE):
                return await read_answer(reader, head=head)
        finally:
            writer.close()

    async def idle(self) -> None:
        """Returns when nobody is being answered or connected any more."""
        async with asyncio.timeout(PATIENCE):
            while self.connections.manager.connections:
                await asyncio.sleep(0.005)

    async def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels."""
        page = await self.get("/metrics", base="")
        lines = [line for line in page.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def request(method: str, path: str, headers: Headers | None = None, body: bytes | None = None) -> bytes:
    """A request, Host and Content-Length included where they are not given."""
    names = {name.lower() for name in headers or {}}
    lines = [f"{method} {path} HTTP/1.1".encode()]
    if "host" not in names:
        lines.append(b"Host: gate.example")
    for name, value in (headers or {}).items():
        lines.append(name.encode() + b": " + (value.encode() if isinstance(value, str) else value))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


async def read_answer(reader: asyncio.StreamReader, *, head: bool = False) -> Answer:
    """The next answer on a connection.

    :raises asyncio.IncompleteReadError: when it breaks off.
    """
    status, headers = await read_head(reader)
    if head or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("Transfer-Encoding") == "chunked":
        return Answer(status, headers, b"".join([chunk async for chunk in _chunks(reader)]))
    if "Content-Length" in headers:
        return Answer(status, headers, await reader.readexactly(int(headers["Content-Length"])))
    return Answer(status, headers, await reader.read())


async def read_head(reader: asyncio.StreamReader) -> tuple[int, CIMultiDict[str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = CIMultiDict([(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])])
    return int(lines[0].split(" ")[1]), headers


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)


def multipart(*files: bytes, boundary: str = BOUNDARY, head: str = "Content-Type: application/dicom\r\n") -> bytes:
    """The body of a store request."""
    parts = [f"--{boundary}\r\n{head}\r\n".encode() + file + b"\r\n" for file in files]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def chunked(pieces: Sequence[bytes]) -> bytes:
    """A body in chunked coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def parts_of(answer: Answer) -> list[tuple[str, bytes]]:
    """Content-Type and bytes of each part of a multipart answer."""
    boundary = answer.headers["Content-Type"].rpartition("boundary=")[2].encode()
    pieces = (b"\r\n" + answer.body).split(b"\r\n--" + boundary)
    assert pieces[-1].strip() == b"--"
    heads = [piece.partition(b"\r\n\r\n") for piece in pieces[1:-1]]
    return [(head.decode().partition("Content-Type: ")[2], data) for head, _, data in heads]


def settings(data: Path, backend: str = "local", stores: Mapping[str, Any] | None = None, **sections: Any) -> Settings:
    default = {"default": {"backend": backend, "min_free_bytes": 0, **sections.pop("store", {})}}
    server = {"port": 0, "workers": 1} | sections.pop("server", {})
    return Settings(data=data, stores=default | dict(stores or {}), server=server, **sections)


@asynccontextmanager
async def opened(chosen: Settings, tls: ssl.SSLContext | None = None) -> AsyncIterator[Gate]:
    """The gateway as `gateway.serving` serves it."""
    with (await asyncio.to_thread(listening.bind, chosen.server))[0] as bound:
        made = await app.build(chosen)
        # Nobody is far away, and a fifth of a second for each of two thousand tests is minutes; tests/test_listening.py has it.
        with patch.object(listening, "SETTLE", 0.0):
            async with serving.opened(made, chosen.server, [bound]) as (connections, _):
                yield Gate(made, connections, bound.getsockname()[1], tls)
