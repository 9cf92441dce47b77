"""Exit codes of the command line and of workers."""

from __future__ import annotations

OK = 0
FAILED = 1
"""Something was cut off, refused or died."""
MISCONFIGURED = 2
"""The settings cannot work: another try is pointless."""
