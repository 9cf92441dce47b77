"""What is known of a request while it is being answered: for metrics, the access log, and time-outs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from aiohttp import web

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

    def first_byte(self) -> None:
        """Notes that the answer begins."""
        if self.first is None:
            self.first = time.perf_counter()


CONTEXT: web.RequestKey[Context] = web.RequestKey("context", Context)


def context_of(request: web.Request) -> Context:
    """The context that the middleware made."""
    return request[CONTEXT]
