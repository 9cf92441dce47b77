"""What the network does, as aiohttp tells it; tests/backends/upstream/test_resilience.py lets it really happen."""

from __future__ import annotations

import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from gateway.backends.upstream.failures import Setback, broken
from gateway.backends.upstream.sending import Stalled
from gateway.errors import NotFound, OriginFailed, OriginTimeout

KEY = ConnectionKey("inside.example", 443, True, True, None, None, None)


def unverified() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate (_ssl.c:1006)")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words", "again", "untouched"),
    [
        (aiohttp.ConnectionTimeoutError("to https://inside.example"), OriginTimeout, "connect_timeout", True, True),
        (aiohttp.SocketTimeoutError("inside.example"), OriginTimeout, "in time", False, False),
        (TimeoutError(), OriginTimeout, "in time", False, False),
        (Stalled(), OriginTimeout, "stopped taking", False, False),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "x")), OriginFailed, "name cannot be resolved", True, True),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "x")), OriginFailed, "connection refused", True, True),
        (aiohttp.ClientConnectorError(KEY, OSError("inside")), OriginFailed, "no connection", True, True),
        (aiohttp.ClientConnectorCertificateError(KEY, unverified()), OriginFailed, "self-signed certificate", False, True),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")), OriginFailed, "speaks TLS", False, True),
        (aiohttp.ServerDisconnectedError(), OriginFailed, "closed the connection", True, False),
        (aiohttp.ClientOSError(errno.EPIPE, "inside.example"), OriginFailed, "closed the connection", True, False),
        (ConnectionResetError(), OriginFailed, "closed the connection", True, False),
        (aiohttp.ClientPayloadError("inside.example"), OriginFailed, "not proper HTTP", False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_failure_says_what_to_do_and_whether_to_try_again(
    error: Exception, kind: type[Exception], words: str, again: bool, untouched: bool
) -> None:
    setback = broken("pacs", error)
    assert type(setback.error) is kind
    assert words in setback.error.message
    assert "'pacs'" in setback.error.message
    assert "inside" not in setback.error.message
    assert (setback.again, setback.untouched) == (again, untouched)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(aiohttp.SocketTimeoutError(), OriginTimeout), (TimeoutError(), OriginTimeout), (aiohttp.ClientPayloadError(), OriginFailed)],
)
def test_a_body_that_breaks_is_never_tried_again(error: Exception, kind: type[Exception]) -> None:
    setback = broken("pacs", error, body=True)
    assert type(setback.error) is kind
    assert "in the middle of its answer" in setback.error.message
    assert not setback.again


@pytest.mark.parametrize(
    ("setback", "sick"),
    [
        (Setback(OriginFailed("reset"), again=True), True),
        (Setback(OriginTimeout("late")), True),
        (Setback(OriginFailed("500")), False),
        (Setback(NotFound("404")), False),
    ],
)
def test_not_every_error_speaks_against_the_origins_health(setback: Setback, sick: bool) -> None:
    assert setback.sick is sick
