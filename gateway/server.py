"""Serves with one process or several, as the settings say.

One worker is one process and nothing else. More than one get a supervisor (`supervisor.py`), which keeps them alive; each
of them is then `worker.py` on its own, with the same drain and the same bounds on connections (`connection.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway import listening, supervisor, worker
from gateway.config import Settings


def run(settings: Settings, announce: Callable[[str], None] | None = None) -> int:
    """Serves until a signal; returns the exit code: 0 in order, 1 when something was cut off or died, 2 for bad settings.

    :param announce: is told the URL that the gateway answers at.
    :raises ConfigError: before anything is started, when the settings would open the gateway to strangers or cannot work.
    """
    listening.check(settings.server)
    if settings.workers == 1:
        return worker.run(settings, announce=announce)
    return supervisor.run(settings, announce=announce)
