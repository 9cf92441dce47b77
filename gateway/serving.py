"""One process that serves: from settings to a drained end.

How it goes down (on SIGTERM, SIGINT, SIGHUP, or when its supervisor is gone):

1. Readiness turns 503 and every answer says ``Connection: close``; requests are served as before for `drain_delay` seconds,
   so that a load balancer can take the gateway out.
2. The port is closed, after those who are half connected were let in. What is in flight goes on, uploads included, for at
   most `drain_timeout` seconds, and connections that were busy a moment ago are heard once more. aiohttp's own shutdown
   cannot do this: it throws away what arrives on open connections, so an upload would hang and then fail.
3. Idle connections are closed, stores are closed.

A second SIGTERM or SIGINT skips the waiting.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress

import uvloop
from aiohttp import web

from gateway import listening, logs, metrics
from gateway.config import ConfigError, Settings
from gateway.connection import Bounds, Connections
from gateway.errors import GatewayError
from gateway.exits import FAILED, MISCONFIGURED, OK
from gateway.listening import Certificate, Port
from gateway.sections.server import Server
from gateway.signals import on_hangup
from gateway.web.middleware import IN_FLIGHT, InFlight
from gateway.web.repeats import REPEATS, Repeats

LAG_EVERY = 0.5
"""Seconds between two looks at how late the event loop is."""

CERTIFICATE_EVERY = 10.0
"""Seconds between two looks at whether the certificate was renewed."""

_CLEANUP = 5.0
"""Seconds for what is left after the drain: connections that are idle or have to be cut."""

_GLANCE = 0.05
"""Seconds between two looks at whether a drain is over."""

YOUNG = 10_000
"""Objects that are made before the collector looks for cycles: one instance makes hundreds, and hardly any cycle. Python's own
700 cost a store 6 % of its CPU time."""

READ_BUFFER = 256 << 10
"""Bytes of a body that wait in a connection before reading pauses (at twice that). aiohttp's own 64 KiB pause and resume for every
few pieces of an upload."""

Build = Callable[..., Awaitable[web.Application]]

log = logs.get_logger()


def serve(
    settings: Settings,
    build: Build,
    *,
    slot: int = 0,
    parent: int | None = None,
    announce: Callable[[str], None] | None = None,
) -> int:
    """Serves in this process until a signal; returns the exit code.

    :param build: makes the application, which holds `web.middleware.IN_FLIGHT`.
    :param slot: the worker's number from 0.
    :param parent: a descriptor that reads end-of-file when the supervisor is gone; with one, the port is shared.
    :param announce: is told the URL once the port is open.
    """
    _allow_many_files()
    new_loop = uvloop.new_event_loop if settings.server.loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            return runner.run(_serve(settings, build, slot, parent, announce or (lambda _: None)))
        except ConfigError as error:
            log.error("cannot start", reason=str(error))
            return MISCONFIGURED
        except Exception as error:
            log.error("worker failed", exc_info=error)
            return FAILED


class Stop:
    """The wish to end: `asked` is set by the first signal, `now` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.now = asyncio.Event()

    def ask(self) -> None:
        """Called for each signal."""
        (self.now if self.asked.is_set() else self.asked).set()

    def listen(self, parent: int | None) -> None:
        """Takes signals, and the end of the supervisor for one."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ask)
        if parent is None:
            loop.add_signal_handler(signal.SIGINT, self.ask)
            on_hangup(loop, self.asked.set)  # a terminal that goes says it twice, and is in no hurry
            return
        # A terminal sends SIGINT to the whole group; the supervisor passes on what it means.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        on_hangup(loop, lambda: None)
        loop.add_reader(parent, self._orphaned, parent)

    def _orphaned(self, parent: int) -> None:
        asyncio.get_running_loop().remove_reader(parent)
        log.warning("the supervisor is gone")
        self.ask()

    async def patience(self, awaitable: Awaitable[object], seconds: float) -> bool:
        """Waits for something; False when `seconds` are over or a second signal came first."""
        waiting = [asyncio.ensure_future(awaitable), asyncio.ensure_future(self.now.wait())]
        try:
            done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return waiting[0] in done
        finally:
            for task in waiting:
                task.cancel()


async def _serve(settings: Settings, build: Build, slot: int, parent: int | None, announce: Callable[[str], None]) -> int:
    asyncio.get_running_loop().set_exception_handler(logs.on_loop_exception)
    stop = Stop()
    stop.listen(parent)
    with ExitStack() as held:
        # Bound before the stores are opened, so that a taken port is noticed first; nothing is let in until `opened` listens.
        sockets = [held.enter_context(bound) for bound in listening.bind(settings.server, shared=parent is not None)]
        app = await _build(settings, build, slot)
        _settle_memory()
        where = listening.url(settings.server, sockets)
        async with opened(app, settings.server, sockets) as (connections, ports):
            log.info("listening", url=where, slot=slot, pid=os.getpid())
            announce(where)
            await stop.asked.wait()
            drained = await _drain(app[IN_FLIGHT], settings.server, connections, ports, stop)
    log.info("stopped", slot=slot)
    return OK if drained else FAILED


async def _build(settings: Settings, build: Build, slot: int) -> web.Application:
    try:
        return await build(settings, slot=slot)
    except GatewayError as error:
        raise ConfigError(error.message) from error
    except OSError as error:
        raise ConfigError(f"{error.filename or 'start'}: {error.strerror}") from error


async def _drain(in_flight: InFlight, server: Server, connections: Connections, ports: Sequence[Port], stop: Stop) -> bool:
    """Steps 1 and 2 of the head of this file; False when requests were left."""
    in_flight.draining = True
    connections.repeats = None  # answers have to say from now on that the connection ends
    log.info("draining", requests=in_flight.count)
    await stop.patience(asyncio.sleep(server.drain_delay), server.drain_delay + 1)
    for port in ports:
        await port.close()
    drained = await stop.patience(_quiet(in_flight, connections), server.drain_timeout) or in_flight.count == 0
    if not drained:
        log.warning("requests cut off", requests=in_flight.count)
        connections.cut()
    return drained


async def _quiet(in_flight: InFlight, connections: Connections) -> None:
    """Returns when nothing is being answered, and nobody is in the middle of asking."""
    while True:
        await asyncio.sleep(_GLANCE)  # also at first: asyncio takes some rounds from accepting a connection to making it known
        await in_flight.idle()
        if not connections.owe():
            return


async def _say_close(request: web.Request, response: web.StreamResponse) -> None:
    """While draining, tells clients to come back on a new connection, which will reach somebody else."""
    if request.app[IN_FLIGHT].draining:
        response.force_close()
        response.headers["Connection"] = "close"


@asynccontextmanager
async def opened(app: web.Application, server: Server, sockets: Sequence[socket.socket]) -> AsyncIterator[tuple[Connections, list[Port]]]:
    """The application, answering on `sockets`; closes everything at the end."""
    app.on_response_prepare.append(_say_close)
    runner = web.AppRunner(app, shutdown_timeout=_CLEANUP)
    async with AsyncExitStack() as held:
        held.push_async_callback(runner.cleanup)
        await runner.setup()
        connections = _connections(runner, server, app.get(REPEATS))
        certificate = Certificate(server)
        for watch in (connections.keep_sweeping(), watch_lag(), watch_certificate(certificate)):
            held.callback(asyncio.create_task(watch).cancel)
        ports = [Port(bound, connections, certificate.context, server.header_timeout) for bound in sockets]
        for port in ports:
            held.push_async_callback(port.close)
            await port.open()
        yield connections, ports


def _connections(runner: web.AppRunner, server: Server, repeats: Repeats | None) -> Connections:
    if runner.server is None:
        raise RuntimeError("the runner was not set up")
    bounds = Bounds(server.header_timeout, server.idle_timeout, server.stall_timeout, server.connections)
    # Requests with a Content-Encoding arrive as they were sent and are refused: inflating them would let bombs in.
    loop = asyncio.get_running_loop()
    return Connections(runner.server, bounds, loop, repeats, access_log=None, auto_decompress=False, read_bufsize=READ_BUFFER)


async def watch_lag() -> None:
    """Measures how late the loop wakes a task: what any request waits at least. Runs until it is cancelled."""
    while True:
        slept = time.perf_counter()
        await asyncio.sleep(LAG_EVERY)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, time.perf_counter() - slept - LAG_EVERY))


async def watch_certificate(certificate: Certificate) -> None:
    """Takes a renewed certificate into use. Runs until it is cancelled; at once over where there is none."""
    while certificate.context is not None:
        await asyncio.sleep(CERTIFICATE_EVERY)
        try:
            if await asyncio.to_thread(certificate.renew):
                log.info("certificate renewed")
        except ConfigError as error:
            log.error("certificate not renewed, the one before stays", reason=str(error))


def _settle_memory() -> None:
    """What start-up made stays for good. The collector need not look at it again: it took 60 ms to do so, and stopped everything."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def _allow_many_files() -> None:
    """Every connection and every open instance is a descriptor; the usual soft limit of 1024 is for another age."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
