"""Value representations: which two letters have which header (PS3.5 7.1.2), and what Implicit VR leaves out (PS3.6).

The dictionary is pydicom's. Tags whose VR depends on another element keep the dictionary's wording, for example
``"US or SS"``: only who reads (0028,0103) can choose.
"""

from __future__ import annotations

from gateway.dicom.tables import ELEMENTS, REPEATERS

_TWO = ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US")
_FOUR = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")

SHORT: dict[bytes, str] = {name.encode(): name for name in _TWO}
"""VRs with a length of two bytes: tag, VR, length, value (PS3.5 table 7.1-2)."""

LONG: dict[bytes, str] = {name.encode(): name for name in _FOUR}
"""VRs with two reserved bytes and a length of four (PS3.5 table 7.1-1)."""

BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW", "US or SS or OW"})
"""VRs whose values are not text or numbers of the header; they may be as large as they like."""

_DEPENDENT = {0x7FE00010: "OW"}
"""PS3.5 A.1: Implicit VR pixel data is OW whatever the bits are."""

_CURVE_DATA = 0x50003000
"""PS3.5-2004 A.1, the last edition that had curves: OB whatever its points are."""

KNOWN: dict[int, str] = {tag: entry[0] for tag, entry in ELEMENTS.items() if entry[0] != "NONE"} | _DEPENDENT

PLAIN: dict[int, str] = {tag: vr for tag, vr in KNOWN.items() if tag and vr != "SQ" and vr not in BULK}
"""Tags that a walk over Implicit VR may pass without a second look; (0000,0000) is not among them since zero bytes after
a data set look like it."""


def _repeaters() -> dict[int, dict[int, str]]:
    """VRs of repeating groups (PS3.5 7.6) and of retired elements like them: ``{mask: {masked tag: VR}}``."""
    found: dict[int, dict[int, str]] = {}
    for pattern, entry in REPEATERS.items():
        mask = int("".join("0" if digit == "x" else "F" for digit in pattern), 16)
        found.setdefault(mask, {})[int(pattern.replace("x", "0"), 16)] = entry[0]
    found[0xFF00FFFF][_CURVE_DATA] = "OB"
    return found


_REPEATERS = _repeaters()


def implicit_vr(tag: int) -> str:
    """The VR of an element whose header has none: the dictionary's, ``UN`` where no dictionary knows (PS3.5 6.2.2)."""
    vr = KNOWN.get(tag)
    if vr is not None:
        return vr
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return "UL"
    if group & 1:
        return "LO" if 0x10 <= element <= 0xFF else "UN"
    for mask, tags in _REPEATERS.items():
        vr = tags.get(tag & mask)
        if vr is not None:
            return vr
    return "UN"
