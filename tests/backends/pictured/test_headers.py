"""Headers that are kept: bounded in bytes, the least used go first."""

from __future__ import annotations

import json

import pytest

from gateway.backends.pictured import headers as kept
from gateway.backends.pictured.headers import Header, Headers
from gateway.pixels.image import Image


def header(number: int, size: int = 100) -> Header:
    raw = json.dumps({"00100020": {"vr": "LO", "Value": ["x" * size]}}).encode()
    return Header(f"/studies/{number}", json.loads(raw), raw, "1.2.840.10008.1.2.1", None, str(number))


def key(number: int) -> tuple[str, str, str, str]:
    return "default", "", f"/studies/{number}", str(number)


def test_what_was_used_lately_stays() -> None:
    headers = Headers(bound=5 * header(1).cost)
    for number in range(5):
        headers.add(key(number), header(number))
    assert headers.get(key(0)) == header(0)
    headers.add(key(5), header(5))
    assert headers.get(key(1)) is None and headers.get(key(0)) is not None and headers.get(key(5)) is not None


def test_what_is_kept_counts_what_it_takes_parsed() -> None:
    assert header(1, 10_000).cost > 100_000
    headers = Headers(bound=100_000)
    headers.add(key(1), header(1, 10_000))
    assert headers.get(key(1)) is None, "it takes more than all the room"
    for number in range(1000):
        headers.add(key(number), header(number))
        headers.add(key(number), header(number))
    kept = [number for number in range(1000) if headers.get(key(number))]
    assert sum(header(number).cost for number in kept) <= 100_000 and len(kept) > 30


def test_keys_differ_in_each_part() -> None:
    headers = Headers()
    headers.add(key(1), header(1))
    for part in range(4):
        other = list(key(1))
        other[part] += "x"
        assert headers.get((other[0], other[1], other[2], other[3])) is None


def test_what_is_said_of_pixels_is_kept_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "IMAGES", 3)
    headers, image = Headers(bound=1000), Image.of({}, "1.2")
    for number in range(5):
        headers.add(key(number), header(number, 10_000))
    assert headers.get(key(4)) is None
    assert [headers.knows(key(number)) for number in range(5)] == [False, False, True, True, True]
    assert headers.image(key(4)) is image is None
