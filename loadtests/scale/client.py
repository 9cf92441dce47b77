"""A connection that costs its process little: what is timed is the server."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

PIECE = 1 << 18
FINE = (200, 204)
BASE = "/dicom-web/"
_TURNS = itertools.count(1)
"""Of all clients of this process: an `id()` would come again with the next client."""


class Answer(NamedTuple):
    """:param size: bytes of the body, as they came; of a chunked one with its chunks' heads."""

    status: int
    size: int


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str, accept: str) -> Answer:
        """Asks for a path. No two requests are the same bytes, so that nothing is answered unread."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nX-Turn: {next(_TURNS)}\r\n\r\n"
        self._socket.sendall(head.encode())
        return self._answer()

    def post(self, path: str, media: str, body: bytes) -> Answer:
        """Sends a body."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        return self._answer()

    def delete(self, path: str) -> Answer:
        """Deletes what the path names."""
        self._socket.sendall(f"DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return self._answer()

    def _answer(self) -> Answer:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        status = int(lines[0].split()[1])
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            return Answer(status, self._chunks(rest))
        length = 0 if status == 204 else int(fields[b"content-length"])
        have = len(rest)
        while have < length:
            have += len(self._some())
        return Answer(status, length)

    def _chunks(self, rest: bytes) -> int:
        """To the last chunk; no JSON ends like it by itself."""
        total = len(rest)
        while not rest.endswith(b"0\r\n\r\n"):
            some = self._some()
            rest = rest[-8:] + some
            total += len(some)
        return total

    def _some(self) -> bytes:
        data = self._socket.recv(PIECE)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


def timed(port: int, paths: Sequence[str], accept: str) -> tuple[list[float], int]:
    """Asks for paths below the base one after the other; the seconds that each took, and how many found something.

    :raises RuntimeError: when an answer is neither 200 nor 204. It does not say of what: the path names patients, made up as they are.
    """
    seconds, found = [], 0
    with closing(Client(port)) as client:
        for path in paths:
            start = time.perf_counter()
            answer = client.get(BASE + path, accept)
            seconds.append(time.perf_counter() - start)
            if answer.status not in FINE:
                raise RuntimeError(f"a search was answered {answer.status}")
            found += answer.status == FINE[0]
    return seconds, found


def together(
    port: int, paths: Sequence[str], accept: str, clients: int, ask: Callable[..., tuple[list[float], int]] = timed
) -> tuple[list[float], int]:
    """Likewise by several clients at once, each of which asks its share."""
    if clients == 1:
        return ask(port, paths, accept)
    results: list[tuple[list[float], int]] = []
    errors: list[Exception] = []

    def work(share: Sequence[str]) -> None:
        try:
            results.append(ask(port, share, accept))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(paths[number::clients],)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [second for seconds, _ in results for second in seconds], sum(found for _, found in results)
