"""What every backend that keeps instances can be told."""

from __future__ import annotations

from enum import Enum


class OnDuplicate(Enum):
    """What happens to an instance whose three UIDs are stored already, with other bytes."""

    REJECT = "reject"
    REPLACE = "replace"
    SKIP = "skip"
