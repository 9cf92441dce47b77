"""The table at the end: requests, failures and megabytes a second of each kind of request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BUSY = ", told to wait"
"""Ends the name of a request that was answered with 503 or 429 and Retry-After: neither a success nor a failure of its kind."""

OVERLOADED = """\
The load generator was the limit: locust used more than 90 % of a CPU, so the rates are its own and the times too long.
Spread it with --processes 2 (or more, on another machine if the server needs these CPUs), and measure again."""


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted under one name.

    :param moved: bytes of bodies in both directions, as the users saw them (what came compressed counts decompressed).
    :param median: milliseconds until the whole answer was there.
    """

    name: str
    requests: int
    failures: int
    moved: int
    median: float


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of request; `busy` are the times that it was told to come back later."""

    kind: str
    requests: int
    failures: int
    busy: int
    moved: int
    median: float | None = None


def rows(counts: Iterable[Count]) -> list[Row]:
    """One row a kind, in the order of their names. What was told to wait stands in the row of its kind, and in no rate."""
    found: dict[str, Row] = {}
    waits: dict[str, int] = {}
    for count in counts:
        kind = count.name.removesuffix(BUSY)
        if kind != count.name:
            waits[kind] = waits.get(kind, 0) + count.requests
        else:
            found[kind] = Row(kind, count.requests, count.failures, 0, count.moved, count.median)
    for kind, busy in waits.items():
        row = found.get(kind, Row(kind, 0, 0, 0, 0))
        found[kind] = Row(kind, row.requests, row.failures, busy, row.moved, row.median)
    return [found[kind] for kind in sorted(found)]


def table(found: Sequence[Row], seconds: float) -> str:
    """Lines for people. :param seconds: from the first request of the run to the last one."""
    seconds = max(seconds, 0.001)
    every = Row("all", *(sum(getattr(row, name) for row in found) for name in ("requests", "failures", "busy", "moved")))
    head = f"{'kind':<28}{'requests':>10}{'req/s':>10}{'failures':>10}{'waits':>8}{'MB/s':>10}{'median ms':>11}"
    return "\n".join((head, "-" * len(head), *(_line(row, seconds) for row in (*found, every))))


def _line(row: Row, seconds: float) -> str:
    median = "" if row.median is None else f"{row.median:.0f}"
    figures = f"{row.requests:>10}{row.requests / seconds:>10.1f}{row.failures:>10}{row.busy:>8}{row.moved / seconds / 1e6:>10.1f}"
    return f"{row.kind:<28}{figures}{median:>11}".rstrip()
