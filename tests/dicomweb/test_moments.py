"""Dates and times as text that sorts by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.moments import padded_date, padded_time, span


@pytest.mark.parametrize(
    ("time", "padded"),
    [
        ("", ""),
        ("10", "100000.000000"),
        ("1030", "103000.000000"),
        ("103015.5", "103015.500000"),
        ("103015.123456", "103015.123456"),
        ("10:30:15", "103015.000000"),
    ],
)
def test_times_are_filled_up(time: str, padded: str) -> None:
    assert padded_time(time) == padded


def test_dates_lose_the_dots_of_old() -> None:
    assert padded_date("2024.01.31") == padded_date("20240131") == "20240131"


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", "20240101000000.000000", "20241231235959.999999"),
        ("202402", "20240201000000.000000", "20240229235959.999999"),
        ("202302", "20230201000000.000000", "20230228235959.999999"),
        ("190002", "19000201000000.000000", "19000228235959.999999"),
        ("202404", "20240401000000.000000", "20240430235959.999999"),
        ("2024013110", "20240131100000.000000", "20240131105959.999999"),
        ("20240131103015.25", "20240131103015.250000", "20240131103015.259999"),
        ("20240131103015+0100", "20240131093015.000000", "20240131093015.999999"),
        ("20240101-0530", "20240101053000.000000", "20240102052959.999999"),
    ],
)
def test_a_date_and_time_is_a_span_in_utc(text: str, low: str, high: str) -> None:
    assert span(text) == (low, high)


@pytest.mark.parametrize("text", ["", "202", "20241", "20240131T10", "2024+01", "00010101+1400", "20240230+0100", "99991231235959-1200"])
def test_what_is_no_date_and_time_has_no_span(text: str) -> None:
    assert span(text) is None


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-12 * 60, 14 * 60))
def test_order_of_text_is_order_of_time(moment: datetime, minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    found = span(zoned.strftime("%Y%m%d%H%M%S.%f%z"))
    assert found is not None and found[0] == zoned.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f")
