"""Bodies of any size pass in flat memory, in and out: the peak of a worker is measured by the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.made import dicom
from tests.flows.large import ALONE, MANY, MIB, MULTIPART, ONE, SINGLE, alone, digest, get, many, one_large, post
from tests.running import running

ROOM = 64 * MIB
"""What a worker may grow by while bodies of any size pass."""


def _flat(folder: Path, size: int, count: int) -> None:
    with running(folder, "--workers", "1") as gateway:
        # What is loaded at the first use of each route is no growth.
        assert post(gateway, iter([dicom()]), "application/dicom") == 200
        assert get(gateway, "/studies/1.1", MULTIPART).status == 200
        gateway.reset_peak()
        before = gateway.resident()

        assert post(gateway, one_large(size), "application/dicom") == 200
        read = get(gateway, ONE, SINGLE)
        assert (read.status, read.sha) == (200, digest(one_large(size)))

        assert post(gateway, many(count), "multipart/related; boundary=B") == 200
        read = get(gateway, MANY, MULTIPART)
        assert read.status == 200 and read.length > count * 512 * 1024

        grown = gateway.resident() - before
        print(f"peak resident grew by {grown / MIB:.1f} MiB (from {before / MIB:.0f}) for {size / MIB:.0f} MiB and {count} x 0.5 MiB")  # noqa: T201 - the figure is what the slow run is for
        assert grown < ROOM


def test_a_quarter_gigabyte_passes_in_flat_memory(tmp_path: Path) -> None:
    _flat(tmp_path, 256 * MIB, 100)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_gigabyte_passes_in_flat_memory(tmp_path: Path) -> None:
    _flat(tmp_path, 1024 * MIB, 400)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_bulk_data_that_come_apart_pass_in_flat_memory(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "1") as gateway:
        assert post(gateway, alone(1, "1.7.1.1"), ALONE) == 200
        gateway.reset_peak()
        before = gateway.resident()
        assert post(gateway, alone(200, "1.7.1.2"), ALONE) == 200
        read = get(gateway, "/studies/1.7/series/1.7.1/instances/1.7.1.2", SINGLE)
        assert read.status == 200 and read.length > 200 * MIB
        grown = gateway.resident() - before
        print(f"peak resident grew by {grown / MIB:.1f} MiB (from {before / MIB:.0f}) for a bulk part of 200 MiB")  # noqa: T201 - the figure is what the slow run is for
        assert grown < ROOM
