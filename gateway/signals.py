"""What each serving process, and the one above them, makes of a terminal that goes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def on_hangup(loop: asyncio.AbstractEventLoop, do: Callable[[], None]) -> None:
    """Does something when the terminal goes, or somebody sends SIGHUP; nothing where ``nohup`` asked that it does not matter."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, do)
