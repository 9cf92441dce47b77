"""Ratios of a run held against those of an earlier one, so that what was won is not lost unnoticed.

    {"tolerance": 0.25,
     "tolerances": {"NAME OF A WORKLOAD": {"tolerance": 0.4, "reason": "why its ratios spread more"}},
     "options": {...},
     "ratios": {"NAME OF A WORKLOAD": {"orthanc": {"rate": 2.5, "cpu": 3.1}}}}

A ratio that is lower than the one here by more than the tolerance is a loss. It is checked by hand, before a release: on a machine
where others work figures say little, and a test that sometimes fails for nothing teaches people not to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from loadtests.bench.figures import RATIOS, Row

FILE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.25
"""A quarter: between two runs on a quiet virtual machine ratios differ by up to a fifth."""

FINE, LOST, INCOMPLETE = 0, 1, 2
"""Exit codes."""

SAME = ("pinned", "quick", "studies")
"""Options that a run has to share with its baseline: with others ratios are others."""

Ratios = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By workload, peer and measure."""


@dataclass
class Comparison:
    """What a check found, in sentences."""

    lost: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    compared: int = 0

    @property
    def code(self) -> int:
        """The exit code: a loss outweighs what could not be compared, and nothing compared is nothing learned."""
        return LOST if self.lost else INCOMPLETE if self.missing or not self.compared else FINE

    def __str__(self) -> str:
        said = [*self.lost, *self.missing, f"{self.compared} ratios compared: {len(self.lost)} lost, {len(self.missing)} missing."]
        return "\n".join(said)


def ratios(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """All of a run that may be held against another.

    Memory counts only where it is what a workload is about; anywhere else it is that of the workloads before.
    """
    found = {}
    for row in rows:
        names = [name for name in RATIOS if name != "memory" or row.suite == "memory"]
        by_peer = {peer: {name: round(one[name], 3) for name in names if name in one} for peer, one in row.ratios().items()}
        if by_peer:
            found[row.name] = by_peer
    return found


def unlike(known: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Options that a run does not share with its baseline, in sentences."""
    was = known.get("options", {})
    others = [name for name in SAME if name in was and was[name] != options.get(name)]
    return [f"{name}: the baseline has {was[name]}, this run {options.get(name)}" for name in others]


def compare(known: Mapping[str, Any], now: Ratios, ran: Iterable[str], there: Iterable[str]) -> Comparison:
    """Holds the ratios of a run against those of a baseline.

    :param ran: names of the workloads that were asked for; others are not missed.
    :param there: names of all workloads; what the baseline has beyond them was renamed, and would never be compared again.
    """
    found = Comparison()
    before: Ratios = known.get("ratios", {})
    found.missing += [f"{name}: only the baseline knows it" for name in before if name not in set(there)]
    for name in ran:
        for peer, measures in before.get(name, {}).items():
            for measure, value in measures.items():
                _compare(found, known, (name, peer, measure), value, now.get(name, {}).get(peer, {}).get(measure))
    return found


def _compare(found: Comparison, known: Mapping[str, Any], place: tuple[str, str, str], before: float, after: float | None) -> None:
    name, peer, measure = place
    label = f"{name}, {measure} against {peer}"
    if after is None:
        found.missing.append(f"{label}: not measured, the baseline has {before:.3g}")
        return
    found.compared += 1
    allowed = tolerance(known, name)
    if after < before * (1 - allowed):
        found.lost.append(f"{label}: {after:.3g}, the baseline has {before:.3g}, {allowed:.0%} less would be within tolerance")


def tolerance(known: Mapping[str, Any], name: str) -> float:
    """That of a workload, or the one for all."""
    own: Mapping[str, Any] = known.get("tolerances", {}).get(name, {})
    return float(own.get("tolerance", known.get("tolerance", TOLERANCE)))


def read(path: Path = FILE) -> dict[str, Any]:
    """A baseline.

    :raises FileNotFoundError: where there is none.
    """
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def write(path: Path, now: Ratios, machine: Mapping[str, Any], options: Mapping[str, Any], ran: Sequence[str]) -> None:
    """A new baseline. Tolerances stay, and so do workloads that did not run, if the others ran as they did."""
    old = read(path) if path.exists() else {}
    before: Ratios = {} if unlike(old, options) else old.get("ratios", {})
    kept = {name: by_peer for name, by_peer in before.items() if name not in ran}
    made = {
        "tolerance": old.get("tolerance", TOLERANCE),
        "tolerances": old.get("tolerances", {}),
        "options": {name: options[name] for name in SAME},
        "machine": machine,
        "ratios": kept | dict(now),
    }
    path.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n")
