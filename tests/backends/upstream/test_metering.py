from __future__ import annotations

from prometheus_client import REGISTRY

from gateway.backends.upstream.breaker import State
from gateway.backends.upstream.metering import Meter


def value(series: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(series, {"origin": "metered"} | labels)


def test_each_series_carries_the_stores_name() -> None:
    meter = Meter("metered")
    meter.calls("search", 200).inc()
    meter.calls("search", "timeout").inc()
    meter.sent("store").inc(5)
    meter.received("frames").inc(7)
    meter.first_byte("search").observe(0.1)
    meter.retries.inc()
    meter.breaker(State.OPEN)
    assert value("gateway_origin_calls_total", transaction="search", status="200") == 1
    assert value("gateway_origin_calls_total", transaction="search", status="timeout") == 1
    assert value("gateway_origin_sent_bytes_total", transaction="store") == 5
    assert value("gateway_origin_received_bytes_total", transaction="frames") == 7
    assert value("gateway_origin_first_byte_seconds_count", transaction="search") == 1
    assert value("gateway_origin_retries_total") == 1
    assert value("gateway_origin_breaker_state") == 2


def test_an_origin_cannot_make_series_up() -> None:
    meter = Meter("metered")
    for status in range(600, 1000):
        meter.calls("other", status).inc()
    assert value("gateway_origin_calls_total", transaction="other", status="other") == 400
    assert value("gateway_origin_calls_total", transaction="other", status="999") is None
