"""Both event loops for what runs on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

BOTH = ("test_child.py::", "test_pool.py::test_bytes", "test_pool.py::test_a_crash", "test_pool.py::test_the_end")
"""Tests, or the beginnings of their names, in which descriptors cross sockets and processes come and go."""


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop is what serves; what hangs on the loop is tested on both."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    return loops | {"asyncio": asyncio.new_event_loop} if any(name in item.nodeid for name in BOTH) else loops
