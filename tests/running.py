"""The gateway as a process of its own, on a free loopback port, with its own data folder; ended by pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Gateway:
    """A running gateway. :param folder: its data and its log."""

    def __init__(self, folder: Path, *flags: str, port: int | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/dicom-web"
        self.log = folder / "gateway.log"
        self._flags = flags
        self._environment = os.environ | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, ready: str = "/readyz") -> None:
        """Returns when it is ready: when that path answers 200."""
        command = [sys.executable, "-m", "gateway", "serve", "--port", str(self.port), "--data", str(self.folder / "data"), *self._flags]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment, start_new_session=True)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"the gateway ended with {self._process.returncode}:\n{self.log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(self.root + ready, timeout=10):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise TimeoutError("the gateway did not become ready")

    def kill(self) -> None:
        """SIGKILL to every process of it, at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def resident(self) -> int:
        """Peak resident bytes of its largest process."""
        group = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        peaks = []
        for pid in group:
            try:
                if os.getpgid(pid) == self.pid:
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    peaks += [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
            except (ProcessLookupError, FileNotFoundError):
                continue
        return max(peaks)

    def reset_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


@contextmanager
def running(folder: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    gateway = Gateway(folder, *flags, environment=environment)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
