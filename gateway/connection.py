"""Client connections with the bounds that aiohttp's server lacks.

1. A request line with its headers must be whole `header_timeout` seconds after its first byte: 408.
2. A client that takes nothing of its answer for `stall_timeout` seconds is cut off.
3. More than `most` connections are not served: 503 at once, so that file descriptors last for those that are.
4. A client that leaves while its GET or HEAD waits for the answer's first byte cancels it: behind it an origin may work for
   nobody. Once bytes flow the next write finds out; a store or delete that has come whole is done whoever is left to hear of it.

The idle timeout, before the first request and between two, is aiohttp's own (`keepalive_timeout`). Uploads that stall are
the body reader's business, which alone knows when it wants bytes.

Nothing here sets a timer for each request: moments are written down, and `Connections.sweep` looks at them now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD

from gateway import logs
from gateway.web.repeats import RAW, Repeats, is_alone
from gateway.web.service import SERVICE

log = logs.get_logger()

FRESH = 1.0
"""Seconds in which a connection that is new, or has just been answered, is expected to bring a request; a drain waits that long
for it. Closing earlier would cut those whose request is on the way (RFC 9112 section 9.5)."""

JOINED = 64 << 10
"""Bytes of an answer that are copied to go out with its headers in one call."""

URL_BYTES, FIELD_BYTES, FIELDS = 8192, 8190, 128
"""A request's URL, a name or a value in its header, and lines of its header. RFC 9112 section 3 asks for lines of 8,000 bytes. The
first two differ so that it can be told which of them was passed."""

_HARMLESS = frozenset({"GET", "HEAD"})
"""Methods that may be cut off anywhere."""

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times in seconds, and how many connections at once."""

    header_timeout: float
    idle_timeout: float
    stall_timeout: float
    most: int

    @property
    def sweep_every(self) -> float:
        """Seconds between two sweeps: bounds hold to within a quarter, at most a second."""
        return min(1.0, self.header_timeout / 4, self.stall_timeout / 4)


class Connection(web.RequestHandler):
    """One connection; see the rules above."""

    __slots__ = (
        *("_body", "_clean", "_header_since", "_idle_since", "_owner", "_raw", "_refused"),
        *("_stuck_bytes", "_stuck_since", "_waiting", "_working"),
    )

    def __init__(self, owner: Connections, **kwargs: Any) -> None:
        super().__init__(owner.manager, **kwargs)
        self._owner = owner
        self._refused = False
        self._working = False
        self._clean = True
        self._raw: bytes | None = None
        self._body: StreamReader | None = None
        self._waiting: tuple[web.BaseRequest, asyncio.Task[Any] | None] | None = None
        self._idle_since = self._loop.time()
        self._header_since: float | None = None
        self._stuck_since: float | None = None
        self._stuck_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection, or refuses it when there are too many."""
        if not self._owner.full:
            super().connection_made(transport)
            return
        self._refused = True
        self._owner.refused += 1
        cast(asyncio.Transport, transport).write(_TOO_MANY)  # uvloop's transports are none of asyncio's classes
        transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """A refused connection was never begun."""
        if self._refused:
            return
        super().connection_lost(exc)
        if self._waiting is not None and (task := self._waiting[1]) is not None and not self._waiting[0].writer.output_size:
            task.cancel()
        if self._body is not None and not self._body.is_eof():
            # aiohttp would go on for ten seconds to wait for the rest of a body that was refused, in a place of a living client.
            self._body.set_exception(exc or ConnectionResetError("the client left"))

    def data_received(self, data: bytes) -> None:
        """Notes when bytes come that belong to no request yet: the beginning of a header."""
        if self._refused:
            return
        waits = self._clean and not self._working and self._header_since is None and not self._messages
        if waits and self._answered_again(data):
            return
        super().data_received(data)
        self._note(data, waits=waits)
        if not self._working and self._header_since is None:
            self._header_since = self._loop.time()

    # -- requests that were answered before (see `web.repeats`)

    def _note(self, data: bytes, *, waits: bool) -> None:
        """Keeps the bytes of a request that came alone. Once anything else came, nobody knows from outside where the parser is."""
        alone = waits and is_alone(data) and len(self._messages) == 1 and self._messages[0][1] is EMPTY_PAYLOAD and not self._upgraded
        self._clean, self._raw = alone, data if alone else None

    def _answered_again(self, data: bytes) -> bool:
        """Whether these bytes were answered, by what they were answered before."""
        repeats, transport, waiter = self._owner.repeats, self.transport, self._waiter
        if repeats is None or transport is None or waiter is None or waiter.done() or self._close or self._force_close:
            return False
        if transport.get_write_buffer_size() or (answer := repeats.answer(data)) is None:
            return False
        head, body = answer
        if len(body) <= JOINED:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        self._idle_since = self._loop.time()
        self._next_keepalive_close_time = self._idle_since + self._keepalive_timeout
        return True

    def begin(self, request: web.BaseRequest, body: StreamReader) -> None:
        """A header is whole, its request is on its way to a handler. Called in the task that will wait for that."""
        self._body = body
        self._waiting = (request, asyncio.current_task()) if request.method in _HARMLESS else None
        self._working = True
        self._header_since = None
        if self._raw is not None:
            request[RAW], self._raw = self._raw, None

    def owes(self, now: float) -> bool:
        """Whether an answer is being made, a header is half here, or a request may well be on the way."""
        return self._working or self._header_since is not None or now - self._idle_since < FRESH

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Sends what is left of an answer; then the connection waits for the next request."""
        self._waiting = None
        if isinstance(resp, web.HTTPException):
            resp.text = resp.reason  # the one that no middleware sees is about an odd Expect, and quotes it
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            # What is left of a body that was refused still comes in, and is thrown away: it begins no header.
            self._working = not request.content.is_eof()
            self._idle_since = self._loop.time()

    def pause_writing(self) -> None:
        """The client reads slower than the gateway sends."""
        super().pause_writing()
        self._stuck_since = self._loop.time()
        self._stuck_bytes = self._unsent()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._stuck_since = None

    def sweep(self, now: float, bounds: Bounds) -> bool:
        """Ends the connection if it passed a bound; says whether it did."""
        if self._header_since is not None and now - self._header_since > bounds.header_timeout:
            self._end_politely()
            return True
        if self._stuck_since is None:
            return False
        if (unsent := self._unsent()) < self._stuck_bytes:
            self._stuck_since, self._stuck_bytes = now, unsent
        elif now - self._stuck_since > bounds.stall_timeout and self.transport is not None:
            self.transport.abort()
            return True
        return False

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no HTTP is answered without quoting it: a request line may hold a token, or name a patient."""
        if message:
            status, message = _fault(exc)
        response = super().handle_error(request, status, exc, message)
        response.headers["Server"] = SERVICE
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What is no HTTP is the fault of clients, and that they leave is said by the line of their request."""
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError):
            log.info("request could not be parsed", error=type(error).__name__)
        elif not isinstance(error, ConnectionResetError | BrokenPipeError):
            super().log_exception(*args, **kw)

    def _unsent(self) -> int:
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def _end_politely(self) -> None:
        if self.transport is not None:
            self.transport.write(_TOO_SLOW)
        self.force_close()


def _fault(exc: BaseException | None) -> tuple[int, str]:
    """What to answer to a request that could not be parsed: aiohttp says 400 to all, and to look for a fault where there is a bound."""
    if isinstance(exc, LineTooLong) and exc.args[1] == URL_BYTES:
        return HTTPStatus.REQUEST_URI_TOO_LONG, f"the URL is longer than {URL_BYTES} bytes; ask for less in one request\n"
    if isinstance(exc, LineTooLong) or getattr(exc, "message", "") == "Too many headers received":
        text = f"the header has more than {FIELDS} lines, or one of more than {FIELD_BYTES} bytes\n"
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text
    return HTTPStatus.BAD_REQUEST, "the request is not HTTP/1.1 (RFC 9112)\n"


class Connections:
    """Makes the connections of a worker and watches over them.

    :param manager: aiohttp's server, from `AppRunner.server`.
    :param repeats: answers that are given again; None for none.
    :param kwargs: for `web.RequestHandler`.
    """

    def __init__(
        self, manager: web.Server, bounds: Bounds, loop: asyncio.AbstractEventLoop, repeats: Repeats | None = None, **kwargs: Any
    ) -> None:
        self.manager = manager
        self.repeats = repeats
        self.refused = 0
        self._bounds = bounds
        self._loop = loop
        self._kwargs = kwargs
        manager.request_factory = _beginning(manager.request_factory)

    def __call__(self) -> Connection:
        """A protocol for the next connection."""
        bounds = {"max_line_size": URL_BYTES, "max_field_size": FIELD_BYTES, "max_headers": FIELDS}
        return Connection(self, loop=self._loop, keepalive_timeout=self._bounds.idle_timeout, **bounds, **self._kwargs)

    @property
    def full(self) -> bool:
        """Whether one more connection would be too many."""
        return len(self.manager.connections) >= self._bounds.most

    def owe(self) -> bool:
        """Whether some connection has a request that was not answered to its end."""
        now = self._loop.time()
        return any(connection.owes(now) for connection in self._all())

    def sweep(self) -> None:
        """Ends what passed a bound. One line tells of all of them: an attacker shall not write the log."""
        now = self._loop.time()
        ended = sum(connection.sweep(now, self._bounds) for connection in self._all())
        if ended or self.refused:
            log.warning("connections ended early", too_slow=ended, too_many=self.refused)
            self.refused = 0

    def cut(self) -> None:
        """Cuts every connection, whatever it is doing."""
        for connection in self._all():
            connection.force_close()

    def _all(self) -> list[Connection]:
        return [connection for connection in self.manager.connections if isinstance(connection, Connection)]

    async def keep_sweeping(self) -> None:
        """Sweeps until it is cancelled."""
        while True:
            await asyncio.sleep(self._bounds.sweep_every)
            self.sweep()


def _beginning(factory: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """aiohttp's request factory; its third argument is the connection."""

    def make(message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:
        request = factory(message, payload, protocol, *rest)
        protocol.begin(request, payload)
        return request

    return make
