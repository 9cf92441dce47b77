from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config import Settings
from gateway.sections.google import Emulator, Healthcare, Relay


@pytest.mark.parametrize(
    "bad", [{"error_rate": 1.1}, {"error_rate": float("nan")}, {"statuses": [200]}, {"statuses": []}, {"retry_after": -1}]
)
def test_an_emulator_errs_as_google_does_or_not_at_all(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Emulator(**bad)
    assert Emulator().error_rate == 0


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"project": ""},
        {"project": "p", "location": "l"},
        {"project": "p", "dataset": "d"},
        {"project": "p", "url": "ftp://x"},
        {"project": "p", "url": "https://user:secret@x"},
        {"project": "p", "url": "https://x/?key=1"},
        {"project": "p", "stores": 0},
    ],
)
def test_a_relay_says_what_is_bound_and_where(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Relay(**bad)


def test_a_relay_shows_googles_credentials_unless_it_says_otherwise() -> None:
    relay = Relay(project="p", url="https://x/prefix/")
    assert (relay.credentials.kind, relay.url) == ("google", "https://x/prefix")


def test_one_relay_a_project() -> None:
    dataset = {"project": "p", "location": "l", "dataset": "d"}
    assert len(Healthcare(relays={"a": {"project": "p"}, "b": dataset}).relays) == 2
    for bad in ({"a": dataset, "b": dataset}, {"A b": {"project": "p"}}):
        with pytest.raises(ValidationError):
            Healthcare(relays=bad)


def test_a_relay_that_passes_credentials_on_needs_them_for_itself() -> None:
    shown = {"project": "p", "credentials": {"kind": "pass_through"}}
    with pytest.raises(ValidationError, match=r"healthcare\.relays\.a: pass_through"):
        Settings(healthcare={"relays": {"a": shown}}, server={"token_file": "/run/token"})


@pytest.mark.parametrize(
    "bad",
    [
        {"folders": ["in"]},
        {"folders": ["/srv/../etc"]},
        {"buckets": ["bucket"]},
        {"buckets": ["http://bucket/"]},
        {"buckets": ["gs://B/"]},
        {"buckets": ["file:///srv"]},
        {"s3_endpoint": "localhost:9000"},
        {"gcs_endpoint": "https://user:secret@x"},
    ],
)
def test_imports_and_exports_go_to_places_that_are_named_whole(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Healthcare(**bad)
    assert (Healthcare().folders, Healthcare().buckets) == ((), ())
    good = Healthcare(folders=["/srv/in"], buckets=["gs://", "s3://bucket/folder/", "gs://my.bucket"], s3_endpoint="http://localhost:9000")
    assert len(good.buckets) == 3
