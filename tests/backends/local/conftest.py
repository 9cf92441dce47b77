"""Local stores below the test's own folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.local.store import LocalStore

OpenStore = Callable[..., LocalStore]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "store"


@pytest.fixture
async def open_store(root: Path) -> AsyncIterator[OpenStore]:
    """Opens the store of `root`, as often as it is called; those that are still open at the end are closed."""
    opened: list[LocalStore] = []

    def open_one(**chosen: Any) -> LocalStore:
        opened.append(LocalStore(root, **chosen))
        return opened[-1]

    yield open_one
    for store in opened:
        if not store._writer._closed:
            await store.aclose()
