from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway import listening
from gateway.config import ConfigError
from gateway.sections.server import Server
from tests.test_serving import make_certificate


def server(**values: Any) -> Server:
    return Server(**{"port": 0} | values)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.7", "::1", "localhost"])
def test_loopback_needs_no_credentials(host: str) -> None:
    listening.check(server(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_addresses_need_credentials_or_a_word(host: str, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one\n")
    with pytest.raises(ConfigError, match="--allow-anonymous"):
        listening.check(server(host=host))
    listening.check(server(host=host, allow_anonymous=True))
    listening.check(server(host=host, token_file=tmp_path / "tokens"))


def test_tokens_that_let_nobody_in_are_refused_before_the_start(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    with pytest.raises(ConfigError, match=rf"server\.token_file: {path}: No such file"):
        listening.check(server(token_file=path))
    path.write_text("\n \n")
    with pytest.raises(ConfigError, match=r"server\.token_file: .* holds no token"):
        listening.check(server(token_file=path))
    with pytest.raises(ConfigError, match=r"server\.token_file: .*Is a directory"):
        listening.check(server(token_file=tmp_path))


def test_a_host_that_is_no_address_is_named() -> None:
    with pytest.raises(ConfigError, match=r"server\.host: 'no such host'"):
        listening.check(server(host="no such host"))


def test_files_that_are_no_certificate_are_refused_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"server\.tls_certificate"):
        listening.check(server(tls_certificate=tmp_path / "pem", tls_key=tmp_path / "pem"))
    with pytest.raises(ConfigError, match=r"server\.tls_certificate: .*No such file"):
        listening.check(server(tls_certificate=tmp_path / "none", tls_key=tmp_path / "none"))


def test_the_file_that_is_missing_is_the_one_that_is_named(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    key.unlink()
    with pytest.raises(ConfigError, match=rf"server\.tls_key: {key}: No such file"):
        listening.check(server(tls_certificate=certificate, tls_key=key))


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    lock: list[str | Path] = ["openssl", "pkey", "-in", key, "-out", tmp_path / "locked", "-aes128", "-passout", "pass:secret"]
    subprocess.run(lock, check=True)
    with pytest.raises(ConfigError, match=r"server\.tls_key: is encrypted"):
        listening.check(server(tls_certificate=certificate, tls_key=tmp_path / "locked"))


def test_a_renewed_certificate_is_taken_and_half_of_one_is_not(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        make_certificate(tmp_path / name)
    certificate, key = (Path(shutil.copy(tmp_path / "old" / name, tmp_path)) for name in ("certificate.pem", "key.pem"))
    watched = listening.Certificate(server(tls_certificate=certificate, tls_key=key))
    assert shown(watched) == peer(tmp_path / "old")
    assert not watched.renew()
    (tmp_path / "new" / "certificate.pem").replace(certificate)
    with pytest.raises(ConfigError, match="key values mismatch"):
        watched.renew()
    assert shown(watched) == peer(tmp_path / "old")
    assert not watched.renew()  # said once
    (tmp_path / "new" / "key.pem").replace(key)
    assert watched.renew()
    assert shown(watched) == ssl.PEM_cert_to_DER_cert(certificate.read_text())
    key.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        watched.renew()
    assert shown(watched) == ssl.PEM_cert_to_DER_cert(certificate.read_text())


def peer(folder: Path) -> bytes:
    """The certificate in a folder, as a client gets it."""
    return ssl.PEM_cert_to_DER_cert((folder / "certificate.pem").read_text())


def shown(watched: listening.Certificate) -> bytes | None:
    """The certificate that a client gets which names no server."""
    assert watched.context is not None
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, gateway = trusting.wrap_bio(back, there), watched.context.wrap_bio(there, back, server_side=True)
    for side in (client, gateway, client):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.getpeercert(binary_form=True)


def test_without_tls_there_is_no_certificate_to_renew() -> None:
    watched = listening.Certificate(server())
    assert watched.context is None
    assert not watched.renew()


def test_a_certificate_with_the_key_of_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, _ = make_certificate(tmp_path)
    _, key = make_certificate(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"server\.tls_certificate"):
        listening.check(server(tls_certificate=certificate, tls_key=key))


def test_all_addresses_of_a_name_get_the_same_port() -> None:
    sockets = listening.bind(server(host="localhost"))
    assert len({bound.getsockname()[1] for bound in sockets}) == 1
    for bound in sockets:
        bound.close()


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match=r"server\.port: cannot listen"):
        listening.bind(server(port=taken.getsockname()[1]))


def test_a_reserved_port_is_shared_by_workers_and_takes_no_connection() -> None:
    [reserved] = listening.reserve(server())
    port = reserved.getsockname()[1]
    workers = [listening.bind(server(port=port), shared=True)[0] for _ in range(2)]
    for worker in workers:
        worker.listen()
        worker.setblocking(False)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)):
            pass
    accepted = 0
    for worker in workers:
        while True:
            try:
                connection, _ = worker.accept()
            except BlockingIOError:
                break
            connection.close()
            accepted += 1
        worker.close()
    reserved.close()
    assert accepted == 20


def test_a_port_that_somebody_shares_already_is_not_reserved() -> None:
    [first] = listening.reserve(server())
    port = first.getsockname()[1]
    [worker] = listening.bind(server(port=port), shared=True)
    worker.listen()
    with first, worker, pytest.raises(ConfigError, match=r"server\.port"):
        listening.reserve(server(port=port))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:"), ("::", "http://[::1]:")],
)
def test_the_url_is_one_that_works_on_this_machine(host: str, expected: str) -> None:
    [bound] = listening.bind(server(host=host))
    with bound:
        assert listening.url(server(host=host), [bound]) == expected + str(bound.getsockname()[1])


def test_the_url_says_https_when_it_is(tmp_path: Path) -> None:
    [bound] = listening.bind(server())
    with bound:
        assert listening.url(server(tls_certificate="c", tls_key="k"), [bound]).startswith("https://")


class Greeting(asyncio.Protocol):
    """Says one word to everybody."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"hello")  # type: ignore[attr-defined]  # uvloop's transports are none of asyncio's classes
        transport.close()


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_who_waits_in_the_queue_when_the_port_closes_is_served(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> list[bytes]:
        [bound] = listening.bind(server())
        with bound:
            address = bound.getsockname()
            port = listening.Port(bound, Greeting, None, 1)
            await port.open()
            # The loop does not turn here: all of them wait in the kernel.
            clients = [socket.create_connection(address, timeout=30) for _ in range(5)]
            await port.close()
            await port.close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=30)
            words = [await asyncio.to_thread(client.recv, 10) for client in clients]
            for client in clients:
                client.close()
            return words

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(scenario()) == [b"hello"] * 5


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_who_was_taken_in_just_before_the_port_closes_is_served(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> list[bytes]:
        [bound] = listening.bind(server())
        with bound:
            port = listening.Port(bound, Greeting, None, 1)
            await port.open()
            clients = [socket.create_connection(bound.getsockname(), timeout=30) for _ in range(5)]
            await asyncio.sleep(0)  # one turn: accepted, and on asyncio not made yet
            await port.close()
            words = [await asyncio.to_thread(client.recv, 10) for client in clients]
            for client in clients:
                client.close()
            return words

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(scenario()) == [b"hello"] * 5


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_while_the_port_closes_nobody_new_is_let_in_only_to_be_cut(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> None:
        [bound] = listening.bind(server())
        with bound, socket.socket() as newcomer:
            address = bound.getsockname()
            port = listening.Port(bound, Greeting, None, 1)
            await port.open()
            closing = asyncio.create_task(port.close())
            await asyncio.sleep(0)
            newcomer.setblocking(False)
            newcomer.connect_ex(address)
            await closing
            with pytest.raises(OSError, match="not connected"):  # its first segment was dropped; it will ask again, and be refused
                newcomer.getpeername()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


def test_a_kernel_without_socket_filters_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_SO_ATTACH_FILTER", 9999)

    async def scenario() -> None:
        [bound] = listening.bind(server())
        with bound:
            port = listening.Port(bound, Greeting, None, 1)
            await port.open()
            with socket.create_connection(bound.getsockname(), timeout=30) as client:
                await port.close()
                assert await asyncio.to_thread(client.recv, 10) == b"hello"

    asyncio.run(scenario())
