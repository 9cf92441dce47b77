"""What an element is when its own header does not say: private tags, UN, and VRs that hang on another element.

The answers are those of PS3.5 6.2.2 and Annex A and PS3.6, with the private dictionary that pydicom carries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from gateway.dicom import tables
from gateway.dicom.vrs import implicit_vr

LONGEST_SHORT = 0xFFFF
"""A public element of VR UN is taken for its dictionary's VR below this length in bytes. What is longer may be UN only because
its VR has no room for the length (PS3.5 6.2.2), and stays UN."""

PIXEL_REPRESENTATION = 0x00280103
LUT_DESCRIPTOR = 0x00283002

Find = Callable[[int], int | None]
"""First number of a tag in the nearest data set that has it: the one at hand, or the ones around it."""


def is_private(tag: int) -> bool:
    """Whether the group number is odd (PS3.5 7.8)."""
    return bool(tag & 0x10000)


def creator_tag(tag: int) -> int:
    """Where the private creator of a private data element stands (PS3.5 7.8.1)."""
    return (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)


@lru_cache(maxsize=4096)
def private_vr(tag: int, creator: str) -> str:
    """The VR that the private dictionary has for `tag` under `creator`, ``UN`` when it has none."""
    vr = tables.private_vr(tag, creator)
    return "UN" if vr is None or vr == "OB_OW" else vr  # the latter is a slip of the dictionary


def known_vr(tag: int, length: int, creator: str | None) -> str:
    """The VR behind a UN, ``UN`` when nothing is known.

    :param length: of the value in bytes.
    :param creator: the private creator for a private tag, None when the data set names none.
    """
    if is_private(tag):
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            return "LO"
        return "UN" if creator is None else private_vr(tag, creator)
    return implicit_vr(tag) if length < LONGEST_SHORT else "UN"


def chosen_vr(vr: str, find: Find) -> str:
    """One VR out of a choice such as ``US or SS``; any other comes back as it is.

    The choice is offered only where no header names a VR, and there binary data is in words of 16 bits (PS3.5 A.1).

    :param find: looks at other elements (PS3.3 C.7.6.3.1.5 and C.11.1.1 say which decide).
    """
    if vr == "US or SS":
        return "SS" if find(PIXEL_REPRESENTATION) == 1 else "US"
    if vr == "US or OW":
        return "US" if find(LUT_DESCRIPTOR) == 1 else "OW"
    return "OW" if " or " in vr else vr
