from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.sections.base import MIB, Count, Seconds, Section, Size


class Table(Section):
    """One."""

    size: Size
    seconds: Seconds = 1
    count: Count = 1
    file: Path | None = None
    good: bool = False


def test_sizes_are_written_with_units() -> None:
    assert Table(size="64MiB").size == 64 * MIB


@pytest.mark.parametrize(
    "bad",
    [
        {"size": -1},
        {"size": 1, "seconds": float("inf")},
        {"size": 1, "count": 0},
        {"size": 1, "other": 1},
        {"size": True},
        {"size": 1, "file": ""},
    ],
)
def test_what_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Table(**bad)


def test_what_may_be_true_or_nothing_is(tmp_path: Path) -> None:
    assert Table(size=1, good=True).good
    assert Table(size=1, file=tmp_path).file == tmp_path
    assert Table(size=1, file=None).file is None
