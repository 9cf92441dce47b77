"""What the gateway's own metrics say, as figures for people: what was asked for and sent, and what became of it.

Counters only grow; what happened in a while is what a later sample has more than an earlier one. All of it is read from the
series of `metrics`, so it knows no patient, and with several workers it is of all of them together.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample as Series

SPAN = 60.0
"""Seconds that figures are of, as far as somebody looked that long ago."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of one kind. :param failed: those that the gateway or an origin could not answer (5xx). :param seconds: of all together."""

    requests: float = 0
    failed: float = 0
    seconds: float = 0
    received: float = 0
    sent: float = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """Answers of a store out of its cache, and those for which the store behind it was asked."""

    hits: float = 0
    misses: float = 0

    @property
    def share(self) -> float | None:
        """Of hits among all; None where there was nothing."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Instances of a spool. :param oldest: seconds that the first in line has waited. :param dead: those that were set aside."""

    instances: float = 0
    oldest: float = 0
    dead: float = 0


@dataclass(slots=True)
class Sample:
    """The metrics at one moment.

    :param at: seconds of a clock that only goes on.
    :param breakers: of origins: 0 closed, 1 half open, 2 open.
    """

    at: float = 0
    traffic: dict[str, Traffic] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    breakers: dict[str, float] = field(default_factory=dict)
    in_flight: float = 0


T = TypeVar("T", Traffic, Kept, Waiting)

_TRAFFIC = {
    "gateway_request_seconds_sum": "seconds",
    "gateway_received_bytes_total": "received",
    "gateway_sent_bytes_total": "sent",
}
_KEPT = {
    "gateway_cache_hit_answers_total": "hits",
    "gateway_cache_coalesced_answers_total": "hits",
    "gateway_cache_miss_answers_total": "misses",
}
_WAITING = {
    "gateway_spool_waiting_instances": "instances",
    "gateway_spool_dead_instances": "dead",
}


def sampled(registry: CollectorRegistry) -> Sample:
    """What a registry holds now. Takes some milliseconds for each worker: for a thread."""
    sample = Sample(time.monotonic())
    for one in _series(registry):
        _add(sample, one)
    return sample


def _series(registry: CollectorRegistry) -> Iterator[Series]:
    for metric in registry.collect():
        if metric.name.startswith("gateway_"):
            yield from metric.samples


def _add(sample: Sample, one: Series) -> None:
    name, labels, value = one.name, one.labels, one.value
    if name == "gateway_requests_total":
        _grow(sample.traffic, labels["transaction"], Traffic(requests=value, failed=value if labels["status"] >= "500" else 0))
    elif name in _TRAFFIC:
        _grow(sample.traffic, labels["transaction"], Traffic(**{_TRAFFIC[name]: value}))
    elif name in _KEPT:
        _grow(sample.kept, labels["store"], Kept(**{_KEPT[name]: value}))
    elif name in _WAITING:
        _grow(sample.waiting, labels["store"], Waiting(**{_WAITING[name]: value}))
    elif name == "gateway_spool_oldest_seconds":
        known = sample.waiting.get(labels["store"], Waiting())
        sample.waiting[labels["store"]] = replace(known, oldest=max(known.oldest, value))
    elif name == "gateway_origin_breaker_state":
        sample.breakers[labels["origin"]] = max(value, sample.breakers.get(labels["origin"], 0))
    elif name == "gateway_in_flight_requests":
        sample.in_flight += value


def _grow(known: dict[str, T], key: str, by: T) -> None:
    known[key] = _added(known[key], by) if key in known else by


def _added(one: T, other: T, sign: int = 1) -> T:
    return type(one)(*(getattr(one, part.name) + sign * getattr(other, part.name) for part in fields(one)))


# -- between two moments


@dataclass(frozen=True, slots=True)
class Lately:
    """What happened in some seconds.

    :param traffic: by transaction, the busiest first; without those that nobody asked for.
    """

    seconds: float
    traffic: dict[str, Traffic]
    kept: dict[str, Kept]

    @property
    def all(self) -> Traffic:
        """All requests together."""
        return _sum(self.traffic.values())


def _sum(several: Iterable[Traffic]) -> Traffic:
    total = Traffic()
    for one in several:
        total = _added(total, one)
    return total


def between(earlier: Sample, later: Sample) -> Lately:
    """What the later sample has more. A counter that began anew counts from its beginning."""
    traffic = {name: _more(one, earlier.traffic.get(name)) for name, one in later.traffic.items()}
    busy = sorted(((name, one) for name, one in traffic.items() if one.requests > 0), key=lambda pair: -pair[1].requests)
    kept = {name: _more(one, earlier.kept.get(name)) for name, one in later.kept.items()}
    return Lately(max(later.at - earlier.at, 0.001), dict(busy), kept)


def _more(later: T, earlier: T | None) -> T:
    if earlier is None:
        return later
    more = _added(later, earlier, -1)
    return later if any(getattr(more, part.name) < 0 for part in fields(more)) else more


class Samples:
    """The samples of the last minute, one each time that somebody looks."""

    def __init__(self) -> None:
        self._past: deque[Sample] = deque()

    def lately(self, sample: Sample) -> Lately | None:
        """What happened since the oldest sample that is no older than `SPAN`, or since the last one before; None for the first."""
        past = self._past
        while len(past) > 1 and past[1].at <= sample.at - SPAN:
            past.popleft()
        first = past[0] if past else None
        past.append(sample)
        return between(first, sample) if first else None
