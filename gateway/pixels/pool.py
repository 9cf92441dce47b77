"""The pixel processes of a gateway process: jobs wait in line, each runs alone in a process, and a bad one harms nobody else.

1. A process is started when a job finds none at rest, up to `processes`. One at rest is kept; more of them end after `idle` seconds.
2. A job that takes too long, needs too much memory or crashes is lost, with its process; all others go on. One that fails in a process
   that did other jobs before is tried once more in a fresh one, so that its fate never hangs on theirs.
3. Jobs begin in the order in which they came. More than `queue` of them are not let in line.
4. Who stops waiting leaves the line at once. A job that runs already gets `GRACE` to end, for a new process costs more than most
   jobs do; then its process is killed. Until then it keeps its place, so there are never more than `processes`.

Nothing is started before the first job, and `aclose` leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

from gateway import logs, metrics
from gateway.errors import BadRequest, Busy
from gateway.metrics import PixelEnd, PixelWork
from gateway.pixels.child import COMMAND, Allowance, Child, Crashed, Late, start
from gateway.pixels.exchange import Parcel, light
from gateway.pixels.work import Input, NotDrawable, Result, Work

GRACE = 0.25
"""Seconds that a job may go on which nobody waits for any more: about what starting a process costs."""

START = 60.0
"""Seconds that a process may take to start; on an overloaded machine it takes some."""

RETRY = 30
"""Seconds of Retry-After at most."""

LONGEST = 300
"""Characters of a process's sentence that are passed on."""

Done = tuple[PixelEnd, Result]

log = logs.get_logger()


class Pool:
    """Runs pixel work. Used from one event loop.

    :param processes: at most; the CPUs that are this process's share.
    :param queue: jobs that may wait for one.
    :param seconds: of one job. :param memory: bytes of address space of one process. :param result: bytes of one result.
    :param idle: seconds after which a process ends that has nothing to do, unless it is the only one at rest.
    :param command: starts a process.
    """

    def __init__(
        self,
        *,
        processes: int = 1,
        queue: int = 256,
        seconds: float = 30.0,
        memory: int = 2 << 30,
        result: int = 1 << 30,
        idle: float = 60.0,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.processes = processes
        self._queue = queue
        self._allowed = Allowance(seconds, memory, result)
        self._idle = idle
        self._command = command
        self._free = processes
        self._line: deque[asyncio.Future[None]] = deque()
        self._resting: list[tuple[float, Child]] = []  # since when; the one that rests longest comes first
        self._children: set[Child] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._mean = 0.05  # seconds of a job, lately
        self._closed = False

    async def run(self, work: Work, inputs: Sequence[Input] = (), *, kind: PixelWork = "render") -> Result:
        """Has a process do some work. The descriptors of the inputs may be closed once this returns or raises.

        :param kind: for the metrics.
        :raises NotDrawable: when it cannot be done, or was not survived. :raises BadRequest: when something else should be asked for.
        :raises Busy: when too many jobs wait, or no process can be started.
        """
        end: PixelEnd = "left"
        try:
            end, result = await self._in_turn(work, inputs, kind)
        except Busy:
            end = "busy"
            raise
        finally:
            metrics.pixel_jobs(kind, end).inc()
        if end == "made":
            return result
        if end == "undoable" and result.facts.get("misasked") is True:
            raise BadRequest(_sentence(result.facts.get("message")))
        raise NotDrawable(self._reason(end, result, work))

    async def aclose(self) -> None:
        """Ends all processes, whatever they do; jobs that run or wait end with `Busy`."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for waiting in self._line:
            if not waiting.done():
                waiting.set_exception(_closing())
        for child in tuple(self._children):
            self._end(child)
        while self._tasks:
            await asyncio.wait(self._tasks)

    # -- the line

    async def _in_turn(self, work: Work, inputs: Sequence[Input], kind: PixelWork) -> Done:
        loop = asyncio.get_running_loop()
        await self._turn()
        place = _Place(self._leave)
        began = loop.time()
        try:
            with closing(await _packed(work, inputs)) as parcel:
                return await self._done(parcel, place)
        finally:
            seconds = loop.time() - began
            self._mean += (seconds - self._mean) / 16
            metrics.pixel_seconds(kind).observe(seconds)
            place.leave()

    async def _turn(self) -> None:
        if self._closed:
            raise _closing()
        if self._free:  # then nobody waits: `_leave` gives a place to the first in line
            self._free -= 1
            return
        if len(self._line) >= self._queue:
            after = math.ceil(len(self._line) * self._mean / self.processes)
            raise Busy(f"{len(self._line)} pictures are waiting to be made already (pixels.queue)", max(1, min(after, RETRY)))
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        metrics.PIXEL_WAITING.inc()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._leave()  # the turn had come when the caller was cancelled
            raise
        finally:
            metrics.PIXEL_WAITING.dec()
            with suppress(ValueError):  # not there any more if its turn had come
                self._line.remove(turn)

    def _leave(self) -> None:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    # -- a job

    async def _done(self, parcel: Parcel, place: _Place) -> Done:
        while True:
            child = await self._child(place)
            try:
                end, result = await child.ask(parcel)
            except asyncio.CancelledError:
                place.hold()
                self._later(self._left(child, place))
                raise
            except Late:
                self._end(child)
                return "late", Result({})
            except Crashed as crashed:
                self._end(child)
                if self._closed:
                    raise _closing() from None
                if crashed.fresh:
                    return "crashed", Result({})
                continue
            if end == "ready":  # no answer to anything: it was taken over
                self._end(child)
                return "crashed", result
            self._rest(child)
            if end != "memory" or child.jobs == 1:
                return end, result

    async def _left(self, child: Child, place: _Place) -> None:
        """What becomes of a process whose job nobody waits for any more."""
        if await child.rest(GRACE):
            self._rest(child)
        else:
            self._end(child)
        place.leave()

    def _reason(self, end: PixelEnd, result: Result, work: Work) -> str:
        facts = result.facts
        if end == "undoable":
            return _sentence(facts.get("message"))
        if end == "late":
            return f"making it took longer than {self._allowed.seconds:g} seconds, which is all that one job may take (pixels.job_seconds)"
        if end == "memory":
            return f"making it takes more memory than a pixel process may use, {self._allowed.memory >> 20} MiB (pixels.memory_bytes)"
        if end == "crashed":
            log.warning("pixel process crashed", kind=type(work).__name__)
            return "the decoder crashed on these pixels; they are damaged, or made to do harm"
        log.warning("pixel job failed", kind=type(work).__name__, error=_sentence(facts.get("error")), at=_sentence(facts.get("places")))
        return "the pixels cannot be made sense of: they are damaged, or of an unknown kind"

    # -- processes

    async def _child(self, place: _Place) -> Child:
        if self._resting:
            return self._resting.pop()[1]
        birth = self._later(self._born())
        try:
            return await asyncio.shield(birth)
        except asyncio.CancelledError:
            place.hold()
            birth.add_done_callback(partial(self._unwanted, place))
            raise

    def _unwanted(self, place: _Place, birth: asyncio.Task[Child]) -> None:
        """A process for a job that nobody waits for any more: the next one takes it."""
        if not birth.cancelled() and birth.exception() is None:
            self._rest(birth.result())
        place.leave()

    async def _born(self) -> Child:
        try:
            process, sock = await asyncio.to_thread(start, self._allowed, self._command)
        except OSError as error:
            log.error("no pixel process can be started", error=error.strerror)
            raise _unable() from None
        child = Child(process, sock, self._allowed, self._end)
        self._children.add(child)
        metrics.PIXEL_PROCESSES.inc()
        if self._closed:
            self._end(child)
            raise _closing()
        try:
            await child.ready(START)
        except (Crashed, Late) as error:
            self._end(child)
            log.error("a pixel process did not start", error=type(error).__name__)
            raise _unable() from None
        return child

    def _rest(self, child: Child) -> None:
        """A process has nothing to do."""
        if child.spent:
            self._end(child)
        elif child in self._children:  # not if it ended meanwhile
            now = asyncio.get_running_loop().time()
            self._resting.append((now, child))
            if len(self._resting) > 1 and self._sweeping is None:
                self._sweeping = asyncio.get_running_loop().call_at(self._resting[0][0] + self._idle, self._sweep)

    def _sweep(self) -> None:
        """Ends what has been at rest for long, but for one."""
        loop = asyncio.get_running_loop()
        self._sweeping = None
        while len(self._resting) > 1:
            due = self._resting[0][0] + self._idle
            if due > loop.time():
                self._sweeping = loop.call_at(due, self._sweep)
                return
            self._end(self._resting[0][1])

    def _end(self, child: Child) -> None:
        if child not in self._children:
            return
        self._children.remove(child)
        self._resting = [(since, other) for since, other in self._resting if other is not child]
        child.end()
        metrics.PIXEL_PROCESSES.dec()
        self._later(asyncio.to_thread(child.reap))

    def _later(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # it was told to whoever waits


class _Place:
    """One of the places in which jobs run; it is free when the last who holds it has left."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._holders = 1
        self._free = free

    def hold(self) -> None:
        self._holders += 1

    def leave(self) -> None:
        self._holders -= 1
        if not self._holders:
            self._free()


async def _packed(work: Work, inputs: Sequence[Input]) -> Parcel:
    """A job ready to be sent. What takes a thread is waited for, come what may: it reads descriptors that the caller will close."""
    try:
        if light(inputs):
            return Parcel(work, inputs)
        packing = asyncio.ensure_future(asyncio.to_thread(Parcel, work, inputs))
        try:
            return await asyncio.shield(packing)
        except asyncio.CancelledError:
            while not packing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([packing])
            if packing.exception() is None:
                packing.result().close()
            raise
    except OSError:
        raise Busy("there is no memory or no descriptor left to hand pixels over") from None


def _sentence(said: object) -> str:
    """What a process said, fit to be read: it may have been taken over."""
    text = " < ".join(reversed(said)) if isinstance(said, list) else str(said)
    return "".join(char if char.isprintable() else " " for char in text[:LONGEST])


def _closing() -> Busy:
    return Busy("the gateway is going down")


def _unable() -> Busy:
    return Busy("no pixel process can be started", 5)
