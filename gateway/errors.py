"""Every way a request can fail, drawn once.

    GatewayError                       any failure that the caller is told about
    ├── BadRequest                400  the request cannot be parsed
    │   ├── MalformedMultipart    400  framing of PS3.18 8.6.1.2 is broken
    │   ├── InvalidUID            400  a UID in the URL is not one (PS3.5 9.1)
    │   └── InvalidQuery          400  a search parameter is wrong (PS3.18 8.3.4)
    ├── NotAuthenticated          401  no or wrong credentials
    ├── Forbidden                 403  the credentials are good, and not for this
    ├── NotFound                  404  never heard of it
    ├── NotAcceptable             406  it exists, but not in any form that was asked for
    ├── RequestTimeout            408  the client stopped sending
    ├── Gone                      410  it was here, and was deleted
    ├── Conflict                  409  the stored state forbids it
    ├── TooLarge                  413  a configured limit would be passed
    ├── UnsupportedMediaType      415  a body of a kind that is not stored
    ├── RangeNotSatisfiable       416  a Range beyond the end
    ├── NotImplementedHere        501  what the API of this route has, and this gateway does not
    ├── OriginFailed              502  the origin behind a store cannot be reached, or answered with an error or with nonsense
    ├── Busy                      503  try again later (Retry-After)
    ├── StoreUnavailable          503  the store cannot be trusted with writes at the moment
    ├── OriginTimeout             504  the origin behind a store took too long
    └── OutOfStorage              507  no room left
    InstanceError                      one instance is refused; its neighbours go on (a FailureReason, never a status)

An error knows its HTTP status and nothing else of HTTP: `web.middleware` turns it into an answer. Messages are
read by people and end up in logs, so they never carry attribute values of a patient, only tags, offsets, limits and UIDs.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.dicomweb.reasons import Reason


class GatewayError(Exception):
    """A failure that the caller is told about.

    :param message: one sentence that says what is wrong and, where possible, what to do next.
    """

    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(GatewayError):
    """The request cannot be parsed."""

    status = 400


class MalformedMultipart(BadRequest):
    """The multipart framing is broken (PS3.18 8.6.1.2, RFC 2046 5.1)."""


class InvalidUID(BadRequest):
    """A UID in a URL is not one (PS3.5 9.1)."""


class InvalidQuery(BadRequest):
    """A search parameter has a value that no rule of PS3.18 8.3.4 gives a meaning."""


class NotAuthenticated(GatewayError):
    """No credentials, or wrong ones."""

    status = 401


class Forbidden(GatewayError):
    """The caller is known, and not allowed to do this."""

    status = 403


class NotFound(GatewayError):
    """The resource is not known here."""

    status = 404


class NotAcceptable(GatewayError):
    """The resource exists, but in none of the representations that were asked for (PS3.18 8.7.8)."""

    status = 406


class RequestTimeout(GatewayError):
    """The client stopped sending in the middle of its request."""

    status = 408


class Conflict(GatewayError):
    """The stored state forbids the request."""

    status = 409


class Gone(GatewayError):
    """The resource was stored here once, and was deleted."""

    status = 410


class TooLarge(GatewayError):
    """A configured limit would be passed; the message names the setting."""

    status = 413


class UnsupportedMediaType(GatewayError):
    """A request body of a kind that cannot be stored (PS3.18 10.5.1)."""

    status = 415


class RangeNotSatisfiable(GatewayError):
    """A Range that starts beyond the end of the body (RFC 9110 15.5.17).

    :param size: the length of the whole body in bytes, for the Content-Range of the answer.
    """

    status = 416

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class NotImplementedHere(GatewayError):
    """The API of this route has it, and this gateway does not."""

    status = 501


class OriginFailed(GatewayError):
    """The origin behind a store cannot be reached, or what it answered is an error of its own or cannot be understood."""

    status = 502


class OriginTimeout(GatewayError):
    """The origin behind a store did not answer in time."""

    status = 504


class Busy(GatewayError):
    """A bound on concurrent work is reached.

    :param retry_after: seconds after which another try makes sense.
    """

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnavailable(GatewayError):
    """The store cannot be trusted with writes at the moment, for example after a failed fsync."""

    status = 503


class OutOfStorage(GatewayError):
    """There is no room for what was sent (PS3.18 10.5.3: 507)."""

    status = 507


class InstanceError(Exception):
    """One instance cannot be stored; its neighbours are not touched.

    :param reason: the Failure Reason (0008,1197) of PS3.18 Annex I.
    :param message: what is wrong and where, without any attribute value.
    :param tag: the element at fault as an integer (0x0020000D), None where no element is.
    """

    def __init__(self, reason: Reason, message: str, tag: int | None = None) -> None:
        at = f"({tag >> 16:04X},{tag & 0xFFFF:04X}): " if tag is not None else ""
        super().__init__(at + message)
        self.reason = reason
        self.tag = tag
        self.message = at + message
        self.sop: str | None = None
        self.sop_class: str | None = None
