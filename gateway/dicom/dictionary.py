"""The data dictionary (PS3.6) as the messages need it: from keyword to tag, from tag to value representation and keyword."""

from __future__ import annotations

from functools import lru_cache

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword

KNOWN = 2048
"""Tags of which the answers are remembered: pydicom takes two microseconds for each, and a search at an origin asks thirty times."""


def tag(keyword: str) -> int | None:
    """The tag of a keyword (case-sensitive, retired ones included), None when there is no such keyword."""
    # The dictionary has retired elements without a keyword, and pydicom finds one of them under the empty string.
    return tag_for_keyword(keyword) if keyword else None


@lru_cache(KNOWN)
def vr(tag: int) -> str | None:
    """The value representation of a tag, None for private and unknown ones.

    Where the dictionary leaves a choice (``US or SS``) it is the first. Repeating groups (60xx) are known.
    """
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return None


@lru_cache(KNOWN)
def keyword(tag: int) -> str | None:
    """The keyword of a tag, None for private and unknown ones."""
    return keyword_for_tag(tag) or None


@lru_cache(KNOWN)
def several(tag: int) -> bool:
    """Whether an attribute may have more than one value; of private and unknown ones nobody knows, so they may."""
    try:
        return dictionary_VM(tag) != "1"
    except KeyError:
        return True
