"""Store and forward between gateways of their own processes: what the front acknowledged arrives, whatever happens meanwhile."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.made import study
from tests.running import Gateway, free_port
from tests.web.gate import MULTIPART, multipart

PATIENCE = 60.0
"""Seconds until a test is sure that something does not arrive."""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway with an embedded store; not started yet."""
    folder = tmp_path / "origin"
    folder.mkdir()
    gateway = Gateway(folder, "--workers", "1", port=free_port())
    yield gateway
    if gateway._process is not None:
        gateway.stop()


@pytest.fixture
def front(tmp_path: Path, origin: Gateway) -> Iterator[Gateway]:
    """Two workers with a spool in front of it."""
    folder = tmp_path / "front"
    folder.mkdir()
    settings = {"BACKEND": "upstream", "URL": origin.url, "DELIVERY": "spool", "ORIGIN__TRIES": "1", "ORIGIN__BREAKER_SECONDS": "0.2"}
    environment = {f"GATEWAY_STORES__DEFAULT__{name}": value for name, value in settings.items()}
    gateway = Gateway(folder, "--workers", "2", environment=environment)
    gateway.start()
    yield gateway
    gateway.stop()


def sent(gateway: Gateway, *files: bytes) -> int:
    request = urllib.request.Request(f"{gateway.url}/studies", multipart(*files), {"Content-Type": MULTIPART})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


def found(gateway: Gateway, path: str = "/instances?limit=1000") -> tuple[set[str], str]:
    """The SOP Instance UIDs that it finds, and its warning."""
    with urllib.request.urlopen(gateway.url + path, timeout=30) as answer:
        body = answer.read()
        return {one["00080018"]["Value"][0] for one in json.loads(body or b"[]")}, answer.headers.get("Warning", "")


def arrived(gateway: Gateway, expected: set[str]) -> None:
    end = time.monotonic() + PATIENCE
    while found(gateway)[0] != expected:
        assert time.monotonic() < end, (len(found(gateway)[0]), len(expected))
        time.sleep(0.1)


def metric(gateway: Gateway, name: str) -> float:
    with urllib.request.urlopen(f"{gateway.root}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and 'destination="default"' in line)


def test_an_origin_that_was_down_gets_everything_though_the_front_was_killed(front: Gateway, origin: Gateway) -> None:
    expected: set[str] = set()
    for number in range(1, 6):
        assert sent(front, *study(f"1.{number}")) == 200
        expected |= {f"1.{number}.{series}.{instance}" for series in (1, 2) for instance in (1, 2)}
    shown, warning = found(front)
    assert shown == expected and "did not answer" in warning
    front.kill()
    front.start()
    assert found(front)[0] == expected
    origin.start()
    arrived(origin, expected)
    assert sent(front, *study("2.1")) == 200
    expected |= {f"2.1.{series}.{instance}" for series in (1, 2) for instance in (1, 2)}
    assert found(front) == (expected, "")
    arrived(origin, expected)
    end = time.monotonic() + PATIENCE
    while metric(front, "gateway_spool_waiting_instances") or metric(front, "gateway_spool_delivered_instances") < len(expected):
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
def test_an_origin_that_is_down_for_half_a_minute_costs_nothing_but_time(front: Gateway, origin: Gateway) -> None:
    expected: set[str] = set()
    end = time.monotonic() + 30
    number = 0
    while time.monotonic() < end:
        number += 1
        assert sent(front, *study(f"1.{number}")) == 200
        expected |= {f"1.{number}.{series}.{instance}" for series in (1, 2) for instance in (1, 2)}
        time.sleep(0.2)
    origin.start()
    arrived(origin, expected)
