"""A run as a table for people, as Markdown for documents, and as JSON with everything in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from loadtests.bench.figures import BELOW, MIB, OURS, Goal, Row, Spread

WIDTH = 190
"""Columns where the output is no terminal."""

NOTE = "* the client was the limit: only CPU times say anything.  ratios: how many times better the gateway is (rate; CPU time a request)"
COLUMNS = ("workload", "server", "rate", "CPU ms/request", "CPU s/GB", "p50 ms", "peak MiB", "client", "gateway is", "goals")


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(found: Spread | None, unit: str = "") -> str:
    """The median, and how far the values lie apart."""
    if found is None:
        return "-"
    text = number(found.median) + unit
    return text if found.low == found.high else f"{text} ({number(found.low)}..{number(found.high)})"


def verdict(row: Row, goal: Goal) -> str:
    """``rate 2.1 >= 1.75: met``."""
    found = row.figure(goal)
    sign, unit = ("<=", f" {BELOW[goal.measure]}") if goal.is_bound else (">=", "x")
    wanted = f"{goal.measure} {sign} {number(goal.value)}{unit}"
    if found is None:
        return f"{wanted}: not measured"
    beyond = goal.stretch is not None and Goal(goal.against, goal.measure, goal.stretch).met(found.median)
    said = "met, and the stretch" if beyond else "met" if goal.met(found.median) else "NOT MET"
    return f"{wanted}: {said} ({number(found.median)})"


def compared(row: Row, peer: str) -> str:
    """``2.1x (1.9..2.3); CPU 3.1x``."""
    said = spread(row.ratio(peer, "rate"), "x")
    for measure, label in (("cpu", "CPU"), ("memory", "memory")):
        if (found := row.ratio(peer, measure)) is not None and (measure != "memory" or row.suite == "memory"):
            said += f"; {label} {number(found.median)}x"
    return said


def cells(row: Row, server: str) -> list[str]:
    """What the table says of one server."""
    mark = "*" if row.client_was_the_limit(server) else ""
    samples = row.samples[server]
    peak = max((sample.peak for sample in samples), default=0)
    client, dear, slow = row.client(server), row.cpu_per_gb(server), Spread.of(sample.p50 for sample in samples)
    goals = [goal for goal in row.goals if goal.against == ("" if server == OURS else server)]
    return [
        server,
        f"{spread(row.rates(server))}{mark}",
        spread(row.cpu_ms(server)),
        "-" if dear is None else number(dear.median),
        "-" if slow is None else number(slow.median),
        number(peak / MIB) if peak else "-",
        "-" if client is None else f"{client:.2f}",
        "" if server == OURS else compared(row, server),
        "\n".join(verdict(row, goal) for goal in goals),
    ]


def order(row: Row) -> list[str]:
    """Servers with figures, the gateway first."""
    return sorted((name for name, samples in row.samples.items() if samples), key=lambda name: name != OURS)


def table(rows: Iterable[Row]) -> Table:
    """All rows, a line a server."""
    made = Table(*COLUMNS, box=SIMPLE, caption=NOTE, caption_justify="left", show_lines=False, pad_edge=False)
    for row in rows:
        for server in order(row):
            made.add_row(f"{row.name}: {row.unit}/s" if server == OURS else "", *cells(row, server))
        for what in (row.wrong, row.absent):
            for server, why in what.items():
                made.add_row("", server, "wrong: " + why if what is row.wrong else why)
        made.add_section()
    return made


def shown(rows: Iterable[Row], console: Console) -> None:
    """Prints the table."""
    console.print(table(rows))


def markdown(rows: Sequence[Row], peers: Sequence[str]) -> str:
    """A line a workload: its rate, and the ratios to each peer, rate and CPU time."""
    lines = [f"| workload | gateway | {' | '.join(peers)} | goals |", "| --- " * (len(peers) + 3) + "|"]
    for row in rows:
        ours = f"{spread(row.rates(OURS))} {row.unit}/s" if row.samples.get(OURS) else "-"
        others = [compared(row, peer) if row.samples.get(peer) else row.wrong.get(peer, "") for peer in peers]
        met = "; ".join(f"{goal.against or OURS} {verdict(row, goal)}" for goal in row.goals)
        lines.append(f"| {row.name} | {ours} | {' | '.join(others)} | {met} |")
    return "\n".join(lines) + "\n"


def document(rows: Iterable[Row], machine: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    """JSON with every sample, and what follows from them."""
    made = {"machine": machine, "options": options, "rows": [_as_json(row) for row in rows]}
    return orjson.dumps(made, option=orjson.OPT_INDENT_2)


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "suite": row.suite,
        "unit": row.unit,
        "servers": {name: _server(row, name) for name in order(row)},
        "ratios": row.ratios(),
        "goals": [_goal(row, goal) for goal in row.goals],
        "wrong": row.wrong,
        "absent": row.absent,
    }


def _server(row: Row, name: str) -> dict[str, Any]:
    spreads = {"rate": row.rates(name), "cpu_ms_a_request": row.cpu_ms(name), "cpu_seconds_a_gb": row.cpu_per_gb(name)}
    return {
        **{key: None if found is None else asdict(found) for key, found in spreads.items()},
        "client_was_the_limit": row.client_was_the_limit(name),
        "samples": [asdict(sample) for sample in row.samples[name]],
    }


def _goal(row: Row, goal: Goal) -> dict[str, Any]:
    found = row.figure(goal)
    return asdict(goal) | {
        "figure": None if found is None else asdict(found),
        "met": None if found is None else goal.met(found.median),
    }
