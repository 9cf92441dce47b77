"""Bodies of any size pass in flat memory, in and out: the peak of a worker is measured by the kernel."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.backends.made import dicom
from tests.running import Gateway, running

MIB = 1 << 20
ROOM = 64 * MIB
"""What a worker may grow by while bodies of any size pass."""

PIECE = bytes(range(256)) * 4096  # 1 MiB


def _large(size: int) -> tuple[bytes, int]:
    """The header of an instance whose pixel data is `size` bytes of `PIECE`, and that size."""
    small = dicom("1.5", "1.5.1", "1.5.1.1", PixelData=b"\1\2\3\4", Rows=1, Columns=2)
    assert small.endswith(b"OW\0\0\4\0\0\0\1\2\3\4")
    return small[:-8] + size.to_bytes(4, "little"), size


def _one_large(size: int) -> Iterator[bytes]:
    header, length = _large(size)
    yield header
    for _ in range(length // len(PIECE)):
        yield PIECE


def _many(count: int) -> Iterator[bytes]:
    for number in range(1, count + 1):
        yield b"\r\n--B\r\nContent-Type: application/dicom\r\n\r\n"
        yield dicom("1.6", "1.6.1", f"1.6.1.{number}", Rows=512, Columns=512, PixelData=PIECE[: 512 * 1024])
    yield b"\r\n--B--\r\n"


def _post(gateway: Gateway, body: Iterator[bytes], content_type: str) -> int:
    url = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=300)
    connection.request("POST", url.path + "/studies", body, {"Content-Type": content_type}, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


def _get(gateway: Gateway, path: str, accept: str) -> tuple[int, int, str]:
    """Status, length and hash of an answer, read piece by piece."""
    url = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=300)
    connection.request("GET", url.path + path, headers={"Accept": accept})
    response = connection.getresponse()
    digest, length = hashlib.sha256(), 0
    while piece := response.read(MIB):
        digest.update(piece)
        length += len(piece)
    connection.close()
    return response.status, length, digest.hexdigest()


def _flat(folder: Path, size: int, count: int) -> None:
    with running(folder, "--workers", "1") as gateway:
        # What is loaded at the first use of each route is no growth.
        assert _post(gateway, iter([dicom()]), "application/dicom") == 200
        assert _get(gateway, "/studies/1.1", "multipart/related; type=application/dicom; transfer-syntax=*")[0] == 200
        gateway.reset_peak()
        before = gateway.resident()

        assert _post(gateway, _one_large(size), "application/dicom") == 200
        expected = hashlib.sha256()
        for piece in _one_large(size):
            expected.update(piece)
        path = "/studies/1.5/series/1.5.1/instances/1.5.1.1"
        status, length, digest = _get(gateway, path, "application/dicom; transfer-syntax=*")
        assert (status, digest) == (200, expected.hexdigest())

        assert _post(gateway, _many(count), "multipart/related; boundary=B") == 200
        status, length, _ = _get(gateway, "/studies/1.6", "multipart/related; type=application/dicom; transfer-syntax=*")
        assert status == 200 and length > count * 512 * 1024

        grown = gateway.resident() - before
        print(f"peak resident grew by {grown / MIB:.1f} MiB (from {before / MIB:.0f}) for {size / MIB:.0f} MiB and {count} x 0.5 MiB")  # noqa: T201 - the figure is what the slow run is for
        assert grown < ROOM


def test_a_quarter_gigabyte_passes_in_flat_memory(tmp_path: Path) -> None:
    _flat(tmp_path, 256 * MIB, 100)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_gigabyte_passes_in_flat_memory(tmp_path: Path) -> None:
    _flat(tmp_path, 1024 * MIB, 400)
