"""Stacks of a sampling profiler, summed by the rooms of the house and the libraries below it.

A sample belongs to the innermost of its frames that is in a file of the table: what the standard library does is the business of
whoever called it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

LAYERS: tuple[tuple[str, str], ...] = (
    ("gateway/web/middleware.py", "around each request"),
    ("gateway/web/recording.py", "around each request"),
    ("gateway/web/context.py", "around each request"),
    ("gateway/web/repeats.py", "repeated requests"),
    ("gateway/web/", "services"),
    ("gateway/connection.py", "connection"),
    ("gateway/metrics.py", "metrics"),
    ("prometheus_client/", "metrics"),
    ("gateway/logs.py", "log"),
    ("gateway/logwriter.py", "log"),
    ("structlog/", "log"),
    ("gateway/streams.py", "intake"),
    ("gateway/backends/cached/", "cache"),
    ("gateway/backends/pictured/", "pictures"),
    ("gateway/pixels/", "pictures"),
    ("gateway/backends/upstream/", "origin"),
    ("gateway/backends/local/", "index and files"),
    ("gateway/backends/", "backends, shared"),
    ("gateway/dicomweb/", "messages"),
    ("gateway/dicom/", "DICOM"),
    ("aiohttp/", "aiohttp"),
    ("asyncio/", "event loop"),
    ("uvloop/", "event loop"),
)
"""Files, by how their path begins, and what stands for them. The first match counts."""

OTHER = "all else"

WAITING = re.compile(
    r"_worker \(concurrent/futures/thread\.py|\bwait \(threading\.py|Threads\._rest|Writer\._next|Writer\._run|select \(selectors\.py"
)
"""Innermost frames of threads that wait for work: some kernels show those as running."""

_FILE = re.compile(r"\(((?:[^()]*/)?[^()/]+\.py)(?::\d+)?\)$")


def layer_of(stack: str) -> str | None:
    """The layer of one stack, innermost frame last and frames parted by semicolons; None for a thread that waits.

    >>> layer_of("run (gateway/server.py:23);search (gateway/web/qido.py:31);loads (json/__init__.py:346)")
    'services'
    """
    frames = stack.split(";")
    if WAITING.search(frames[-1]):
        return None
    for frame in reversed(frames):
        found = _FILE.search(frame.strip())
        path = found.group(1) if found else ""
        for begin, layer in LAYERS:
            if path.startswith(begin):
                return layer
    return OTHER


def summed(lines: Iterable[str]) -> Counter[str]:
    """Samples by layer. :param lines: each a stack, a space and how often it was seen, as py-spy's raw format has them."""
    sums: Counter[str] = Counter()
    for stack, count in _read(lines):
        layer = layer_of(stack)
        if layer is not None:
            sums[layer] += count
    return sums


def innermost(lines: Iterable[str], most: int) -> list[tuple[str, int]]:
    """The functions that were seen innermost the most often, without line numbers."""
    seen: Counter[str] = Counter()
    for stack, count in _read(lines):
        if layer_of(stack) is not None:
            seen[re.sub(r":\d+\)$", ")", stack.rpartition(";")[2].strip())] += count
    return seen.most_common(most)


def _read(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        if stack and count.isdigit():
            yield stack, int(count)
