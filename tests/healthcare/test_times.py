from __future__ import annotations

from gateway.healthcare.times import timestamp


def test_moments_are_utc_to_the_microsecond() -> None:
    assert timestamp(0.25) == "1970-01-01T00:00:00.250000Z"
    assert timestamp(1_795_000_000) == "2026-11-18T11:06:40.000000Z"
