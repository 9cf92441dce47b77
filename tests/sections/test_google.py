from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.sections.google import Emulator


@pytest.mark.parametrize(
    "bad", [{"error_rate": 1.1}, {"error_rate": float("nan")}, {"statuses": [200]}, {"statuses": []}, {"retry_after": -1}]
)
def test_an_emulator_errs_as_google_does_or_not_at_all(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Emulator(**bad)
    assert Emulator().error_rate == 0
