"""What a failure between the gateway and an origin means: to the caller, and for another try.

aiohttp's errors end here, because they carry addresses and sometimes the headers of the request.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

import aiohttp

from gateway.backends.upstream.sending import Stalled
from gateway.errors import GatewayError, OriginFailed, OriginTimeout


@dataclass(frozen=True, slots=True)
class Setback:
    """A try that came to nothing.

    :param error: what the caller gets when no other try follows.
    :param again: another try may end better.
    :param untouched: the origin has not begun to act on the request, so that even what changes things may be sent again.
    :param crowded: the origin is there and asks for time (429, 503), after `after` seconds if it said so.
    """

    error: GatewayError
    again: bool = False
    untouched: bool = False
    crowded: bool = False
    after: int | None = None

    @property
    def sick(self) -> bool:
        """Whether it speaks against the origin's health, rather than against this request."""
        return self.again or isinstance(self.error, OriginTimeout)


def broken(name: str, error: BaseException, *, body: bool = False) -> Setback:
    """The meaning of an exception of aiohttp, asyncio or the network.

    :param name: of the store, for messages.
    :param body: the answer had begun.
    """
    if body:
        return Setback(_in_body(name, error))
    if isinstance(error, TimeoutError | Stalled):
        return _late(name, error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _unreachable(name, "its name cannot be resolved. Check the store's url, and DNS.")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Setback(_untrusted(name, error), untouched=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _unreachable(name, f"{_cause(error)}. Check the store's url, and whether the origin runs.")
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return Setback(OriginFailed(f"The origin of store {name!r} closed the connection before it answered."), again=True)
    return Setback(OriginFailed(f"What the origin of store {name!r} answers is not proper HTTP. Check scheme and port of the store's url."))


def _in_body(name: str, error: BaseException) -> GatewayError:
    if isinstance(error, TimeoutError):
        return OriginTimeout(f"The origin of store {name!r} stopped sending in the middle of its answer.")
    return OriginFailed(f"The origin of store {name!r} broke off in the middle of its answer.")


def _late(name: str, error: BaseException) -> Setback:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        message = f"The origin of store {name!r} cannot be reached: no connection within connect_timeout. Check that it runs."
        return Setback(OriginTimeout(message), again=True, untouched=True)
    if isinstance(error, Stalled):
        return Setback(OriginTimeout(f"The origin of store {name!r} stopped taking the request."))
    return Setback(OriginTimeout(f"The origin of store {name!r} did not answer in time."))


def _unreachable(name: str, why: str) -> Setback:
    return Setback(OriginFailed(f"The origin of store {name!r} cannot be reached: {why}"), again=True, untouched=True)


def _cause(error: aiohttp.ClientConnectorError) -> str:
    """The system's word for it; what asyncio says instead holds addresses."""
    number = error.os_error.errno
    return os.strerror(number).lower() if number else "no connection"


def _untrusted(name: str, error: BaseException) -> OriginFailed:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return OriginFailed(
            f"The certificate of store {name!r}'s origin is not trusted: {cause.verify_message}. "
            "Check the host name in the store's url, or name the authority that signed it."
        )
    return OriginFailed(f"TLS with the origin of store {name!r} fails. Check that its port speaks TLS, and the client certificate.")
