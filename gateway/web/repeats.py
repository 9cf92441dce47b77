"""Answers that are given once more without reading their request twice.

Viewers and worklists ask in the very same bytes all day, and of a small answer out of the cache nine tenths of the CPU time went
into reading the request, finding its route and building the answer's headers (117 us; 34 us in an aiohttp server that does
nothing else). What stands here takes a third of the latter.

1. Only answers of which a backend says that it would give them again (`Served.still`), and it is asked each time.
2. The key is every byte of the request's head: its URL, who asks, what he accepts. Whoever sends the same bytes is told the same;
   where a proxy is trusted to say on whose behalf it asks, what it says is only believed of that proxy, and nothing is kept.
3. Only GET without a body, alone in what came, on a connection that waits for a request and has nothing left to send
   (`connection` sees to that).
4. Where callers show tokens, an answer is given so for a second at most; then the list of tokens is looked at again.
5. It is kept when it is asked for the second time: of a request with a trace id of its own there never is one.
6. It is counted and logged like any other.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import HttpVersion11, web

from gateway.backends.held import LARGE
from gateway.metrics import Transaction
from gateway.web.conditional import http_date
from gateway.web.context import CONTEXT, Context, new_request_id, request_id_of
from gateway.web.recording import record

BOUND = 32 << 20
"""Bytes of all answers that are kept, as if none shared its body with another."""

OVERHEAD = 2048
"""Bytes that an answer counts beside its own."""

HEAD = 4096
"""Bytes of a request's head; those of browsers have a thousand."""

SEEN = 4096
"""Requests that are remembered to have been answered once."""

TOKENS_SECONDS = 1.0
"""See rule 4."""

RAW: web.RequestKey[bytes] = web.RequestKey("raw", bytes)
"""All that came of a request, where it came alone and has no body."""

_OWN = frozenset({"date", "age", "x-request-id"})
"""Headers that are made anew for each answer."""

_KEPT = frozenset({200, 204, 304})


@dataclass(frozen=True, slots=True)
class Repeat:
    """An answer.

    :param head: its status line and headers, but those that are made anew.
    :param still: see `Served.still`.
    :param until: when it is given up whatever that says, as `time.monotonic` counts.
    :param request_id: what the caller calls his request; None where he leaves that to us.
    """

    head: bytes
    body: bytes
    still: Callable[[], float | None]
    until: float
    status: int
    transaction: Transaction
    route: str
    instances: int
    aged: bool
    request_id: str | None

    @property
    def cost(self) -> int:
        """Bytes that it takes."""
        return OVERHEAD + len(self.head) + len(self.body)


class Repeats:
    """The answers of one process.

    :param trusting: whether some proxy is believed what it forwards.
    :param tokens: whether callers show tokens.
    """

    def __init__(self, *, trusting: bool = False, tokens: bool = False, bound: int = BOUND) -> None:
        self.bound = bound
        self.taken = 0
        self._trusting = trusting
        self._lasting = TOKENS_SECONDS if tokens else float("inf")
        self._kept: OrderedDict[bytes, Repeat] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()

    def answer(self, raw: bytes) -> tuple[bytes, bytes] | None:
        """Head and body of what a request in these bytes is answered; None where it has to be read."""
        found = self._kept.get(raw)
        if found is None:
            return None
        started = time.perf_counter()
        age = found.still() if time.monotonic() < found.until else None
        if age is None:
            self._drop(raw)
            return None
        self._kept.move_to_end(raw)
        request_id = found.request_id or new_request_id()
        context = Context(request_id, found.transaction, started=started, sent=len(found.body), instances=found.instances)
        record("GET", context, found.status, found.route)
        own = f"Date: {http_date(int(time.time()))}\r\nX-Request-Id: {request_id}\r\n"
        return found.head + (f"{own}Age: {int(age)}\r\n\r\n" if found.aged else f"{own}\r\n").encode(), found.body

    def note(self, request: web.Request, response: web.StreamResponse, context: Context) -> None:
        """Keeps an answer whose headers are complete, if it may be given again."""
        raw, still = request.get(RAW), context.still
        if raw is None or still is None or response.status not in _KEPT or not self._fits(request, response):
            return
        body = response.body if isinstance(response, web.Response) else context.whole
        if body is None and response.status != 200:
            body = b""
        if not isinstance(body, bytes) or len(body) > LARGE or not self._seen_before(raw):
            return
        route = request.match_info.route.resource
        self._put(
            raw,
            Repeat(
                _head(response),
                body,
                still,
                time.monotonic() + self._lasting,
                response.status,
                context.transaction,
                route.canonical if route else "none",
                context.instances,
                "Age" in response.headers,
                request_id_of(request.headers),
            ),
        )

    def _fits(self, request: web.Request, response: web.StreamResponse) -> bool:
        if request.method != "GET" or request.version != HttpVersion11 or not response.keep_alive or response.chunked:
            return False
        if "access_token" in request.query_string:  # no credential of a URL stands in a key
            return False
        return not (self._trusting and _is_forwarded(request.headers))

    def _seen_before(self, raw: bytes) -> bool:
        key = hash(raw)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return False

    def _put(self, raw: bytes, repeat: Repeat) -> None:
        self._drop(raw)
        if repeat.cost > self.bound:
            return
        self._kept[raw] = repeat
        self.taken += repeat.cost + len(raw)
        while self.taken > self.bound:
            self._drop(next(iter(self._kept)))

    def _drop(self, raw: bytes) -> None:
        if (old := self._kept.pop(raw, None)) is not None:
            self.taken -= old.cost + len(raw)


def _is_forwarded(names: Iterable[str]) -> bool:
    return any(name.lower().startswith(("forwarded", "x-forwarded-")) for name in names)


def _head(response: web.StreamResponse) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name.lower() not in _OWN]
    return "\r\n".join([*lines, ""]).encode()


def is_alone(data: bytes) -> bool:
    """Whether bytes look like the head of one GET and nothing else."""
    return len(data) <= HEAD and data.startswith(b"GET ") and data.endswith(b"\r\n\r\n")


def noted(repeats: Repeats | None, request: web.Request, response: web.StreamResponse) -> None:
    """`Repeats.note` where there is something to note."""
    context = request.get(CONTEXT)
    if repeats is not None and context is not None and context.still is not None:
        repeats.note(request, response, context)


REPEATS: web.AppKey[Repeats] = web.AppKey("repeats", Repeats)
