"""One of each backend, for the tests that all of them have to pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.backends.base import Backend
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.policy import OnDuplicate

Make = Callable[..., Backend]


@pytest.fixture(params=["memory", "local"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes backends of one kind; they are closed at the end."""
    made: list[Backend] = []

    def backend(on_duplicate: OnDuplicate = OnDuplicate.REJECT) -> Backend:
        if request.param == "memory":
            made.append(MemoryBackend(on_duplicate=on_duplicate))
        else:
            made.append(LocalStore(tmp_path / f"store{len(made)}", on_duplicate=on_duplicate, durable=False))
        return made[-1]

    yield backend
    for one in made:
        await one.aclose()


@pytest.fixture
def backend(make: Make) -> Backend:
    return make()
