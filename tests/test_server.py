"""One process or several: the choice, and the checks before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import server, supervisor, worker
from gateway.config import ConfigError
from tests import tiny


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was started in place of the real thing."""
    names: list[str] = []

    def note(name: str) -> Any:
        def run(*_: object, **__: object) -> int:
            names.append(name)
            return 0

        return run

    monkeypatch.setattr(worker, "run", note("worker"))
    monkeypatch.setattr(supervisor, "run", note("supervisor"))
    return names


def test_one_worker_is_one_process(tmp_path: Path, started: list[str]) -> None:
    assert server.run(tiny.settings(tmp_path, workers=1)) == 0
    assert started == ["worker"]


def test_more_workers_have_a_supervisor(tmp_path: Path, started: list[str]) -> None:
    assert server.run(tiny.settings(tmp_path, workers=3)) == 0
    assert started == ["supervisor"]


def test_nothing_starts_that_strangers_could_reach(tmp_path: Path, started: list[str]) -> None:
    with pytest.raises(ConfigError, match="token_file"):
        server.run(tiny.settings(tmp_path, host="0.0.0.0"))
    assert started == []
