"""Ratios as bars, beside what they are to reach, on an axis where half and twice are equally far from one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.figures import Goal, Row, Spread

MEASURES = {"cpu": "CPU time", "memory": "memory"}
MET, MISSED, NO_GOAL = "#3b7a57", "#b5482f", "#8a97a5"
BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
"""Keeps a number legible where it meets a goal."""

Bar = tuple[str, Spread, Goal | None]
"""What it is called, its ratio, and what is to be reached."""


def bars(rows: Sequence[Row], peer: str) -> list[Bar]:
    """All ratios to a peer that have a goal, and the rates of rows without one."""
    found: list[Bar] = []
    for row in rows:
        goals = [goal for goal in row.goals if goal.against == peer and not goal.is_bound]
        wanted: list[tuple[str, Goal | None]] = [(goal.measure, goal) for goal in goals] or [("rate", None)]
        ratios = [(measure, row.ratio(peer, measure), goal) for measure, goal in wanted]
        found += [(_label(row, measure), ratio, goal) for measure, ratio, goal in ratios if ratio is not None]
    return found


def _label(row: Row, measure: str) -> str:
    return row.name if measure == "rate" else f"{row.name}: {MEASURES[measure]}"


def colour(ratio: Spread, goal: Goal | None) -> str:
    """Says whether it is reached."""
    return NO_GOAL if goal is None else MET if goal.met(ratio.median) else MISSED


def drawn(rows: Sequence[Row], folder: Path, kind: str = "svg") -> list[Path]:
    """A picture for each peer, ``ratios-PEER.svg``.

    :raises ImportError: without matplotlib, which is in the extra `bench`.
    """
    peers = dict.fromkeys(peer for row in rows for peer in row.peers)
    with_bars = {peer: found for peer in peers if (found := bars(rows, peer))}
    return [_draw(peer, found, folder / f"ratios-{peer}.{kind}") for peer, found in with_bars.items()]


def _draw(peer: str, found: Sequence[Bar], path: Path) -> Path:
    from matplotlib.figure import Figure  # slow to import, and only here

    figure = Figure(figsize=(10, 1.4 + 0.32 * len(found)), layout="constrained")
    axes = figure.subplots()
    places = list(range(len(found)))[::-1]
    medians = [ratio.median for _, ratio, _ in found]
    reach = [[ratio.median - ratio.low for _, ratio, _ in found], [ratio.high - ratio.median for _, ratio, _ in found]]
    colours = [colour(ratio, goal) for _, ratio, goal in found]
    axes.barh(places, [median - 1 for median in medians], left=1, xerr=reach, height=0.6, color=colours, ecolor="#555555")
    for place, (_, ratio, goal) in zip(places, found, strict=True):
        if goal is not None:
            axes.plot([goal.value] * 2, [place - 0.42, place + 0.42], color="black", linewidth=2)
        number = f" {ratio.median:,.0f}" if ratio.median >= 100 else f" {ratio.median:.3g}"
        axes.annotate(number, (max(1.0, ratio.high), place), va="center", fontsize=8, bbox=BEHIND)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1, color="#999999", linewidth=0.8)
    axes.set_yticks(places, [label for label, _, _ in found], fontsize=8)
    axes.margins(x=0.12)
    axes.set_xlabel(f"times as good as {peer}; black: what is to be reached")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path
