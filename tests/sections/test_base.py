from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.sections.base import MIB, Count, Seconds, Section, Size


class Table(Section):
    """One."""

    size: Size
    seconds: Seconds = 1
    count: Count = 1


def test_sizes_are_written_with_units() -> None:
    assert Table(size="64MiB").size == 64 * MIB


@pytest.mark.parametrize("bad", [{"size": -1}, {"size": 1, "seconds": float("inf")}, {"size": 1, "count": 0}, {"size": 1, "other": 1}])
def test_what_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Table(**bad)
