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

from gateway.config import ConfigError
from gateway.sections.server import Server

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
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(server.tls_certificate, server.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"server.tls_certificate: not a PEM certificate with its key: {error.strerror or error}") from None
    return context


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
