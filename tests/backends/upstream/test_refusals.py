from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gateway import errors
from gateway.backends.upstream.refusals import Refusal, answer_of, retry_after, translate


def refused(status: int, headers: dict[str, str] | None = None, *, own: bool = True) -> errors.GatewayError:
    return translate("pacs", Refusal(status, "text/plain", b"Doe^John at http://inside:8042/"), headers or {}, own=own)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (404, errors.NotFound),
        (405, errors.OriginFailed),
        (406, errors.NotAcceptable),
        (409, errors.Conflict),
        (410, errors.Gone),
        (413, errors.TooLarge),
        (415, errors.UnsupportedMediaType),
        (416, errors.RangeNotSatisfiable),
        (429, errors.Busy),
        (500, errors.OriginFailed),
        (502, errors.OriginFailed),
        (503, errors.Busy),
        (504, errors.OriginFailed),
        (507, errors.OutOfStorage),
        (302, errors.OriginFailed),
        (299, errors.OriginFailed),
        (999, errors.OriginFailed),
    ],
)
def test_each_status_becomes_the_error_that_fits_and_says_nothing_of_the_origins_words(status: int, kind: type[Exception]) -> None:
    error = refused(status)
    assert type(error) is kind
    assert "Doe" not in repr(error) + repr(answer_of(error))
    assert "inside" not in error.message


@pytest.mark.parametrize(
    ("status", "own", "kind"),
    [
        (401, True, errors.OriginFailed),
        (403, True, errors.OriginFailed),
        (401, False, errors.NotAuthenticated),
        (403, False, errors.Forbidden),
    ],
)
def test_refused_credentials_are_the_fault_of_whose_they_are(status: int, own: bool, kind: type[Exception]) -> None:
    assert type(refused(status, own=own)) is kind


def test_the_answer_is_kept_for_those_who_can_read_it() -> None:
    assert answer_of(refused(409)) == Refusal(409, "text/plain", b"Doe^John at http://inside:8042/")
    assert answer_of(errors.NotFound("of our own")) is None


@pytest.mark.parametrize(("said", "size"), [("bytes */1234", 1234), ("bytes */*", 0), ("", 0), ("bytes */-5", 0)])
def test_a_range_beyond_the_end_carries_the_size(said: str, size: int) -> None:
    error = refused(416, {"Content-Range": said})
    assert isinstance(error, errors.RangeNotSatisfiable)
    assert error.size == size


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 0 ", 0), ("99999999999", 3600), ("", None), ("soon", None), ("-3", None), ("٣", None), ("9" * 20, None)],
)
def test_retry_after_in_seconds(value: str, seconds: int | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


def test_retry_after_as_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=100)
    assert retry_after({"Retry-After": format_datetime(soon, usegmt=True)}) in range(97, 102)
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    for nonsense in ("Mon, 01 Jan 2020 00:00:00 +99999999999999", "Mon, 01 Jan 99999 00:00:00 GMT"):
        assert retry_after({"Retry-After": nonsense}) is None
    assert retry_after({}) is None


def test_a_busy_origin_says_when() -> None:
    error, other = refused(503, {"Retry-After": "9"}), refused(429)
    assert isinstance(error, errors.Busy)
    assert isinstance(other, errors.Busy)
    assert (error.retry_after, other.retry_after) == (9, 1)
