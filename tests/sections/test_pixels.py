from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from tests.sections.written import write


def test_a_pixel_process_must_have_room_for_a_frame(tmp_path: Path) -> None:
    assert load(write(tmp_path, '[pixels]\nframe_bytes = "64MiB"\nmemory_bytes = "512MiB"')).pixels.memory_bytes == 512 << 20
    with pytest.raises(ConfigError, match=r"pixels: memory_bytes must be three times frame_bytes"):
        load(write(tmp_path, '[pixels]\nmemory_bytes = "1GiB"'))
