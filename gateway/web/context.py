"""What is known of a request while it is being answered: for metrics, the access log, and time-outs."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from gateway.backends.base import Backend
from gateway.dicomweb.resources import Resource
from gateway.metrics import Transaction


@dataclass(slots=True)
class Context:
    """:param transaction: the service that answers. :param stall_timeout: seconds without a byte before a connection is cut."""

    request_id: str
    transaction: Transaction = "other"
    stall_timeout: float = 30.0
    started: float = field(default_factory=time.perf_counter)
    first: float | None = None
    received: int = 0
    sent: int = 0
    instances: int = 0
    still: Callable[[], float | None] | None = None
    """See `Served.still`, where the answer has one."""
    backend: Backend | None = None
    """The store, where its name had to be looked up."""
    stored: Callable[[Sequence[Resource]], Awaitable[None]] | None = None
    """Is told of the instances that a request has stored."""
    closed: frozenset[str] = frozenset()
    """Studies of it that are being deleted, and take nothing."""
    whole: bytes | None = None
    """All of a body that is written in one call."""
    stranger: bool = False
    """Whether tokens are asked for, and who asks for what is open to all showed none of them."""

    def first_byte(self) -> None:
        """Notes that the answer begins."""
        if self.first is None:
            self.first = time.perf_counter()


CONTEXT: web.RequestKey[Context] = web.RequestKey("context", Context)


def context_of(request: web.Request) -> Context:
    """The context that the middleware made."""
    return request[CONTEXT]


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """What the caller calls his request; None where he calls it nothing that can be used.

    An id from outside ends up in our log: letters, digits and hyphens cannot forge a line, and are no name.
    """
    given = headers.get("X-Request-Id", "")
    return given if 8 <= len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum() else None


def new_request_id() -> str:
    """A name and no secret: to ask the kernel for one costs a search 4 % of its CPU time."""
    return f"{random.getrandbits(64):016x}"
