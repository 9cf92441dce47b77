"""Several workers on one port: starts them, starts them again when they die, and ends them in order.

Each worker binds the port itself (SO_REUSEPORT), so the kernel spreads connections and a dead worker takes nothing along
but what it was answering. A worker is a fresh interpreter: nothing of the supervisor's state, threads or metrics leaks in.
Its standard input carries the settings and then stays open: end-of-file tells it that the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway import listening, logs
from gateway.backends.locks import try_lock
from gateway.config import Settings
from gateway.exits import FAILED, MISCONFIGURED, OK
from gateway.signals import on_hangup
from gateway.worker import METRICS, OWN_FOLDER

WORKER = (sys.executable, "-m", "gateway.worker")

STABLE = 30.0
"""Seconds after which a worker counts as well started: its death is then the first one again."""
TRIES = 5
"""Deaths in a row, each before `STABLE`, after which the supervisor gives up: whoever watches it shall know."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a restart; doubled from one death in a row to the next."""
ALIVE = "alive"
"""The file in a metrics folder that is locked as long as its supervisor lives."""
GRACE = 15.0
"""Seconds beyond the drain that a worker gets before it is killed."""

log = logs.get_logger()


def run(settings: Settings, *, command: Sequence[str] = WORKER, announce: Callable[[str], None] | None = None) -> int:
    """Serves with `settings.workers` processes until a signal; returns the exit code.

    :param command: starts a worker; its slot is appended.
    :raises ConfigError: when the port cannot be had.
    """
    logs.configure(settings.log.level, settings.log.format)
    sockets = listening.reserve(settings.server)
    try:
        # Port 0 means any port, but the same for all.
        port = sockets[0].getsockname()[1]
        settings = settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})
        if announce:
            announce(listening.url(settings.server, sockets))
        with metrics_folder() as folder:
            return asyncio.run(Supervisor(settings, command, folder).run())
    finally:
        for sock in sockets:
            sock.close()
        logs.close()


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """An empty folder that the workers' counters share, in memory where there is one for it.

    The variable PROMETHEUS_MULTIPROC_DIR chooses another; it is emptied, since old files would be added up for ever.
    """
    chosen = os.environ.get(METRICS)
    if chosen:
        folder = Path(chosen)
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.db"):
            old.unlink()
        yield folder
        return
    memory = "/dev/shm"  # noqa: S108 - mkdtemp makes a private folder in it
    where = memory if os.access(memory, os.W_OK) else tempfile.gettempdir()
    _sweep(Path(where))
    folder = Path(tempfile.mkdtemp(prefix=OWN_FOLDER, dir=where))
    alive = try_lock(f"{folder}/{ALIVE}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if alive is not None:
            os.close(alive)


def _sweep(where: Path) -> None:
    """Removes the folders of supervisors that were killed together with all their workers: memory that nobody else gives back."""
    for alive in where.glob(f"{OWN_FOLDER}*/{ALIVE}"):
        with suppress(OSError):  # another user's, or just going
            if (lock := try_lock(str(alive))) is not None:
                shutil.rmtree(alive.parent, ignore_errors=True)
                os.close(lock)


class Supervisor:
    """:param folder: where the workers' metrics lie."""

    def __init__(self, settings: Settings, command: Sequence[str], folder: Path) -> None:
        self._settings = settings
        self._command = command
        self._folder = folder
        self._live: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._proven = False
        self._code = OK

    async def run(self) -> int:
        """Keeps one worker in each slot until a signal, or until one cannot be kept alive."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        on_hangup(loop, self._hang_up)
        keepers = [asyncio.create_task(self._keep(slot)) for slot in range(self._settings.workers)]
        await self._stopping.wait()
        server = self._settings.server
        await asyncio.wait(keepers, timeout=server.drain_delay + server.drain_timeout + GRACE)
        for process in self._live.values():
            process.kill()
        await asyncio.gather(*keepers)
        return self._code

    def _stop(self) -> None:
        """Passes a signal on, each time it comes: the second one tells workers to hurry."""
        self._stopping.set()
        for process in self._live.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    def _hang_up(self) -> None:
        """The terminal is gone: lets workers finish, and hurries nobody."""
        if not self._stopping.is_set():
            self._stop()

    def _give_up(self, slot: int, code: int) -> None:
        log.error("giving up: a worker cannot be kept alive", slot=slot, status=code)
        self._code = code
        self._stop()

    async def _keep(self, slot: int) -> None:
        deaths = 0
        while not self._stopping.is_set():
            code, lived = await self._one_life(slot)
            if self._stopping.is_set():
                # SIGTERM itself ends only a worker that had not begun to serve.
                self._code = self._code or (OK if code in (OK, -signal.SIGTERM) else FAILED)
                break
            self._proven |= lived > STABLE
            deaths = 1 if lived > STABLE else deaths + 1
            log.error("worker died", slot=slot, status=code, seconds=round(lived, 3))
            if code == MISCONFIGURED and not self._proven:
                self._give_up(slot, MISCONFIGURED)
            elif deaths >= TRIES:
                self._give_up(slot, FAILED)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (deaths - 1)))

    async def _one_life(self, slot: int) -> tuple[int, float]:
        """Runs a worker; returns its exit code (negative for a signal) and the seconds it lived."""
        loop = asyncio.get_running_loop()
        born = loop.time()
        environment = os.environ | {METRICS: str(self._folder)}
        process = await asyncio.create_subprocess_exec(*self._command, str(slot), stdin=asyncio.subprocess.PIPE, env=environment)
        self._live[slot] = process
        try:
            if process.stdin is not None:
                process.stdin.write(pickle.dumps(self._settings))
            if self._stopping.is_set():
                process.send_signal(signal.SIGTERM)
            return await process.wait(), loop.time() - born
        finally:
            del self._live[slot]
            self._forget_live_metrics(slot)

    def _forget_live_metrics(self, slot: int) -> None:
        """Gauges of a dead worker shall not be added up; its counters stay, they count what was done."""
        for path in self._folder.glob(f"gauge_live*_{slot}.db"):
            path.unlink(missing_ok=True)
