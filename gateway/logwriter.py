"""A bounded queue of lines and the thread that writes them, so that a slow reader of the log never slows a request."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

LINES = 10_000
"""Lines that wait at most: about 3 MB, or two seconds of a busy worker."""

_PAUSE = 0.02
"""Seconds between two writes. Waking the thread costs more than writing a line, so lines are collected."""


class Writer:
    """Writes lines to a file descriptor from a thread of its own.

    :param report: makes the line that tells how many lines were dropped.
    :param on_drop: called for each line that is dropped, on the thread that tried to write it.
    """

    def __init__(self, fd: int, *, report: Callable[[int], bytes], on_drop: Callable[[], None] | None = None, lines: int = LINES) -> None:
        self._fd = fd
        self._report = report
        self._on_drop = on_drop or (lambda: None)
        self._room = lines
        self._queue: deque[bytes] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queues a line, or drops it when the queue is full. Never blocks."""
        if len(self._queue) >= self._room:
            self._dropped += 1
            self._on_drop()
            return
        self._queue.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout: float) -> None:
        """Lets the thread write what is queued; gives up after `timeout` seconds and leaves the rest."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not (self._closing and not self._queue):
            self._wake.wait()
            if not self._closing:
                time.sleep(_PAUSE)
            self._wake.clear()
            try:
                self._write(self._take())
            except OSError:
                return  # nobody reads any more; the queue fills and lines are counted as dropped

    def _take(self) -> bytes:
        lines = [self._queue.popleft() for _ in range(len(self._queue))]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines.append(self._report(dropped))
        return b"".join(lines)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # the other end of a shared terminal or pipe made it non-blocking
                time.sleep(_PAUSE)
