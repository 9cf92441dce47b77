"""Scheme, host and prefix that a client sees: what RetrieveURL and BulkDataURI start with (PS3.18 8.2).

The first of these that is there counts:
1. `server.public_url`, whatever the request says.
2. What a trusted proxy says: Forwarded (RFC 7239), else X-Forwarded-Proto, -Host, -Port and -Prefix. Anybody can send these
   headers, so they count only when the connection comes from an address of `server.trusted_proxies`.
3. The Host header, and the scheme of the connection.

A host that could not stand in a URL counts as none. Nothing that is kept or shared is made of the result: it goes into an
answer on its way out, so a forged Host reaches only the one who sent it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import web

Network = IPv4Network | IPv6Network

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^;,"]*))')
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def public_root(request: web.Request, configured: str | None, trusted: Sequence[Network]) -> str:
    """For example ``https://dicom.example/imaging``, without a slash at its end."""
    if configured is not None:
        return configured
    scheme, host, prefix = request.scheme, "", ""
    if trusted and _is_trusted(request.remote, trusted):
        said = _forwarded(request.headers.get("Forwarded", "")) or _x_forwarded(request)
        scheme = said.get("proto", scheme)
        host = _checked(said.get("host", ""))
        prefix = said.get("prefix", "")
    return f"{scheme}://{host or _own_host(request)}{prefix}"


def _is_trusted(peer: str | None, trusted: Sequence[Network]) -> bool:
    if peer is None:
        return False
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return any(address in network for network in trusted)


def _forwarded(header: str) -> dict[str, str]:
    """``proto`` and ``host`` of the first element: what the proxy nearest to the client saw."""
    pairs = {name.lower(): quoted or plain.strip() for name, quoted, plain in _PAIR.findall(header.partition(",")[0])}
    return _valid({key: pairs[key] for key in ("proto", "host") if key in pairs})


def _x_forwarded(request: web.Request) -> dict[str, str]:
    def first(name: str) -> str:
        return request.headers.get(name, "").partition(",")[0].strip()

    host, port = first("X-Forwarded-Host"), first("X-Forwarded-Port")
    if host and port.isascii() and port.isdecimal() and ":" not in host.rpartition("]")[2]:
        host += f":{port}"
    said = {"proto": first("X-Forwarded-Proto"), "host": host, "prefix": first("X-Forwarded-Prefix").rstrip("/")}
    return _valid({key: value for key, value in said.items() if value})


def _valid(said: dict[str, str]) -> dict[str, str]:
    if said.get("proto", "https").lower() not in ("http", "https") or (said.get("prefix") and not _PREFIX.fullmatch(said["prefix"])):
        return {}
    if "proto" in said:
        said["proto"] = said["proto"].lower()
    return said


def _checked(host: str) -> str:
    return host if _HOST.fullmatch(host) else ""


def _own_host(request: web.Request) -> str:
    """Host and port that the client used, as far as it says.

    Python's dicomweb-client leaves the port out of Host. On loopback, where nobody but this process can be meant, it is put
    back; elsewhere a Host without a port may be the name of a proxy on the usual one.
    """
    host = _checked(request.host)
    if host and host not in _LOOPBACK:
        return host
    socket = request.transport.get_extra_info("sockname") if request.transport is not None else None
    if socket is None:
        return host or "localhost"
    if not host:
        return f"[{socket[0]}]:{socket[1]}" if ":" in socket[0] else f"{socket[0]}:{socket[1]}"
    return f"{host}:{socket[1]}"
