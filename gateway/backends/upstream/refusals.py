"""What an origin's refusals, and the network's, mean to the caller.

Nothing that an origin says about an error is shown to callers: it may hold attribute values of patients, or its own URLs.
The body of a refusal travels on the error for those who can parse it (`answer_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.errors import (
    BadRequest,
    Busy,
    Conflict,
    Forbidden,
    GatewayError,
    Gone,
    NotAcceptable,
    NotAuthenticated,
    NotFound,
    OriginFailed,
    OutOfStorage,
    RangeNotSatisfiable,
    TooLarge,
    UnsupportedMediaType,
)

MOST = 64 << 10
"""Bytes of a refusal's body that are read: a store answer that names 400 instances. What is longer is cut."""

LONGEST_WAIT = 3600
"""Seconds: a Retry-After beyond an hour tells nothing that a caller can use."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an origin answered instead of what was asked for.

    :param media: the Content-Type, empty where there was none.
    :param body: its first `MOST` bytes.
    """

    status: int
    media: str
    body: bytes = field(repr=False)


def answer_of(error: GatewayError) -> Refusal | None:
    """The origin's answer behind an error; None where the origin said nothing."""
    return error.__dict__.get("answer")


def translate(name: str, refusal: Refusal, headers: Mapping[str, str], *, own: bool) -> GatewayError:
    """The error that the caller gets for a status.

    :param name: of the store, for messages.
    :param headers: of the answer: Retry-After and Content-Range count.
    :param own: the credentials are the gateway's, so 401 and 403 are no fault of the caller's.
    """
    error = _translate(name, refusal.status, headers, own)
    error.__dict__["answer"] = refusal
    return error


def _translate(name: str, status: int, headers: Mapping[str, str], own: bool) -> GatewayError:
    if status in (429, 503):
        return Busy(f"The origin of store {name!r} is busy (it answered {status}). Try again later.", retry_after(headers) or 1)
    if status in (401, 403):
        return _credentials(name, status, own)
    if status == 416:
        size = headers.get("Content-Range", "").rpartition("/")[2]
        return RangeNotSatisfiable("The range starts beyond the end of the body.", int(size) if _number(size) else 0)
    if status in _STATUSES:
        kind, message = _STATUSES[status]
        return kind(message.format(name=name))
    if 300 <= status < 400:
        return OriginFailed(
            f"The origin of store {name!r} answered with a redirect ({status}), and those are not followed. "
            "Set the store's url to the address that the origin redirects to."
        )
    return OriginFailed(f"The origin of store {name!r} answered {status}. Its own log says more.")


def _credentials(name: str, status: int, own: bool) -> GatewayError:
    if own:
        return OriginFailed(
            f"The origin of store {name!r} does not accept the gateway's credentials (it answered {status}). "
            "Check the store's credentials, and what the origin allows them."
        )
    if status == 401:
        return NotAuthenticated(f"The origin of store {name!r} does not accept these credentials.")
    return Forbidden(f"The origin of store {name!r} does not allow this with these credentials.")


_STATUSES: dict[int, tuple[Callable[[str], GatewayError], str]] = {
    400: (BadRequest, "The origin of store {name!r} does not understand this request."),
    404: (NotFound, "The origin of store {name!r} does not know this resource."),
    405: (OriginFailed, "The origin of store {name!r} does not offer this service at this address. Check the store's url and profile."),
    406: (NotAcceptable, "The origin of store {name!r} has this resource in none of the forms asked for."),
    409: (Conflict, "The origin of store {name!r} refuses this because of what it holds."),
    410: (Gone, "This resource was deleted from the origin of store {name!r}."),
    413: (TooLarge, "The origin of store {name!r} takes no request of this size."),
    415: (UnsupportedMediaType, "The origin of store {name!r} does not take bodies of this media type."),
    507: (OutOfStorage, "The origin of store {name!r} has no room left."),
}


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Seconds that Retry-After asks for, as a number or a date (RFC 9110 10.2.3), at most `LONGEST_WAIT`; None without one."""
    value = headers.get("Retry-After", "").strip()
    if _number(value):
        return min(int(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a zone that no clock has
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0, round((moment - datetime.now(UTC)).total_seconds())), LONGEST_WAIT)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
