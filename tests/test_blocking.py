"""The detector of blocking calls detects."""

from __future__ import annotations

import asyncio
import builtins
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests import blocking


def written_in_the_gateway(code: str) -> Callable[[], Any]:
    """A function of no arguments whose code seems to be the gateway's."""
    space: dict[str, Any] = {"os": os, "time": time, "sqlite3": sqlite3, "builtins": builtins, "Path": Path}
    exec(compile(f"def run():\n    return {code}", f"{blocking.OURS}somewhere.py", "exec"), space)  # noqa: S102 - our own few lines
    made: Callable[[], Any] = space["run"]
    return made


CALLS = [
    "os.stat('/')",
    "os.listdir('/')",
    "os.open('/', 0)",
    "os.pread(0, 1, 0)",
    "os.preadv(0, [bytearray(1)], 0)",
    "os.fsync(0)",
    "builtins.open('/etc/hostname')",
    "Path('/etc/hostname').read_bytes()",
    "Path('/').exists()",
    "time.sleep(0)",
    "sqlite3.connect(':memory:')",
]


@pytest.mark.parametrize("code", CALLS)
async def test_a_blocking_call_of_the_gateway_on_the_loop_is_found(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    found = blocking.watch(monkeypatch)
    with pytest.raises(blocking.Blocked):
        written_in_the_gateway(code)()
    assert len(found) == 1
    assert "somewhere.py:2" in found[0]


async def test_statements_to_the_index_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocking.watch(monkeypatch)
    connection = await asyncio.to_thread(written_in_the_gateway("sqlite3.connect(':memory:', check_same_thread=False)"))
    run = written_in_the_gateway("connection.execute('SELECT 1')")
    run.__globals__["connection"] = connection
    assert (await asyncio.to_thread(run)).fetchone() == (1,)
    with pytest.raises(blocking.Blocked):
        run()
    assert len(found) == 1
    connection.close()


async def test_tests_threads_and_starts_may_block(monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocking.watch(monkeypatch)
    assert Path("/").exists()
    look = written_in_the_gateway("os.listdir('/')")
    assert await asyncio.to_thread(look)
    found.starting = True
    assert look()
    assert found == []


async def test_a_read_that_does_not_wait_may_be_on_the_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = blocking.watch(monkeypatch)
    (tmp_path / "file").write_bytes(b"x")
    with (tmp_path / "file").open("rb") as file:
        run = written_in_the_gateway(f"os.preadv({file.fileno()}, [bytearray(1)], 0, os.RWF_NOWAIT)")
        with suppress(OSError):  # not in the page cache, or a file system that cannot tell
            assert run() == 1
    assert found == []


def test_without_a_loop_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocking.watch(monkeypatch)
    assert written_in_the_gateway("os.listdir('/')")()
    assert found == []
