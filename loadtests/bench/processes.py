"""Servers as processes: started on CPUs of their own, looked at from outside, ended by pid."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A process that listens. :param pids: of it, and of servers behind it that work for it."""

    port: int
    pids: tuple[int, ...]

    def tree(self) -> list[int]:
        """All its processes, children of children included."""
        return [pid for root in self.pids for pid in descendants(root)]

    def cpu(self) -> float:
        """Seconds of CPU time that they have used."""
        return sum(map(_cpu, self.tree()))

    def resident(self) -> int:
        """Bytes of memory that they hold now."""
        return sum(_status(pid, "VmRSS") for pid in self.tree())

    def peak(self) -> int:
        """The most bytes that each held since `reset_peak`, summed."""
        return sum(_status(pid, "VmHWM") for pid in self.tree())

    def reset_peak(self) -> None:
        """Begins anew with what they hold now."""
        for pid in self.tree():
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:  # it ended in between, or belongs to another user: nginx's workers may
                continue


def descendants(pid: int) -> list[int]:
    """A process and its children, and theirs; whichever thread started them."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += descendants(int(child))
    except OSError:  # it ended while we looked
        pass
    return found


def _cpu(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the kernel's clock of a process: CLOCK_PROCESS_CPUTIME_ID of another pid
    except OSError:
        return 0.0


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


@contextmanager
def started(
    command: Iterable[str], port: int, log: Path, *, cpus: Iterable[int], patience: int = START_SECONDS, **environment: str
) -> Iterator[Server]:
    """A server that may run on these CPUs; its lines go to `log`.

    :raises RuntimeError: when it ends before it listens; the message has its last lines.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(list(command), stdout=out, stderr=out, env=_environment(environment), start_new_session=True)  # noqa: S603 - our own servers
    try:
        os.sched_setaffinity(process.pid, set(cpus))
        _wait(port, process, log, patience)
        yield Server(port, (process.pid,))
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without settings of the gateway, which would change what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")} | dict(more)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path, patience: int) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"a server ended with {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}:\n{log.read_text(errors='replace')[-2000:]}")
