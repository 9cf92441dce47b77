"""Errors as Google's APIs tell them: ``{"error": {"code", "message", "status"}}``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

# google.rpc.Code by HTTP status, as Google's own gateways map them back.
_CODES: dict[int, tuple[str, int]] = {
    400: ("INVALID_ARGUMENT", 3),
    401: ("UNAUTHENTICATED", 16),
    403: ("PERMISSION_DENIED", 7),
    404: ("NOT_FOUND", 5),
    405: ("UNIMPLEMENTED", 12),
    408: ("DEADLINE_EXCEEDED", 4),
    409: ("ALREADY_EXISTS", 6),
    410: ("NOT_FOUND", 5),
    412: ("FAILED_PRECONDITION", 9),
    416: ("OUT_OF_RANGE", 11),
    429: ("RESOURCE_EXHAUSTED", 8),
    499: ("CANCELLED", 1),
    500: ("INTERNAL", 13),
    501: ("UNIMPLEMENTED", 12),
    502: ("UNAVAILABLE", 14),
    503: ("UNAVAILABLE", 14),
    504: ("DEADLINE_EXCEEDED", 4),
    507: ("RESOURCE_EXHAUSTED", 8),
}


def code_of(status: int) -> tuple[str, int]:
    """Name and number of google.rpc.Code for an HTTP status."""
    return _CODES.get(status, ("INVALID_ARGUMENT", 3) if status < HTTPStatus.INTERNAL_SERVER_ERROR else ("INTERNAL", 13))


def envelope(status: int, message: str) -> dict[str, Any]:
    """The body of an error answer."""
    return {"error": {"code": status, "message": message, "status": code_of(status)[0]}}


def rpc_status(status: int, message: str) -> dict[str, Any]:
    """The same inside an operation (google.rpc.Status)."""
    return {"code": code_of(status)[1], "message": message}
