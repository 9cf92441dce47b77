"""Gateways for the tests of this folder, and what must hold in every one of them."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway import logs
from gateway.web import routes
from tests import blocking
from tests.web.gate import Gate, opened, settings

Serve = Callable[..., Awaitable[Gate]]


class Lines(list[dict[str, Any]]):
    """Log lines. A line of level error fails the test unless its event is in `expected`."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: set[str] = set()


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop is what serves; how bytes reach the socket is tested on both."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    return loops | {"asyncio": asyncio.new_event_loop} if item.path.name == "test_sending.py" else loops


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What is logged."""
    found = Lines()
    monkeypatch.setattr(logs._SINK, "put", lambda line: found.append(json.loads(line)))
    monkeypatch.setattr(logging.root, "handlers", [logs._Library()])
    yield found
    assert [line for line in found if line["level"] == "error" and line["event"] not in found.expected] == []


@pytest.fixture(autouse=True)
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[blocking.Found]:
    """Blocking calls on the event loop; one fails the test."""
    found = blocking.watch(monkeypatch)
    yield found
    assert found == []


_documents = functools.cache(routes.documents)
"""Made once for all gateways of a run: they take a twentieth of a second each."""


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blocked: blocking.Found, lines: Lines) -> AsyncIterator[Serve]:
    """Starts gateways: ``await serve(backend="memory", limits={"parts": 3})``."""
    monkeypatch.setattr(routes, "documents", _documents)
    async with AsyncExitStack() as running:

        async def start(**chosen: Any) -> Gate:
            blocked.starting = True
            gate = await running.enter_async_context(opened(settings(tmp_path, **chosen)))
            blocked.starting = False
            return gate

        yield start


@pytest.fixture
async def plain(serve: Serve) -> Gate:
    """A gateway for what no store has a part in."""
    return await serve(backend="memory")


@pytest.fixture(params=["memory", "local"])
async def gate(request: pytest.FixtureRequest, serve: Serve) -> Gate:
    """A gateway with a store of each kind."""
    return await serve(backend=request.param)
