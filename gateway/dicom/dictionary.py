"""The data dictionary (PS3.6) as the messages need it: from keyword to tag, from tag to value representation and keyword."""

from __future__ import annotations

from functools import lru_cache

from gateway.dicom.tables import KEYWORDS, element

KNOWN = 2048
"""Tags of which the answers are remembered: a repeating group takes some microseconds, and a search at an origin asks thirty times."""


def tag(keyword: str) -> int | None:
    """The tag of a keyword (case-sensitive, retired ones included), None when there is no such keyword."""
    # The dictionary has retired elements without a keyword, and one of them would be found under the empty string.
    return KEYWORDS.get(keyword) if keyword else None


@lru_cache(KNOWN)
def vr(tag: int) -> str | None:
    """The value representation of a tag, None for private and unknown ones.

    Where the dictionary leaves a choice (``US or SS``) it is the first. Repeating groups (60xx) are known.
    """
    entry = element(tag)
    return entry[0][:2] if entry else None


@lru_cache(KNOWN)
def keyword(tag: int) -> str | None:
    """The keyword of a tag, None for private and unknown ones."""
    entry = element(tag)
    return (entry[4] or None) if entry else None


@lru_cache(KNOWN)
def several(tag: int) -> bool:
    """Whether an attribute may have more than one value; of private and unknown ones nobody knows, so they may."""
    entry = element(tag)
    return entry is None or entry[1] != "1"
