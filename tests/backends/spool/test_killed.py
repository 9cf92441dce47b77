"""A process that is killed at any moment loses nothing that it acknowledged, and what it acknowledged arrives unchanged."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from gateway.backends.local.store import LocalStore
from tests.backends.made import content
from tests.backends.spool.processes import instance, start

STARTED = 5
"""Instances that a process has acknowledged before it may be killed: by then it delivers, too."""


def killed(folder: Path, round_: int, random_: random.Random) -> list[str]:
    """Lets a process work for a moment and kills it; what it acknowledged."""
    child = start("work", folder, str(round_))
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(STARTED)]
    time.sleep(random_.uniform(0, 0.4))
    os.kill(child.pid, signal.SIGKILL)
    said += child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return [line.decode().strip() for line in said if line.endswith(b"\n")]


async def all_arrive(folder: Path, acknowledged: list[str]) -> None:
    drained = start("drain", folder)
    assert drained.stdout is not None
    drained.stdout.close()
    assert await asyncio.to_thread(drained.wait, 100) == 0
    origin = await asyncio.to_thread(LocalStore, folder / "origin", durable=False)
    for name in acknowledged:
        round_, number = name.split("-")
        assert await content(origin, f"1.{round_}", f"1.{round_}.1", f"1.{round_}.1.{number}") == instance(name), name
    await origin.aclose()


@pytest.mark.parametrize("rounds", [2, pytest.param(25, marks=pytest.mark.slow)])
async def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path, rounds: int) -> None:
    random_ = random.Random(rounds)
    acknowledged: list[str] = []
    for round_ in range(1, rounds + 1):
        acknowledged += await asyncio.to_thread(killed, tmp_path, round_, random_)
    assert len(acknowledged) >= STARTED * rounds
    await all_arrive(tmp_path, acknowledged)
