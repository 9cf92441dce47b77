"""One of each backend, for the tests that all of them have to pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.backends.base import Backend
from tests.backends.exceptions import excepted
from tests.backends.kinds import KINDS, MOVES, Make, making

__all__ = ["Make"]


@pytest.fixture(params=KINDS)
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes backends of one kind; they are closed at the end."""
    moved = request.param == "spool" and request.node.originalname in MOVES
    async with making("settled" if moved else request.param, tmp_path) as make:
        yield make


@pytest.fixture
async def backend(make: Make) -> Backend:
    """One of the kind, made while the loop runs: some begin to work at once."""
    return make()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes out what an origin does not let us promise (`exceptions`)."""
    taken = [item for item in items if isinstance(item, pytest.Function) and _is_excepted(item)]
    if taken:
        config.hook.pytest_deselected(items=taken)
        items[:] = [item for item in items if item not in taken]


def _is_excepted(item: pytest.Function) -> bool:
    kind = item.callspec.params.get("make") if hasattr(item, "callspec") else None
    return kind is not None and excepted(str(kind), item.originalname, item.callspec.id.removeprefix(f"{kind}-"))
