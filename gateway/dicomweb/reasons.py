"""Failure and warning reasons of a store answer (PS3.18 Annex I, PS3.4 B.2.3, GG.4)."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """A value of Failure Reason (0008,1197)."""

    PROCESSING_FAILURE = 0x0110
    """The instance is understood but cannot be stored: a duplicate with other bytes, a wrong study."""
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    """Disk, memory or another bound of the gateway; the same instance may be stored later."""
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    """What the instance says of itself does not hold together (file meta and data set disagree)."""
    CANNOT_UNDERSTAND = 0xC000
    """The bytes are not a whole DICOM data set, or pass a limit of structure."""
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122


class WarningReason(IntEnum):
    """A value of Warning Reason (0008,1196)."""

    COERCED = 0xB000
    ELEMENTS_DISCARDED = 0xB006
    DOES_NOT_MATCH_SOP_CLASS = 0xB007
