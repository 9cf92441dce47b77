"""What the gateway costs between a client and an origin, beside nginx and a bare aiohttp proxy doing the same.

    python -m loadtests.passthrough                 # nginx takes part when it is installed
    python -m loadtests.passthrough --size 1GiB --repeats 5 --json out.json

The proxies are pinned to one CPU and asked in turn; the client and an origin that does nothing share another. The gateway is
the full product: checks, metrics, limits and access log on, its cache off. Only ratios of one run count, and where the client
is the limit only CPU seconds do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import ByteSize, TypeAdapter

from loadtests.null_origin import instance

GATEWAY, NGINX, BARE, DIRECT = "gateway", "nginx", "bare aiohttp", "direct"
SMALL = 300
"""Small requests in a round."""
BOUNDARY = "passing"
RECEIVE = 1 << 20
START_SECONDS = 30
STUDY = "/dicom-web/studies/1.2.3"
SEARCH = "/dicom-web/studies?PatientID=P1"


@dataclass(frozen=True)
class Server:
    """A process that listens."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU time that it has used, its children included."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(_cpu(pid) for pid in (self.pid, *map(int, children)))


def _cpu(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)  # the kernel's clock of a process: CLOCK_PROCESS_CPUTIME_ID of another pid


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def started(port: int, cpu: int, *command: str, log: Path) -> Iterator[Server]:
    """A server pinned to a CPU; ended by pid."""
    with log.open("ab") as out:
        process = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdout=out, stderr=out)  # noqa: S603, S607 - our own servers
    try:
        _wait(port, process, log)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"a server ended:\n{log.read_text()[-2000:]}")
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


_NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000; client_max_body_size 0;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off; proxy_buffer_size 256k; proxy_buffers 8 256k; }} }} }}
"""


def servers(held: ExitStack, folder: Path, size: int, cpus: tuple[int, int]) -> dict[str, Server]:
    """All that take part, by name."""
    front, back = cpus
    log = folder / "log"
    python = (sys.executable, "-m")

    def start(port: int, cpu: int, *command: str) -> Server:
        return held.enter_context(started(port, cpu, *command, log=log))

    origin, bare, gateway = free_port(), free_port(), free_port()
    found = {DIRECT: start(origin, back, *python, "loadtests.null_origin", "--port", str(origin), "--size", str(size))}
    url = f"http://127.0.0.1:{origin}"
    found[BARE] = start(bare, front, *python, "loadtests.bare_proxy", "--port", str(bare), "--origin", url)
    settings = folder / "gateway.toml"
    settings.write_text(f'[stores.default]\nbackend = "upstream"\nurl = "{url}/dicom-web"\ncache = false\n')
    flags = ("serve", "--config", str(settings), "--data", str(folder / "data"), "--port", str(gateway), "--workers", "1")
    found[GATEWAY] = start(gateway, front, *python, "gateway", *flags)
    if program := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        port = free_port()
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=user, origin=origin, port=port))
        found[NGINX] = start(port, front, program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"))
    return found


# -- a client that costs little


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(RECEIVE)

    def get(self, path: str, accept: str = "*/*") -> int:
        """Bytes of the answer's body.

        :raises RuntimeError: when it is not 200.
        """
        self._sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())
        return self._answer()

    def post(self, path: str, media: str, pieces: list[bytes]) -> int:
        """Sends a body; bytes of the answer's body."""
        length = sum(map(len, pieces))
        self._sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n".encode())
        for piece in pieces:
            self._sock.sendall(piece)
        return self._answer()

    def _answer(self) -> int:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, rest = data.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"not 200: {data[:500]!r}")
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return self._drain(int(value), len(rest))
        return self._chunks(rest)

    def _drain(self, length: int, have: int) -> int:
        while have < length:
            have += self._fill()
        return length

    def _chunks(self, rest: bytes) -> int:
        """The last chunk is looked for at the end of what came: no body of this benchmark ends like it by itself."""
        total = len(rest)
        while not rest.endswith(b"0\r\n\r\n"):
            rest = rest[-8:] + self._some()
            total += len(rest)
        return total

    def _some(self) -> bytes:
        return bytes(self._buffer[: self._fill()])

    def _fill(self) -> int:
        count = self._sock.recv_into(self._buffer)
        if not count:
            raise RuntimeError("the connection was closed")
        return count

    def close(self) -> None:
        """Ends it."""
        self._sock.close()


# -- cases


@dataclass(frozen=True)
class Case:
    """:param run: does it once, and returns how many bytes were moved. :param requests: that this takes."""

    name: str
    run: Callable[[Client], int]
    requests: int = 1


def cases(size: int) -> list[Case]:
    """What is measured."""
    data = instance(size)
    pieces = [f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), data, f"\r\n--{BOUNDARY}--\r\n".encode()]
    media = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'

    def up(client: Client) -> int:
        client.post("/dicom-web/studies", media, pieces)
        return len(data)

    def small(client: Client) -> int:
        return sum(client.get(SEARCH, "application/dicom+json") for _ in range(SMALL))

    def down(client: Client) -> int:
        return client.get(STUDY, 'multipart/related; type="application/dicom"; transfer-syntax=*')

    return [Case("down", down), Case("up", up), Case("small search", small, SMALL)]


@dataclass
class Figures:
    """Of one case and server, a value a round."""

    seconds: list[float]
    cpu: list[float]
    bytes: int = 0


def measured(found: dict[str, Server], size: int, repeats: int) -> dict[str, dict[str, Figures]]:
    """Every case on every server, in turn; the first round is not counted."""
    results = {case.name: {name: Figures([], []) for name in found} for case in cases(size)}
    for case in cases(size):
        for turn in range(repeats + 1):
            for name, server in found.items():
                client = Client(server.port)
                cpu, start = server.cpu(), time.perf_counter()
                moved = case.run(client)
                figures = results[case.name][name]
                if turn:
                    figures.seconds.append((time.perf_counter() - start) / case.requests)
                    figures.cpu.append((server.cpu() - cpu) / case.requests)
                    figures.bytes = moved // case.requests
                client.close()
    return results


def table(results: dict[str, dict[str, Figures]]) -> str:
    """For people: medians, and the ratio of the gateway to each."""
    lines = [f"{'case':14}{'server':14}{'a request':>12}{'MB/s':>9}{'CPU':>11}{'CPU s/GB':>10}   gateway is"]
    for case, by_server in results.items():
        ours = statistics.median(by_server[GATEWAY].seconds)
        for name, figures in by_server.items():
            seconds, cpu = statistics.median(figures.seconds), statistics.median(figures.cpu)
            rate, dear = figures.bytes / seconds / 1e6, cpu / figures.bytes * 1e9
            lines.append(
                f"{case:14}{name:14}{seconds * 1e3:>9.2f} ms{rate:>9.0f}{cpu * 1e3:>8.2f} ms{dear:>10.2f}   {seconds / ours:.2f} x as fast"
            )
    return "\n".join(lines)


def main() -> None:
    """Runs the benchmark and prints it."""
    parser = argparse.ArgumentParser(description="What the gateway costs between a client and an origin.")
    parser.add_argument("--size", type=TypeAdapter(ByteSize).validate_python, default=256 << 20, help="bytes of the large instance")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cpus", default="0,1", help="of the proxies, and of client and origin")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    front, back = map(int, chosen.cpus.split(","))
    os.sched_setaffinity(0, {back})
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        results = measured(servers(held, Path(folder), chosen.size, (front, back)), chosen.size, chosen.repeats)
    sys.stdout.write(table(results) + "\n")
    if chosen.json is not None:
        chosen.json.write_bytes(orjson.dumps({case: {n: vars(f) for n, f in by.items()} for case, by in results.items()}))


if __name__ == "__main__":
    main()
