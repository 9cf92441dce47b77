"""One try of a call to an origin, under the eyes of its breaker, its bound and its meter.

A place is held from before the connection is made until the answer's body was read or closed; refusals give theirs back at once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from gateway import logs
from gateway.backends.caller import caller
from gateway.backends.upstream import refusals
from gateway.backends.upstream.breaker import Breaker, State, Tripping
from gateway.backends.upstream.failures import Setback, broken
from gateway.backends.upstream.metering import Meter
from gateway.backends.upstream.places import Places
from gateway.backends.upstream.reading import Answer
from gateway.backends.upstream.sending import Outgoing, Stalled
from gateway.errors import GatewayError, OriginFailed
from gateway.metrics import Transaction

log = logs.get_logger()

_BUFFER = 128 << 10
"""Bytes: an answer is read ahead by at most twice this. Larger pieces cost fewer wake-ups, and page faults once they leave the
processor's cache."""

_IDLE = 30.0
"""Seconds that a connection without work is kept: less than the minute after which most servers close theirs."""

_CROWDED = frozenset({429, 503})
"""Statuses of an origin that asks for time."""
_PASSING = _CROWDED | {502, 504}
"""Statuses that another try may not meet."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that the phases of a call may take; 0 is no bound.

    :param connect: name resolution, TCP and TLS.
    :param first_byte: from the end of the request to the answer's headers.
    :param idle: without a byte inside a body, in either direction.
    :param total: the whole call, bodies included.
    """

    connect: float = 5
    first_byte: float = 60
    idle: float = 60
    total: float = 0

    def of_aiohttp(self) -> aiohttp.ClientTimeout:
        """As aiohttp wants them; `idle` takes over from `first_byte` when the headers are there."""
        return aiohttp.ClientTimeout(
            total=self.total or None, connect=self.connect or None, sock_read=self.first_byte or None, ceil_threshold=60
        )


PATIENT = Timeouts()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `ask`, however often it is tried."""

    method: str
    url: URL
    transaction: Transaction
    headers: Mapping[str, str] | None
    body: Outgoing | None
    ok: Collection[int]
    timeouts: tuple[Timeouts, aiohttp.ClientTimeout]

    @property
    def whole(self) -> bool:
        """Whether all of it can be sent (again)."""
        return self.body is None or self.body.replayable

    @property
    def patience(self) -> float | None:
        """Seconds until the headers are there, where no body has to be sent before: aiohttp begins to count anew with every byte,
        and an origin may drip headers, or say 103 again and again, for ever."""
        connect, first_byte = self.timeouts[0].connect, self.timeouts[0].first_byte
        return connect + first_byte if self.body is None and connect and first_byte else None


class Calling:
    """Where calls to one origin are made.

    :param name: of the store; in messages and metrics.
    :param own: the credentials are the gateway's own.
    :param tls: None for what the system trusts.
    """

    def __init__(self, name: str, tripping: Tripping, in_flight: int, *, own: bool, tls: ssl.SSLContext | None) -> None:
        self._name = name
        self._own = own
        self._tls = tls
        self.meter = Meter(name)
        self.breaker = Breaker(name, tripping, self._changed)
        self._places = Places(name, in_flight)
        self._session: aiohttp.ClientSession | None = None

    async def once(self, call: Call, headers: Mapping[str, str]) -> Answer | Setback:
        """Makes the call; returns when the headers of an answer are there, or none will come.

        :raises Busy: the origin is left alone, or all places are taken.
        """
        number = self.breaker.enter()
        try:
            await self._places.enter()
        except BaseException:
            self.breaker.unknown(number)
            raise
        self.meter.in_flight.inc()
        got: Answer | Setback | None = None
        try:
            got = await self._send(call, headers, number)
        finally:
            if got is None:
                self.breaker.unknown(number)
            if not isinstance(got, Answer):
                self._leave()
                if call.body is not None:
                    await call.body.stop()
        return got

    def _changed(self, state: State) -> None:
        self.meter.breaker(state)
        if state is State.OPEN:
            log.warning("the origin fails and is left alone", store=self._name)
        elif state is State.CLOSED:
            log.info("the origin answers again", store=self._name)

    def _leave(self) -> None:
        self._places.leave()
        self.meter.in_flight.dec()

    async def _send(self, call: Call, headers: Mapping[str, str], number: int) -> Answer | Setback:
        clock = asyncio.get_running_loop().time
        start = clock()
        before = call.body.sent if call.body is not None else 0
        status: int | str = "left"  # unless something else happens first
        failure: BaseException | None = None
        try:
            async with asyncio.timeout(call.patience):
                response = await self._pool().request(
                    call.method, call.url, headers=headers, data=call.body, allow_redirects=False, timeout=call.timeouts[1]
                )
            status = response.status
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            failure = error
            status = "timeout" if isinstance(error, TimeoutError) else "failed"
        finally:
            self.meter.calls(call.transaction, status).inc()
            if call.body is not None:
                self.meter.sent(call.transaction).inc(call.body.sent - before)
        if failure is not None:
            return self._failed(call, failure, number)
        seconds = clock() - max(start, call.body.ended if call.body is not None else start)
        self.meter.first_byte(call.transaction).observe(seconds)
        return await self._judge(call, response, number, seconds)

    def _failed(self, call: Call, failure: BaseException, number: int) -> Setback:
        """No answer came: because of the origin, or of whoever makes the body."""
        cause = call.body.failure if call.body is not None else None
        if cause is not None and not isinstance(cause, Stalled):
            raise cause
        setback = broken(self._name, cause or failure)
        self._tell(number, setback)
        return setback

    async def _judge(self, call: Call, response: aiohttp.ClientResponse, number: int, seconds: float) -> Answer | Setback:
        """Whether what came is an answer to what was asked."""
        coded = _coded(response, call.headers)
        accepted = response.status in call.ok and not coded
        sick = response.status in _PASSING
        ended = partial(self._ended, call.transaction, (number, seconds) if accepted else None, sick)
        answer = Answer(response, self._name, ended, "" if self._own else caller().scope)
        if accepted:
            if not sick:
                self.breaker.begun(number, seconds)
            _be_patient(response, call.timeouts[0].idle)
            return answer
        if response.status in call.ok:
            await answer.aclose()
            self.breaker.good(number)
            return Setback(OriginFailed(f"The origin of store {self._name!r} compresses what was asked for uncompressed."))
        body = await answer.beginning(refusals.MOST)
        refusal = refusals.Refusal(answer.status, answer.media, body)
        setback = Setback(
            refusals.translate(self._name, refusal, answer.headers, own=self._own),
            again=answer.status in _PASSING,
            crowded=answer.status in _CROWDED,
            after=refusals.retry_after(answer.headers),
        )
        self._tell(number, setback)
        return setback

    def _tell(self, number: int, setback: Setback) -> None:
        if setback.sick:
            self.breaker.bad(number)
        else:
            self.breaker.good(number)

    def _ended(
        self, transaction: Transaction, accepted: tuple[int, float] | None, sick: bool, read: int, failure: GatewayError | None
    ) -> None:
        """An answer was closed; what was no answer to the question has been dealt with by `once`.

        :param accepted: number of the call, and seconds to its first byte. :param sick: it is one that asks for time, and was wanted so.
        """
        if read:
            self.meter.received(transaction).inc(read)
        if accepted is None:
            return
        self._leave()
        if failure is not None or sick:
            self.breaker.bad(accepted[0])
        else:
            self.breaker.good(*accepted)

    def _pool(self) -> aiohttp.ClientSession:
        """The connections; made at first use, for they belong to the loop that runs."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._tls if self._tls is not None else True, keepalive_timeout=_IDLE)
            # aiohttp has no public way to say which kind of connection its connector makes.
            connector._factory = partial(_Connection, loop=asyncio.get_running_loop())  # type: ignore[assignment]  # ours is a ResponseHandler
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "User-Agent": "dicomweb-gateway"},
                skip_auto_headers=("Content-Type",),  # a body whose sender named none goes on without one
                auto_decompress=False,
                read_bufsize=_BUFFER,
            )
            self._session._retry_connection = False  # aiohttp would repeat a DELETE whose answer was lost, and count nothing
        return self._session

    async def aclose(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()


class _Connection(ResponseHandler):
    """A connection on which no clock runs while nothing is asked of it.

    When the rest of a body that waited for its reader turns out to be all of it, aiohttp stops the clock of that body, gives the
    connection back, and then starts the clock anew: it goes off in the pool, or in the middle of the next upload.
    """

    def resume_reading(self, resume_parser: bool = True) -> None:
        super().resume_reading(resume_parser)
        if self._payload is not None and self._payload.is_eof():
            self._drop_timeout()


def _coded(response: aiohttp.ClientResponse, asked: Mapping[str, str] | None) -> bool:
    """Whether the body has a content coding that nobody asked for."""
    coding = response.headers.get("Content-Encoding", "identity")
    return coding.lower() != "identity" and not any(name.lower() == "accept-encoding" for name in asked or ())


def _be_patient(response: aiohttp.ClientResponse, idle: float) -> None:
    connection = response.connection
    if connection is not None and connection.protocol is not None:  # else the whole body is there already
        connection.protocol.read_timeout = idle or None
