"""Values out of DICOM JSON, wherever and however it has them."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest

from gateway.pixels.render.dataset import PER_FRAME, SHARED, Attributes, bulk_path
from tests.pixels.render.subject import said


def test_numbers_are_read_as_text_and_as_numbers() -> None:
    data = said(_00281050=["40", 50, None, "x", "nan"], _00280010=512, _00081030=["  CT  "])
    assert data.decimals("00281050") == [40.0, 50.0]
    assert data.decimal("00281050") == 40.0 and data.number("00280010") == 512
    assert data.text("00081030") == "CT" and data.text("00280010") == ""
    assert data.decimal("00281051") is None and "00281051" not in data


def test_binary_values_come_from_wherever_the_model_has_them() -> None:
    inline = said(_00283006=b"\1\2")
    numbers = Attributes({"00283006": {"vr": "US", "Value": [1, 513]}})
    uri = "http://x/instances/1/bulkdata/00283000/0/00283006"
    bulk = Attributes({"00283006": {"vr": "OW", "BulkDataURI": uri}}, {"00283000/0/00283006": b"\3"})
    assert inline.octets("00283006") == b"\1\2"
    assert numbers.octets("00283006") == pack("<2H", 1, 513)
    assert bulk.octets("00283006") == b"\3"


NOTHING: list[Any] = [None, {}, "x", {"vr": "US", "Value": ["x"]}, {"vr": "US", "Value": [70000]}]
NOTHING += [{"vr": "OW", "InlineBinary": "?"}, {"vr": "OW", "BulkDataURI": "x"}]


@pytest.mark.parametrize("element", NOTHING)
def test_what_is_no_binary_value_is_none(element: Any) -> None:
    assert Attributes({"00283006": element}).octets("00283006") is None


def test_a_frame_has_its_own_group_or_the_shared_one() -> None:
    frames = [said(_00289132=[said(_00281050=1)]), said(_00289132=[said(_00281050=2)]), said()]
    data = said({PER_FRAME: frames, SHARED: [said(_00289132=[said(_00281050=9)])]})
    found = [data.group("00289132", number) for number in (1, 2, 3, 4)]
    assert [one.decimal("00281050") for one in found if one] == [1, 2, 9, 9]
    assert data.group("00289145", 1) is None


def test_one_group_is_that_of_whatever_frame_is_asked_for() -> None:
    """That is what `wanted.narrowed` leaves of a long sequence."""
    found = said({PER_FRAME: [said(_00289132=[said(_00281050=7)])]}).group("00289132", 40_000)
    assert found is not None and found.decimal("00281050") == 7


def test_a_bulk_path_is_what_stands_behind_bulkdata() -> None:
    assert bulk_path({"BulkDataURI": "@/bulkdata/54000100/0/54001010"}) == "54000100/0/54001010"
    assert bulk_path({"BulkDataURI": "file:///x"}) is None and bulk_path({}) is None
