"""A pixel process, seen from the gateway: started, asked one job at a time, ended.

Every method is called on the event loop. What blocks (starting a process, waiting for its end) happens in a thread.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.pixels import exchange
from gateway.pixels.exchange import End, Malformed, Parcel
from gateway.pixels.process import ENVIRONMENT
from gateway.pixels.work import Result

COMMAND = (sys.executable, "-m", "gateway.pixels.process")

PASSED = ("PATH", "PYTHON", "LD_", "LANG", "LC_", "TZ", "TMPDIR", "VIRTUAL_ENV")
"""How the names of environment variables begin that a process gets: none that may hold a secret."""


class Crashed(Exception):
    """The process is gone, or answers nonsense.

    :param fresh: whether the job was its first one, so that no earlier one can have harmed it.
    """

    def __init__(self, fresh: bool) -> None:
        super().__init__()
        self.fresh = fresh


class Late(Exception):
    """A job took longer than it may."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a process may use.

    :param seconds: of a job. :param memory: bytes of address space. :param result: bytes of a result.
    """

    seconds: float
    memory: int
    result: int


class Child:
    """A running process.

    :param gone: is called when it ended by itself while it had nothing to do.
    """

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket, allowed: Allowance, gone: Callable[[Child], None]) -> None:
        self.jobs = 0
        """How many it was given."""
        self.spent = False
        """Whether it ran out of memory once: what is left of it is in pieces."""
        self._process = process
        self._socket = sock
        self._allowed = allowed
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[tuple[End, Result]] | None = self._loop.create_future()
        self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def busy(self) -> bool:
        """Whether its answer is still to come."""
        return self._answer is not None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ready(self, seconds: float) -> None:
        """Waits until it has imported what it needs.

        :raises Crashed: when it does not start. :raises Late: when it takes too long.
        """
        end, _ = await self._answered(seconds)
        if end != "ready":
            raise Crashed(fresh=True)

    async def ask(self, parcel: Parcel) -> tuple[End, Result]:
        """What comes of a job. Who is cancelled here decides what becomes of the process: see `rest`.

        :raises Crashed: when the process does not survive it. :raises Late: when it takes too long.
        """
        if not exchange.silent(self._socket):  # it ended, or answers what nobody asked
            raise Crashed(fresh=False)
        self.jobs += 1
        self._answer = self._loop.create_future()
        try:
            parcel.send(self._socket)
        except OSError:
            self._answer = None
            raise Crashed(self.jobs == 1) from None
        return await self._answered(self._allowed.seconds)

    async def rest(self, seconds: float) -> bool:
        """Waits for an answer that nobody wants any more; whether it came, so that the process can be given another job."""
        if self._answer is None:
            return True
        self._answer = self._loop.create_future()
        try:
            await self._answered(seconds)
        except (Crashed, Late):
            return False
        return True

    async def _answered(self, seconds: float) -> tuple[End, Result]:
        answer = self._answer
        if answer is None:
            raise Crashed(self.jobs <= 1)
        timer = self._loop.call_later(seconds, _set, answer, Late())
        try:
            return await answer
        finally:
            timer.cancel()

    def _readable(self) -> None:
        try:
            said = exchange.received(self._socket, self._allowed.result)
        except BlockingIOError:
            return
        except (Malformed, OSError):
            said = None
        answer = self._answer
        if said is None or answer is None:
            self._loop.remove_reader(self._socket.fileno())
            if answer is None:
                self._gone(self)
            else:
                _set(answer, Crashed(self.jobs <= 1))
            return
        self._answer = None
        self.spent |= said[0] == "memory"
        if not answer.done():
            answer.set_result(said)

    def end(self) -> None:
        """Ends the process at once, whatever it does; `reap` follows."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        if self._answer is not None:
            _set(self._answer, Crashed(self.jobs <= 1))
        self._process.kill()

    def reap(self) -> None:
        """Waits for the end; blocks, but not for long."""
        self._process.wait()


def _set(answer: asyncio.Future[tuple[End, Result]], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # nobody may be left to hear it


def start(allowed: Allowance, command: Sequence[str] = COMMAND) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Starts a process; blocks for some milliseconds.

    :raises OSError: when the machine has no process, descriptor or memory left.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    numbers = (theirs.fileno(), os.getpid(), allowed.memory, allowed.result, round(allowed.seconds + 0.5))
    environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED)} | ENVIRONMENT
    null = subprocess.DEVNULL
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [*command, *map(str, numbers)], stdin=null, stdout=null, stderr=null, pass_fds=(theirs.fileno(),), env=environment
            )
        except BaseException:
            ours.close()
            raise
    return process, ours
