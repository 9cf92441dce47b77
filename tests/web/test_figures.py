"""From series to figures: sums, differences, and which earlier moment counts."""

from __future__ import annotations

import dataclasses

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.web.figures import SPAN, Kept, Lately, Sample, Samples, Traffic, Waiting, between, sampled


@pytest.fixture
def registry() -> CollectorRegistry:
    """The names and labels of `gateway.metrics`, with other values."""
    made = CollectorRegistry()
    requests = Counter("gateway_requests", "-", ["transaction", "status"], registry=made)
    for status, count in (("200", 7), ("404", 2), ("503", 1)):
        requests.labels("search", status).inc(count)
    requests.labels("store", "200").inc(3)
    seconds = Histogram("gateway_request_seconds", "-", ["transaction"], registry=made)
    seconds.labels("search").observe(1.5)
    seconds.labels("search").observe(0.5)
    Counter("gateway_sent_bytes", "-", ["transaction"], registry=made).labels("search").inc(900)
    Counter("gateway_received_bytes", "-", ["transaction"], registry=made).labels("store").inc(800)
    hits = Counter("gateway_cache_hit_answers", "-", ["store", "kind", "tier"], registry=made)
    hits.labels("pacs", "frames", "memory").inc(5)
    hits.labels("pacs", "frames", "disk").inc(1)
    Counter("gateway_cache_coalesced_answers", "-", ["store", "kind"], registry=made).labels("pacs", "frames").inc(3)
    Counter("gateway_cache_miss_answers", "-", ["store", "kind"], registry=made).labels("pacs", "frames").inc(1)
    Gauge("gateway_origin_breaker_state", "-", ["origin"], registry=made).labels("pacs").set(2)
    for name, value in (("waiting_instances", 4), ("dead_instances", 1), ("oldest_seconds", 60)):
        gauge = Gauge(f"gateway_spool_{name}", "-", ["store", "destination"], registry=made)
        gauge.labels("pacs", "one").set(value)
        gauge.labels("pacs", "two").set(value / 2)
    Gauge("gateway_in_flight_requests", "-", ["transaction"], registry=made).labels("store").set(2)
    Counter("others_requests", "-", registry=made).inc(99)
    return made


def test_what_the_series_say(registry: CollectorRegistry) -> None:
    found = sampled(registry)
    assert found.traffic == {"search": Traffic(10, 1, 2.0, 0, 900), "store": Traffic(3, 0, 0, 800, 0)}
    assert found.kept == {"pacs": Kept(9, 1)}
    assert found.kept["pacs"].share == 0.9
    assert found.waiting == {"pacs": Waiting(6, 60, 1.5)}
    assert (found.breakers, found.in_flight) == ({"pacs": 2}, 2)


def test_the_series_of_the_gateway_have_the_names_that_are_read() -> None:
    from gateway import metrics
    from gateway.web import figures

    names = {name for name in vars(metrics).values() if hasattr(name, "_name")}
    series = {f"{one._name}{'_total' if isinstance(one, Counter) else ''}" for one in names}
    wanted = {*figures._TRAFFIC, *figures._KEPT, *figures._WAITING} - {"gateway_request_seconds_sum"}
    assert wanted | {"gateway_requests_total", "gateway_origin_breaker_state", "gateway_spool_oldest_seconds"} <= series
    assert "gateway_in_flight_requests" in series


def test_nothing_was_asked_of_a_cache() -> None:
    assert Kept().share is None


def moment(at: float, requests: float, **more: Traffic) -> Sample:
    return Sample(at, {"search": Traffic(requests=requests, seconds=requests / 10), **more})


def test_what_happened_between_two_moments() -> None:
    found = between(moment(100, 5), moment(130, 8, store=Traffic(requests=10), delete=Traffic()))
    assert found.seconds == 30
    assert list(found.traffic) == ["store", "search"]  # the busiest first, and not what nobody asked for
    assert found.traffic["search"].requests == 3
    assert found.traffic["search"].seconds == pytest.approx(0.3)
    assert found.all.requests == 13


def test_a_worker_that_began_anew_counts_from_its_beginning() -> None:
    assert between(moment(1, 500), moment(2, 4)).all.requests == 4


def test_the_first_look_has_nothing_to_compare_with() -> None:
    samples = Samples()
    assert samples.lately(moment(0, 1)) is None
    assert isinstance(samples.lately(moment(5, 2)), Lately)


def test_figures_are_of_the_last_minute_as_far_as_somebody_looked() -> None:
    samples = Samples()
    found = [samples.lately(moment(at, at)) for at in range(0, 200, 5)]
    spans = [one.seconds for one in found if one]
    assert spans[:3] == [5, 10, 15]
    assert spans[-1] == SPAN
    assert len(samples._past) <= SPAN / 5 + 2


def test_after_a_pause_figures_are_of_the_pause() -> None:
    samples = Samples()
    samples.lately(moment(0, 0))
    samples.lately(moment(5, 10))
    found = samples.lately(moment(905, 100))
    assert found is not None
    assert (found.seconds, found.all.requests) == (900, 90)


def test_no_time_between_two_looks_is_no_error() -> None:
    assert dataclasses.replace(between(moment(1, 1), moment(1, 2))).seconds > 0
