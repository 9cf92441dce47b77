"""Sockets to listen on: who may be let near them, how workers share a port, TLS."""

from __future__ import annotations

import asyncio
import ctypes
import ipaddress
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from gateway.config import ConfigError
from gateway.sections.server import Server
from gateway.web.tokens import tokens_of

BACKLOG = 4096
"""Connections that the kernel holds until a worker takes them; the kernel cuts it to net.core.somaxconn."""

SETTLE = 0.2
"""Seconds for a connection that is half made when the port closes to become whole: a round trip to a client far away."""

_SO_ATTACH_FILTER = 26
"""asm-generic/socket.h; Python's socket module has no name for it."""

_NO_NEWCOMERS = (
    (0x30, 0, 0, 13),  # load the byte of a TCP header that holds its flags
    (0x45, 0, 1, 0x02),  # SYN?
    (0x06, 0, 0, 0),  # then drop the segment
    (0x06, 0, 0, 0xFFFFFFFF),  # else keep all of it
)
"""A socket filter (classic BPF: code, jump if true, jump if false, operand) that begins no connection and finishes those begun."""


def check(server: Server) -> None:
    """Refuses settings that would open the gateway to strangers, or cannot work, before anything is started.

    :raises ConfigError: with what to change.
    """
    local = all(ipaddress.ip_address(address).is_loopback for _, address in _addresses(server))
    if not (local or server.token_file or server.allow_anonymous):
        raise ConfigError(
            f"server.host: {server.host} can be reached from other machines and nobody is asked who they are; set server.token_file"
            " (bearer tokens, one a line), or say --allow-anonymous when something in front of the gateway checks callers"
        )
    if server.token_file is not None:
        _check_tokens(server.token_file)
    tls_context(server)
    if server.viewer is not None and not (server.viewer / "index.html").is_file():
        raise ConfigError(
            f"server.viewer: {server.viewer} holds no viewer (no index.html); `make viewer` gets OHIF and puts it into data/viewer"
        )


def tls_context(server: Server) -> ssl.SSLContext | None:
    """What `server.tls_certificate` and `server.tls_key` ask for; None is plain HTTP.

    :raises ConfigError: when the files do not hold a certificate and its key.
    """
    if server.tls_certificate is None:
        return None
    for name in ("tls_certificate", "tls_key"):
        _read(f"server.{name}", getattr(server, name))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(server.tls_certificate, server.tls_key, _no_pass_phrase)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"server.tls_certificate: not a PEM certificate with its key: {error.strerror or error}") from None
    return context


class Certificate:
    """TLS with what the files of `server.tls_certificate` and `server.tls_key` hold by now: who renews them restarts nothing.

    `context` is the one to listen with. It stays the same, and lets each handshake go on in the newest: certificate and key change
    together, under whatever handshakes are under way.

    :raises ConfigError: as `tls_context` does.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen = self._stamps()
        self._newest = self.context = tls_context(server)
        if self.context is not None:
            self.context.sni_callback = self._go_on  # called also for clients that name no server

    def renew(self) -> bool:
        """Reads files that have changed since they were last looked at; says whether there is another certificate. Reads from disk.

        :raises ConfigError: once, when they hold none; the one before stays in use.
        """
        seen, self._seen = self._seen, self._stamps()
        if seen == self._seen:
            return False
        self._newest = tls_context(self._server)
        return True

    def _go_on(self, handshake: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._newest is not None and self._newest is not context:
            handshake.context = self._newest

    def _stamps(self) -> list[tuple[int, int] | None]:
        return [_stamp(path) for path in (self._server.tls_certificate, self._server.tls_key) if path is not None]


def bind(server: Server, *, shared: bool = False) -> list[socket.socket]:
    """A bound socket for each address of `server.host`, all on one port.

    :param shared: other processes may bind the same port; the kernel spreads connections over those that listen.
    :raises ConfigError: when an address cannot be had.
    """
    port = server.port
    with ExitStack() as opened:
        sockets = []
        for family, address in _addresses(server):
            sockets.append(opened.enter_context(_bound(server, family, address, port, shared)))
            port = sockets[0].getsockname()[1]
        opened.pop_all()
        return sockets


class Port:
    """A bound socket that lets connections in.

    :param factory: makes the protocol of each connection.
    :param handshake_timeout: seconds for a TLS handshake.
    """

    def __init__(
        self, bound: socket.socket, factory: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None, handshake_timeout: float
    ) -> None:
        self._bound = bound
        self._factory = factory
        self._tls = tls
        self._patience = handshake_timeout if tls else None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begins to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._factory, sock=self._bound, ssl=self._tls, ssl_handshake_timeout=self._patience, backlog=BACKLOG
        )

    async def close(self) -> None:
        """Lets nobody in any more; safe to call twice. Takes `SETTLE` seconds.

        Who has connected, as they see it, is served. A client sees its connection whole half a round trip before the kernel
        does, and another half passes until the loop accepts it: closing in between would reset it. So beginnings are dropped
        first (their clients ask again after a second, and are refused, or taken by another worker), then those on their way
        arrive, then what waits in the kernel's queue is taken out.
        """
        if self._server is None:
            return
        server, self._server = self._server, None
        if _hold_back_newcomers(self._bound):
            await asyncio.sleep(SETTLE)
        else:
            self._bound.listen(0)  # the next best: the kernel finishes no more than one connection
        waiting = list(self._accept_all())
        self._bound.shutdown(socket.SHUT_RD)  # at once; the loops close the descriptor in their own time
        loop = asyncio.get_running_loop()
        if loop.remove_reader(self._bound.fileno()):
            await asyncio.sleep(0)  # asyncio (not uvloop) forgets those that it accepted in this very round, unless they get one more
        server.close()
        served = (loop.connect_accepted_socket(self._factory, one, ssl=self._tls, ssl_handshake_timeout=self._patience) for one in waiting)
        await asyncio.gather(*served, return_exceptions=True)

    def _accept_all(self) -> Iterator[socket.socket]:
        with suppress(OSError):  # BlockingIOError when the queue is empty; others end it as well
            while True:
                connection, _ = self._bound.accept()
                connection.setblocking(False)
                yield connection


def reserve(server: Server) -> list[socket.socket]:
    """Sockets that hold the port while workers come and go. They never listen, so no connection is lost in them.

    :raises ConfigError: when anybody listens there, even somebody who would share the port: two gateways that answer in
        turns would puzzle everybody.
    """
    for alone in bind(server):
        alone.close()
    return bind(server, shared=True)


def url(server: Server, sockets: list[socket.socket]) -> str:
    """Where a browser on this machine finds the gateway."""
    host, port = sockets[0].getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1" if sockets[0].family == socket.AF_INET else "::1"
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if server.tls_certificate else 'http'}://{name}:{port}"


def _check_tokens(path: Path) -> None:
    if not tokens_of(_read("server.token_file", path)):
        raise ConfigError(f"server.token_file: {path} holds no token, so nobody could come in; write bearer tokens into it, one a line")


def _read(key: str, path: Path) -> bytes:
    """What is in the file that a key names."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {error.strerror}") from None


def _no_pass_phrase() -> str:
    """Where OpenSSL would ask at a terminal, in every worker."""
    raise ConfigError("server.tls_key: is encrypted, and nobody is there to type a pass phrase; `openssl pkey` writes it without one")


def _stamp(path: Path) -> tuple[int, int] | None:
    """Tells a file from what it was before; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _hold_back_newcomers(listener: socket.socket) -> bool:
    """False when the kernel does not take the filter: not every one that calls itself Linux does."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _NO_NEWCOMERS)
    kept = ctypes.create_string_buffer(program)
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_NO_NEWCOMERS), ctypes.addressof(kept)))
    except OSError:
        return False
    return True


def _bound(server: Server, family: int, address: str, port: int, shared: bool) -> socket.socket:
    new = socket.socket(family, socket.SOCK_STREAM)
    try:
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        new.bind((address, port))
    except OSError as error:
        new.close()
        raise ConfigError(f"server.port: cannot listen on {server.host} port {port}: {error.strerror}") from None
    return new


def _addresses(server: Server) -> list[tuple[int, str]]:
    try:
        found = socket.getaddrinfo(server.host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"server.host: {server.host!r} is no address of this machine: {error.strerror}") from None
    return list(dict.fromkeys((int(family), str(where[0])) for family, _, _, _, where in found))
