from __future__ import annotations

from gateway.dicomweb import reasons


def test_failure_reasons_are_those_of_the_standard() -> None:
    """PS3.18 table I.2-2 and PS3.4 table B.2-1."""
    assert {reason.name: f"{reason:04X}" for reason in reasons.Reason} == {
        "PROCESSING_FAILURE": "0110",
        "SOP_CLASS_NOT_SUPPORTED": "0122",
        "OUT_OF_RESOURCES": "A700",
        "DOES_NOT_MATCH_SOP_CLASS": "A900",
        "CANNOT_UNDERSTAND": "C000",
        "TRANSFER_SYNTAX_NOT_SUPPORTED": "C122",
    }


def test_warning_reasons_are_those_of_the_standard() -> None:
    assert sorted(f"{warning:04X}" for warning in reasons.WarningReason) == ["B000", "B006", "B007"]


def test_every_reason_fits_an_unsigned_short() -> None:
    assert all(0 < reason < 1 << 16 for reason in (*reasons.Reason, *reasons.WarningReason))
