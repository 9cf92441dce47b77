"""A gateway for all tests of a module, with a store of each kind. Who asks it runs on the loop of the module, where it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.web.gate import Gate, opened, settings


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "local"])
async def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    limits = {"results_default": 5000, "results_max": 5000}
    server = {"cors_origins": ["https://viewer.example"]}
    async with opened(settings(tmp_path_factory.mktemp("gate"), request.param, limits=limits, server=server)) as started:
        yield started
