"""How much a local store says that it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backends.base import Countable, Tally
from gateway.backends.local import tallies
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from tests.backends.made import named, store, study

FILES = [*study("1.1"), *study("1.2", series=1, instances=1)]


@pytest.mark.parametrize("kind", ["local", "memory"])
async def test_studies_series_instances_and_their_bytes(kind: str, tmp_path: Path) -> None:
    backend = LocalStore(tmp_path) if kind == "local" else MemoryBackend()
    try:
        assert isinstance(backend, Countable)
        assert await backend.tally() == Tally(0, 0, 0, 0)
        await store(backend, *FILES)
        assert await backend.tally() == Tally(2, 3, 5, sum(map(len, FILES)))
        await backend.delete(named("1.1", "1.1.1"))
        assert await backend.tally() == Tally(2, 2, 3, sum(map(len, FILES[2:])))
    finally:
        await backend.aclose()


async def test_of_very_many_the_bytes_are_not_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "SIZED", 4)
    backend = LocalStore(tmp_path)
    try:
        await store(backend, *FILES)
        assert await backend.tally() == Tally(2, 3, 5, None)
    finally:
        await backend.aclose()
