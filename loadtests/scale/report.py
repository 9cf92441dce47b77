"""The figures as a table, and as a curve of what a search costs over how much there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from loadtests.scale.asked import CASES
from loadtests.scale.measure import Figures, Measured

GOAL = 10.0
SHOWN = (
    "PatientID",
    "PatientName, inside",
    "StudyDate, a year",
    "ModalitiesInStudy",
    "StudyDescription, inside",
    "OHIF's list, first page",
    "OHIF's list, last page",
    "all instances, far",
    "metadata of a study",
)
"""Searches with a line in the plot; all of them would hide each other."""


def table(results: Sequence[Measured]) -> str:
    """Markdown: the searches at each size, one client, median and CPU; then the largest size in full; then the rest."""
    sizes = [f"{one.instances:,}" for one in results]
    lines = ["Median of one client / CPU of the server, milliseconds, by instances in the store.", "", *_head("search", *sizes)]
    lines += [_row(name, *(_figure(one, name, 1, _median_and_cpu) for one in results)) for name in _names(results)]
    lines += ["", f"In full, at {sizes[-1]} instances.", ""]
    lines += _head("search", "p50", "p99", "CPU", "16 clients: p50", "p99", "CPU", "a second", "goal")
    lines += [_full(results[-1], name) for name in _names(results)]
    lines += ["", "Besides.", "", *_head("", *sizes)]
    lines += [_row(name, *map(value, results)) for name, value in _BESIDES.items()]
    return "\n".join(lines) + "\n"


_BESIDES: dict[str, Callable[[Measured], str]] = {
    "studies": lambda one: f"{one.studies:,}",
    "start to ready, s": lambda one: f"{one.ready:.2f}",
    "memory idle, MiB": lambda one: f"{one.idle / 2**20:.0f}",
    "memory after all searches, MiB": lambda one: f"{one.after / 2**20:.0f}",
    "memory after 10,000 more, MiB": lambda one: f"{one.later / 2**20:.0f}",
    "index, MB": lambda one: f"{one.index / 1e6:.0f}",
    "index, bytes an instance": lambda one: f"{one.index / one.instances:.0f}",
    "stored a second": lambda one: f"{one.store_rate:.0f}",
    "CPU of an instance stored, ms": lambda one: f"{one.store_cpu:.2f}",
}


def _names(results: Sequence[Measured]) -> list[str]:
    return [case.name for case in CASES if any(case.name in one.cases for one in results)]


def _figure(one: Measured, name: str, clients: int, say: Callable[[Figures], str]) -> str:
    found = one.cases.get(name, {}).get(clients)
    return "" if found is None else say(found)


def _full(one: Measured, name: str) -> str:
    texts = [_figure(one, name, clients, _times) or " |  | " for clients in (1, 16)]
    rate = _figure(one, name, 16, lambda figures: f"{figures.rate:.0f}")
    alone = one.cases.get(name, {}).get(1)
    met = "" if alone is None else "met" if alone.p50 < GOAL else f"{alone.p50 / GOAL:.1f} x"
    return _row(name, *texts, rate, met)


def _median_and_cpu(figures: Figures) -> str:
    return f"{figures.p50:.2f} / {figures.cpu:.2f}"


def _times(figures: Figures) -> str:
    return f"{figures.p50:.2f} | {figures.p99:.2f} | {figures.cpu:.2f}"


def _head(*names: str) -> list[str]:
    return [_row(*names), "|---" + "|---:" * (len(names) - 1) + "|"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def plot(results: Sequence[Measured], path: Path) -> None:
    """CPU time over instances, both on logarithmic axes: what a median shows besides is who else was using the machine."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for name in SHOWN:
        points = [(one.instances, one.cases[name][1].cpu) for one in results if 1 in one.cases.get(name, {})]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.axhline(GOAL, color="black", linestyle=":", label="goal")
    axes.set(xscale="log", yscale="log", xlabel="instances in the store", ylabel="CPU of the server for a request, ms")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(loc="upper left", fontsize="small", ncols=2)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
