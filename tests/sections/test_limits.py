from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from tests.sections.written import write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\nkept_bytes = -1", "limits.kept_bytes: must be a number of bytes"),
        ("[limits]\nresults_default = 6000", "limits: results_default and instances_default cannot pass"),
        ("[cache]\nentry_bytes = 1", "cache.entry_bytes: must be greater than or equal to"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, text))
    assert message in str(error.value)
