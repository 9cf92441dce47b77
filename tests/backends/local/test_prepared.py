"""Attributes as the index matches them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.backends.local.prepared import column, item_text


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        (None, None),
        ({"vr": "LO"}, None),
        ({"vr": "LO", "Value": []}, None),
        ({"vr": "LO", "Value": ["P1"]}, "P1"),
        ({"vr": "CS", "Value": ["CT", None, "MR"]}, "CT\\\\MR"),
        ({"vr": "IS", "Value": [7]}, "7"),
        ({"vr": "TM", "Value": ["1030"]}, "103000.000000"),
        ({"vr": "TM", "Value": [None, "235959.5"]}, "\\235959.500000"),
        ({"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}, "doe^jane"),
        ({"vr": "PN", "Value": [{"Alphabetic": "MÜLLER", "Phonetic": "x"}]}, "muller==x"),
        ({"vr": "PN", "Value": [{"Ideographic": "山田"}]}, "=山田"),
        ({"vr": "PN", "Value": [None]}, ""),
    ],
)
def test_values_of_an_attribute(attribute: dict[str, Any] | None, expected: str | None) -> None:
    assert column({} if attribute is None else {"00080000": attribute}, "00080000") == expected


def test_values_in_the_items_of_a_sequence() -> None:
    def item(*values: str) -> dict[str, Any]:
        return {"00400009": {"vr": "SH", "Value": list(values)}}

    def text(*items: dict[str, Any]) -> str | None:
        return item_text({"00400275": {"vr": "SQ", "Value": list(items)}}, "00400275", "00400009")

    assert text(item("A"), {}, item("B", "C"), item()) == "A\\B\\C"
    assert text({}, item()) is None
    assert text() is None
    assert item_text({}, "00400275", "00400009") is None
    assert item_text({"00400275": {"vr": "SQ"}}, "00400275", "00400009") is None


@pytest.mark.parametrize("attribute", [{"vr": "LO", "Value": ["A"]}, {"vr": "US", "Value": [7]}, {"vr": "FD", "Value": [None]}])
def test_what_a_file_gives_another_vr_has_no_items(attribute: dict[str, Any]) -> None:
    assert item_text({"00400275": attribute}, "00400275", "00400009") is None
