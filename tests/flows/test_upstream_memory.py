"""Bodies of any size pass between a client and an origin in flat memory, and unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.backends.made import dicom
from tests.flows.fronts import table, upstream
from tests.flows.large import MANY, MIB, MULTIPART, ONE, SINGLE, digest, get, many, one_large, one_of_many, post
from tests.running import Gateway, running

ROOM = 64 * MIB
"""What a worker may grow by while bodies of any size pass."""

BOTH = {"retrieves_single": True}


@contextmanager
def two(folder: Path, **more: Any) -> Iterator[tuple[Gateway, Gateway]]:
    """A gateway in front of a gateway, each a process of its own: the second one keeps files."""
    settings = folder / "gateway.toml"
    (folder / "origin").mkdir()
    with running(folder / "origin", "--workers", "1") as origin:
        settings.write_text(upstream(origin.url, overrides=BOTH, **more) + table("limits", instance_bytes="4GiB"))
        with running(folder, "--workers", "1", "--config", str(settings)) as gateway:
            yield gateway, origin


def _warm(gateway: Gateway) -> int:
    """Loads what is loaded at the first use of each route; the peak until then."""
    assert post(gateway, iter([dicom()]), "application/dicom") == 200
    assert get(gateway, "/studies/1.1", MULTIPART).status == 200
    assert get(gateway, "/studies/1.1/series/1.1.1/instances/1.1.1.1", SINGLE).status == 200
    gateway.reset_peak()
    return gateway.resident()


def _flat(folder: Path, size: int, count: int, **more: Any) -> None:
    with two(folder, **more) as (gateway, _):
        before = _warm(gateway)
        expected = digest(one_large(size))
        length = sum(map(len, one_large(size)))
        assert post(gateway, one_large(size), "application/dicom", length) == 200
        read = get(gateway, ONE, SINGLE)
        assert (read.status, read.length, read.sha) == (200, length, expected)
        assert post(gateway, one_large(size), "application/dicom") == 200  # chunked, and known already
        read = get(gateway, ONE, MULTIPART, parts=True)
        assert read.parts == (expected,)
        assert post(gateway, many(count), "multipart/related; boundary=B") == 200
        read = get(gateway, MANY, MULTIPART, parts=True)
        assert sorted(read.parts) == sorted(hashlib.sha256(one_of_many(number)).hexdigest() for number in range(1, count + 1))
        grown = gateway.resident() - before
        print(f"peak resident grew by {grown / MIB:.1f} MiB (from {before / MIB:.0f}) for {size / MIB:.0f} MiB and {count} x 0.5 MiB")  # noqa: T201 - the figure is what the slow run is for
        assert grown < ROOM


def test_an_eighth_of_a_gigabyte_passes_in_flat_memory(tmp_path: Path) -> None:
    _flat(tmp_path, 128 * MIB, 50)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("cache", [True, False])
def test_a_gigabyte_passes_in_flat_memory(tmp_path: Path, cache: bool) -> None:
    _flat(tmp_path, 1024 * MIB, 400, cache=cache)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_gigabyte_rests_in_the_spool_in_flat_memory(tmp_path: Path) -> None:
    _flat(tmp_path, 1024 * MIB, 400, delivery="spool")
