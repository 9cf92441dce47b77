"""How a worker serves and goes down: real processes, real sockets."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from gateway import metrics, serving
from gateway.config import ConfigError
from gateway.exits import FAILED, MISCONFIGURED, OK
from tests import tiny

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
CHUNKED = b"POST /count HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n"
PATIENCE = 30
"""Seconds until a test is sure that something does not come; none of them waits that long."""


def connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=PATIENCE)


def ask(client: socket.socket, path: bytes) -> bytes:
    """An answer's head; its body is small and comes along."""
    client.sendall(GET % path)
    return client.recv(1 << 16)


def wait_until_refused(host: str, port: int) -> None:
    while True:
        try:
            socket.create_connection((host, port), timeout=0.05).close()
        except ConnectionRefusedError:
            return
        except TimeoutError:  # it is closing: nothing is begun any more
            continue


def wait_until_draining(client: socket.socket) -> bytes:
    """Asks on one connection until an answer says that it is the last one."""
    while True:
        answer = ask(client, b"/ready")
        if b"Connection: close" in answer:
            return answer


@LOOPS
def test_an_upload_in_flight_ends_well_after_sigterm_and_new_connections_are_refused(tmp_path: Path, loop: str) -> None:
    with tiny.running(tiny.settings(tmp_path, loop=loop)) as (process, host, port), connect(host, port) as upload:
        upload.sendall(CHUNKED + b"4\r\nhalf\r\n")
        with connect(host, port) as other:
            process.send_signal(signal.SIGTERM)
            assert wait_until_draining(other).startswith(b"HTTP/1.1 503")
        wait_until_refused(host, port)
        for _ in range(3):
            upload.sendall(b"4\r\nmore\r\n")
        upload.sendall(b"0\r\n\r\n")
        answer = tiny.receive_all(upload)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"16")
        assert b"Connection: close" in answer
        assert process.wait(PATIENCE) == OK


def test_a_client_between_two_requests_is_answered_once_more(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path)) as (process, host, port), connect(host, port) as kept:
        ask(kept, b"/who")
        process.send_signal(signal.SIGTERM)
        wait_until_refused(host, port)
        answer = ask(kept, b"/who")
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in answer
        assert process.wait(PATIENCE) == OK


@LOOPS
def test_while_draining_the_port_stays_open_for_the_delay(tmp_path: Path, loop: str) -> None:
    with tiny.running(tiny.settings(tmp_path, loop=loop, drain_delay=60)) as (process, host, port):
        with connect(host, port) as kept:
            ask(kept, b"/ready")
            process.send_signal(signal.SIGTERM)
            assert b" 503 " in wait_until_draining(kept)
        with connect(host, port) as new:
            assert ask(new, b"/who").startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)  # the second one ends the delay
        assert process.wait(PATIENCE) == OK


def test_a_request_that_outlives_the_drain_is_cut_off_and_the_exit_code_says_so(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path, drain_timeout=0.2)) as (process, host, port), connect(host, port) as upload:
        upload.sendall(CHUNKED)
        ask_alive(host, port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == FAILED


def test_a_second_signal_skips_the_waiting(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path)) as (process, host, port), connect(host, port) as upload, connect(host, port) as other:
        upload.sendall(CHUNKED)
        ask(other, b"/ready")
        process.send_signal(signal.SIGINT)
        wait_until_draining(other)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == FAILED


def test_a_terminal_that_goes_lets_uploads_end(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path)) as (process, host, port), connect(host, port) as upload:
        upload.sendall(CHUNKED + b"4\r\nhalf\r\n")
        ask_alive(host, port)
        process.send_signal(signal.SIGHUP)
        wait_until_refused(host, port)
        process.send_signal(signal.SIGHUP)  # the kernel and a shell both say so
        upload.sendall(b"4\r\nmore\r\n0\r\n\r\n")
        assert tiny.receive_all(upload).endswith(b"8")
        assert process.wait(PATIENCE) == OK


def ask_alive(host: str, port: int) -> None:
    with connect(host, port) as client:
        assert ask(client, b"/ready").startswith(b"HTTP/1.1 200")


def test_a_store_that_cannot_be_opened_is_exit_code_2(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path, log={"level": "debug"})) as (process, host, _):
        assert host == ""
        assert process.wait(PATIENCE) == MISCONFIGURED


def test_a_taken_port_is_exit_code_2(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        tiny.running(tiny.settings(tmp_path, port=taken.getsockname()[1])) as (process, _, _),
    ):
        assert process.wait(PATIENCE) == MISCONFIGURED


@LOOPS
def test_https(tmp_path: Path, loop: str) -> None:
    certificate, key = make_certificate(tmp_path)
    with tiny.running(tiny.settings(tmp_path, loop=loop, tls_certificate=certificate, tls_key=key)) as (process, host, port):
        trust = ssl.create_default_context(cafile=str(certificate))
        with connect(host, port) as plain, trust.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(GET % b"/ready")
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
            assert client.version() in ("TLSv1.2", "TLSv1.3")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == OK


class Watched:
    """Stands in for a `listening.Certificate` whose files change with each look; the last one lets the watch end."""

    def __init__(self) -> None:
        self.context: object = "TLS"
        self.found: list[bool | ConfigError] = [False, ConfigError("half of it"), True]

    def renew(self) -> bool:
        found = self.found.pop(0)
        if not self.found:
            self.context = None
        if isinstance(found, ConfigError):
            raise found
        return found


async def test_a_watch_says_what_became_of_a_certificate_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(serving, "CERTIFICATE_EVERY", 0)
    monkeypatch.setattr(serving.log, "info", lambda event: said.append((event, "")))
    monkeypatch.setattr(serving.log, "error", lambda event, reason: said.append((event, reason)))
    await serving.watch_certificate(Watched())  # type: ignore[arg-type]  # stands in for a Certificate
    assert said == [("certificate not renewed, the one before stays", "half of it"), ("certificate renewed", "")]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run([*request, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key


async def test_lag_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: asyncio.Queue[float] = asyncio.Queue()
    monkeypatch.setattr(metrics.LOOP_LAG_SECONDS, "observe", seen.put_nowait)
    monkeypatch.setattr(serving, "LAG_EVERY", 0.001)
    watching = asyncio.create_task(serving.watch_lag())
    assert await seen.get() >= 0
    assert await seen.get() >= 0
    watching.cancel()


async def test_patience_ends_with_the_work_the_time_or_the_second_signal() -> None:
    stop = serving.Stop()
    assert await stop.patience(asyncio.sleep(0), PATIENCE)
    assert not await stop.patience(asyncio.sleep(PATIENCE), 0.01)
    stop.ask()
    waiting = asyncio.create_task(stop.patience(asyncio.sleep(PATIENCE), PATIENCE))
    await asyncio.sleep(0)
    stop.ask()
    assert not await waiting
