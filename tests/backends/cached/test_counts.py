"""What a store counts of its cache, under labels that name nothing but the store."""

from __future__ import annotations

from prometheus_client import REGISTRY

from gateway.backends.cached.counts import Counts
from gateway.backends.cached.keys import KINDS


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"gateway_cache_{name}_answers_total", {"store": "counted", **labels}) or 0


def test_each_way_to_be_answered_is_counted_by_kind() -> None:
    counts = Counts("counted")
    for kind in KINDS:
        counts.hit(kind)
        counts.hit(kind)
        counts.from_disk(kind)
        counts.miss(kind, joined=False)
        counts.miss(kind, joined=True)
        counts.stale(kind)
    for kind in KINDS:
        assert value("hit", kind=kind, tier="memory") == 2
        assert value("hit", kind=kind, tier="disk") == 1
        assert [value(name, kind=kind) for name in ("miss", "coalesced", "stale")] == [1, 1, 1]
