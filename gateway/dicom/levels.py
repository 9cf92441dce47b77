"""To which level of the Study Root model an attribute belongs (PS3.3 A.1.2, PS3.4 C.6.2.1).

An attribute is of the study when it stands in a module of the patient or the study, of the series when it stands in one of
the series, its equipment or its frame of reference, and else of the instance. What stands in several is taken for where
archives are asked for it. Private attributes are of the instance: nobody knows better.
"""

from __future__ import annotations

from gateway.dicomweb.resources import Level

STUDY = frozenset(
    {
        # General Study
        0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080061, 0x00080062, 0x00080090, 0x00080092, 0x00080094, 0x00080096,
        0x0008009C, 0x0008009D, 0x00080201, 0x00081030, 0x00081032, 0x00081048, 0x00081049, 0x00081060, 0x00081062, 0x00081080,
        0x00081084, 0x00081110, 0x00081120, 0x0020000D, 0x00200010, 0x00201070, 0x00201200, 0x00201202, 0x00201204, 0x00201206,
        0x00201208, 0x00321032, 0x00321033, 0x00321034, 0x00321060, 0x00321064, 0x00321066, 0x00321067, 0x00401012,
        # Patient Study: the visit
        0x00380010, 0x00380014, 0x00380060, 0x00380062, 0x00380064, 0x00380500,
        # Clinical Trial Subject, Clinical Trial Study
        0x00120010, 0x00120020, 0x00120021, 0x00120022, 0x00120023, 0x00120030, 0x00120031, 0x00120032, 0x00120040, 0x00120041,
        0x00120042, 0x00120043, 0x00120050, 0x00120051, 0x00120052, 0x00120053, 0x00120054, 0x00120055, 0x00120081, 0x00120082,
        0x00120083, 0x00120086, 0x00120087,
        # Patient: what does not stand in group 0010
        0x00120062, 0x00120063, 0x00120064,
    }
)  # fmt: skip

SERIES = frozenset(
    {
        # General Series
        0x00080021, 0x00080031, 0x00080060, 0x0008103E, 0x0008103F, 0x00081050, 0x00081052, 0x00081070, 0x00081072, 0x00081111,
        0x00081250, 0x00180015, 0x00181030, 0x00185100, 0x0020000E, 0x00200011, 0x00200060, 0x00201209, 0x00280108,
        0x00280109, 0x00400244, 0x00400245, 0x00400250, 0x00400251, 0x00400253, 0x00400254, 0x00400260, 0x00400275, 0x00400280,
        # General Equipment
        0x00080070, 0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00081041, 0x00081090, 0x00181000, 0x00181002, 0x00181003,
        0x0018100A, 0x00181020, 0x0018100B, 0x00181200, 0x00181201,
        # Frame of Reference
        0x00200052, 0x00201040,
        # Clinical Trial Series
        0x00120060, 0x00120071, 0x00120072, 0x00120073,
    }
)  # fmt: skip

_PATIENT_GROUP = 0x0010


def level_of(tag: int) -> Level:
    """The level of a top-level attribute."""
    if tag in SERIES:
        return "series"
    if tag in STUDY or tag >> 16 == _PATIENT_GROUP:
        return "study"
    return "instance"
