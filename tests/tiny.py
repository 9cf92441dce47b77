"""A small application to test how processes serve, and ways to run it as a process of its own.

``python -m tests.tiny`` is run with pickled settings on standard input, as a worker is.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from gateway import logs, supervisor
from gateway.config import ConfigError, Settings
from gateway.worker import METRICS, name_metrics

TINY_WORKER = (sys.executable, "-m", "tests.tiny", "worker")
BIG: web.AppKey[list[str]] = web.AppKey("big", list[str])
ROOT = Path(__file__).parent.parent


async def build(settings: Settings, *, slot: int = 0) -> web.Application:
    """Routes: POST /count answers the number of bytes it read; GET /big sends without end; X-Big of /ready counts those.

    GET /wait never answers, and counts with them; POST /wait counts from when it is done."""
    from gateway.web.middleware import IN_FLIGHT, InFlight

    in_flight = InFlight()

    @web.middleware
    async def count(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        in_flight.enter()
        try:
            return await handler(request)
        finally:
            in_flight.leave()

    if settings.log.level == "debug":  # the tests' way to ask for a worker that cannot start
        raise ConfigError("nothing works here")
    app = web.Application(middlewares=[count])
    app[IN_FLIGHT] = in_flight
    app[BIG] = []
    app.add_routes(
        [
            web.post("/count", _count),
            web.get("/big", _big),
            web.get("/some", _some),
            web.get("/wait", _wait),
            web.post("/wait", _done),
            web.get("/who", _who),
            web.get("/ready", _ready),
            web.get("/total", _total),
        ]
    )
    return app


async def _count(request: web.Request) -> web.StreamResponse:
    total = 0
    async for chunk in request.content.iter_any():
        total += len(chunk)
    return web.Response(text=str(total))


SOME = 32 << 20


async def _big(request: web.Request) -> web.StreamResponse:
    request.app[BIG].append(request.path)
    try:
        return await _send(request, 1 << 40)
    finally:
        request.app[BIG].pop()


async def _wait(request: web.Request) -> web.StreamResponse:
    request.app[BIG].append(request.path)
    try:
        await asyncio.sleep(3600)
        return web.Response()
    finally:
        request.app[BIG].pop()


async def _done(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.2)
    request.app[BIG].append(request.path)
    return web.Response()


async def _some(request: web.Request) -> web.StreamResponse:
    return await _send(request, SOME)


async def _send(request: web.Request, length: int) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(0, length, 1 << 16):
        await answer.write(bytes(1 << 16))
    return answer


async def _who(_: web.Request) -> web.StreamResponse:
    from gateway import metrics

    metrics.LOG_DROPPED.inc()
    metrics.BUFFERED_BYTES.set(1)
    return web.Response(text=str(os.getpid()))


async def _ready(request: web.Request) -> web.StreamResponse:
    from gateway.web.middleware import IN_FLIGHT

    return web.Response(status=503 if request.app[IN_FLIGHT].draining else 200, headers={"X-Big": str(len(request.app[BIG]))})


async def _total(_: web.Request) -> web.StreamResponse:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library annotates other parts only
    return web.Response(body=generate_latest(registry))


@contextmanager
def running(settings: Settings, *what: str) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    """The application in a process of its own: the process, its host and its port.

    :param what: ``supervised`` runs it under a supervisor.
    """
    environment = os.environ | ({METRICS: str(settings.data / "metrics")} if what else {})
    command = [sys.executable, "-m", "tests.tiny", *what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as process:
        assert process.stdin
        assert process.stdout
        try:
            pickle.dump(settings, process.stdin)
            process.stdin.flush()
            url = urlsplit(process.stdout.readline().decode())
            yield process, url.hostname or "", url.port or 0
        finally:
            process.kill()


def settings(tmp_path: Path, *, workers: int = 1, log: dict[str, Any] | None = None, **server: Any) -> Settings:
    """Settings with a free port."""
    return Settings(data=tmp_path, log=log or {"level": "error"}, server={"port": 0, "workers": workers, **server})


def part10(*, study: str = "1.2", series: str = "1.2.1", instance: str = "1.2.1.1", extra: bytes = b"") -> bytes:
    """A small instance, Explicit VR Little Endian (PS3.10 7.1).

    :param extra: elements after (0020,000E).
    """
    sop_class = "1.2.840.10008.5.1.4.1.1.7"
    meta = _uid(0x0002, 0x0002, sop_class) + _uid(0x0002, 0x0003, instance) + _uid(0x0002, 0x0010, "1.2.840.10008.1.2.1")
    head = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta
    body = _uid(0x0008, 0x0016, sop_class) + _uid(0x0008, 0x0018, instance) + _uid(0x0020, 0x000D, study) + _uid(0x0020, 0x000E, series)
    return bytes(128) + b"DICM" + head + body + extra


def _uid(group: int, element: int, value: str) -> bytes:
    data = value.encode() + b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, b"UI", len(data)) + data


def receive_all(client: socket.socket) -> bytes:
    """What the other side sends until it closes."""
    data = b""
    while piece := client.recv(1 << 16):
        data += piece
    return data


def main() -> int:
    """Runs as a worker, under a supervisor, or alone."""
    chosen: Settings = pickle.load(sys.stdin.buffer)  # noqa: S301 - comes from the test
    kind = sys.argv[1] if len(sys.argv) > 1 else "alone"

    def announce(url: str) -> None:
        sys.stdout.write(url + "\n")
        sys.stdout.flush()

    if kind == "supervised":
        return supervisor.run(chosen, command=TINY_WORKER, announce=announce)
    slot = int(sys.argv[2]) if kind == "worker" else 0
    name_metrics(slot)
    from gateway.serving import serve

    logs.configure(chosen.log.level)
    return serve(
        chosen, build, slot=slot, parent=sys.stdin.fileno() if kind == "worker" else None, announce=None if kind == "worker" else announce
    )


if __name__ == "__main__":
    sys.exit(main())
