from __future__ import annotations

import asyncio
import os
import signal

import pytest

from gateway.signals import on_hangup


async def test_a_terminal_that_goes_is_told() -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    on_hangup(loop, told.set)
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(told.wait(), 30)
    assert loop.remove_signal_handler(signal.SIGHUP)


async def test_nohup_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    on_hangup(loop, told.set)
    assert not loop.remove_signal_handler(signal.SIGHUP)
