"""Object storage that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.transfers import storage


@pytest.fixture(scope="session")
def s3_server() -> Iterator[storage.S3]:
    with storage.s3() as found:
        yield found


@pytest.fixture
def s3(s3_server: storage.S3, monkeypatch: pytest.MonkeyPatch) -> storage.S3:
    for name, value in storage.KEYS.items():
        monkeypatch.setenv(name, value)
    return s3_server
