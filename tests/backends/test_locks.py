from __future__ import annotations

import os
from pathlib import Path

from gateway.backends.locks import try_lock


def test_one_holds_it_until_he_lets_go(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = try_lock(path)
    assert first is not None and try_lock(path) is None
    assert not os.get_inheritable(first), "a process that is started does not keep it"
    os.close(first)
    second = try_lock(path)
    assert second is not None
    os.close(second)
