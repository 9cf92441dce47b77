"""What was measured, and what it says: medians, spread, ratios, goals.

1. A ratio says how many times better the gateway is: its rate over the peer's, the peer's CPU time or memory over its own. So more
   than 1 is good, whatever is compared.
2. Ratios are made turn by turn, of rounds that followed each other, and the median is that of the ratios: a machine that is slow
   for a minute slows both.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

OURS = "gateway"
MIB = 1 << 20

LIMIT = 0.9
"""Share of a CPU from which on the client counts as the limit: what is left it spends on waiting for its own turns."""

RATIOS: Final = ("rate", "cpu", "memory")
"""What a goal may compare with a peer."""

BELOW: Final[Mapping[str, str]] = {"first byte": "ms", "over idle": "MiB", "extra": "ms"}
"""What a goal may bound from above, and its unit. ``extra`` is the time of a request beyond that of the peer."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a workload has to reach.

    :param against: the peer; for bounds on the gateway alone nobody.
    :param measure: one of `RATIOS`, which is to be at least `value`, or of `BELOW`, which is to be at most that.
    :param stretch: what would be better still.
    """

    against: str
    measure: str
    value: float
    stretch: float | None = None

    @property
    def is_bound(self) -> bool:
        """Whether less is better."""
        return self.measure in BELOW

    def met(self, figure: float) -> bool:
        """Whether a figure is good enough."""
        return figure <= self.value if self.is_bound else figure >= self.value


@dataclass(frozen=True, slots=True)
class Sample:
    """One round on one server.

    :param seconds: from the first request to the end of the last answer, and of what was put off until after it.
    :param units: what the workload counts, for example instances.
    :param moved: bytes of all bodies, both ways.
    :param cpu: seconds of CPU time of the server's processes.
    :param client: the share of a CPU that the client used; None where it is not known.
    :param idle: bytes of memory of the server before the round. :param peak: the most in it; 0 where it was not looked at.
    :param p50: milliseconds of a request, as are `p99` and `first_byte`.
    """

    seconds: float
    requests: int
    units: float
    moved: int
    cpu: float
    client: float | None = None
    idle: int = 0
    peak: int = 0
    p50: float = 0.0
    p99: float = 0.0
    first_byte: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None of no values."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found)) if found else None


@dataclass
class Row:
    """A workload on all servers.

    :param unit: of its rate: what is counted, or MB, a second.
    :param samples: by server, a value a turn.
    :param wrong: servers whose answers were not what they had to be, and what was wrong with them.
    :param absent: peers that could have taken part, and why they did not.
    """

    name: str
    suite: str
    unit: str
    goals: Sequence[Goal]
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def peers(self) -> list[str]:
        """Those with figures, the gateway aside."""
        return [name for name, samples in self.samples.items() if name != OURS and samples]

    def rate(self, sample: Sample) -> float:
        """MB or units a second."""
        return (sample.moved / 1e6 if self.unit == "MB" else sample.units) / sample.seconds

    def rates(self, server: str) -> Spread | None:
        """Of one server."""
        return Spread.of(self.rate(sample) for sample in self.samples.get(server, ()))

    def cpu_ms(self, server: str) -> Spread | None:
        """Milliseconds of CPU time a request."""
        return Spread.of(sample.cpu / sample.requests * 1e3 for sample in self.samples.get(server, ()))

    def cpu_per_gb(self, server: str) -> Spread | None:
        """Seconds of CPU time a GB moved; None where next to nothing moves."""
        return Spread.of(sample.cpu / sample.moved * 1e9 for sample in self.samples.get(server, ()) if sample.moved >= MIB)

    def client(self, server: str) -> float | None:
        """The median share of a CPU that the client used."""
        known = [sample.client for sample in self.samples.get(server, ()) if sample.client is not None]
        return statistics.median(known) if known else None

    def client_was_the_limit(self, server: str) -> bool:
        """Then only CPU times say anything about that server."""
        return (self.client(server) or 0) >= LIMIT

    def ratio(self, peer: str, measure: str) -> Spread | None:
        """How many times better the gateway is than a peer."""
        pairs = zip(self.samples.get(OURS, ()), self.samples.get(peer, ()), strict=False)
        return Spread.of(one for ours, theirs in pairs if (one := self._ratio(ours, theirs, measure)) is not None)

    def _ratio(self, ours: Sample, theirs: Sample, measure: str) -> float | None:
        if measure == "rate":
            return self.rate(ours) / self.rate(theirs)
        if measure == "cpu":
            above, below = theirs.cpu / theirs.requests, ours.cpu / ours.requests
        else:
            above, below = float(theirs.peak), float(ours.peak)
        return above / below if above and below else None

    def figure(self, goal: Goal) -> Spread | None:
        """What a goal is held against; None when it was not measured."""
        if not goal.is_bound:
            return self.ratio(goal.against, goal.measure)
        ours = self.samples.get(OURS, [])
        if goal.measure == "first byte":
            return Spread.of(sample.first_byte for sample in ours)
        if goal.measure == "over idle":
            return Spread.of((sample.peak - sample.idle) / MIB for sample in ours)
        pairs = zip(ours, self.samples.get(goal.against, ()), strict=False)
        return Spread.of((one.seconds / one.requests - two.seconds / two.requests) * 1e3 for one, two in pairs)

    def ratios(self) -> dict[str, dict[str, float]]:
        """The median of every ratio, by peer and measure."""
        found: dict[str, dict[str, float]] = {}
        for peer in self.peers:
            medians = {measure: self.ratio(peer, measure) for measure in RATIOS}
            found[peer] = {measure: spread.median for measure, spread in medians.items() if spread is not None}
        return found


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
