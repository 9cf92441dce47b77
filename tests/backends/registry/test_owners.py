from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gateway.backends.registry.owners import Owners

HOLD = """
import sys
from pathlib import Path
from gateway.backends.registry.owners import Owners
print(Owners(Path(sys.argv[1])).me, flush=True)
input()
"""


def test_a_process_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    mine = Owners(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        other = int(process.stdout.readline())
        assert mine.alive(mine.me) and mine.alive(other)
        process.kill()
    assert not mine.alive(other)
    assert not mine.alive(12345)
    assert [path.name for path in tmp_path.iterdir()] == [f"{mine.me:x}"]
    mine.close()
    assert list(tmp_path.iterdir()) == []
