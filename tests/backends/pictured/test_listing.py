"""What searches say of instances, and their order."""

from __future__ import annotations

import json
from typing import Any

from gateway.backends.pictured.listing import listed, order
from gateway.dicomweb.resources import Resource


def result(sop: str, series: str = "1.1", **values: Any) -> bytes:
    found: dict[str, Any] = {"0020000D": ["1"], "0020000E": [series], "00080018": [sop], "00080016": ["1.2.840.10008.5.1.4.1.1.2"]}
    found |= {"00080060": ["CT"]} | {tag.removeprefix("x"): [value] for tag, value in values.items()}
    return json.dumps({tag: {"vr": "XX", "Value": value} for tag, value in found.items()}).encode()


def test_what_is_said_of_an_instance() -> None:
    values: dict[str, Any] = {"x00200011": 7, "x00200013": 3, "x00280008": 20, "x00280010": 512, "x00280011": 256, "x00280100": 16}
    values["x00083002"] = "1.2"
    (one,) = listed([result("5", **values)], Resource("1"))
    assert (one.series_number, one.number, one.frames, one.rows, one.columns, one.allocated, one.syntax) == (7, 3, 20, 512, 256, 16, "1.2")
    assert one.resource == Resource("1", "1.1", "5") and (one.modality, one.sop_class) == ("CT", "1.2.840.10008.5.1.4.1.1.2")


def test_what_is_not_said() -> None:
    (one,) = listed([b'{"00080018":{"vr":"UI","Value":["5"]},"00280008":{"vr":"IS"}}'], Resource("1", "2"))
    assert one.resource == Resource("1", "2", "5")
    assert (one.frames, one.rows, one.columns, one.syntax, one.number, one.series_number) == (1, 0, 0, None, None, None)


def test_the_order_is_that_of_the_numbers() -> None:
    results = [
        result("unnumbered"),
        result("4", "1.2", x00200011=2, x00200013=1),
        result("3", "1.1", x00200011=1, x00200013=10),
        result("2", "1.1", x00200011=1, x00200013=9),
        result("1", "1.1", x00200011=1, x00200013=-1),
        result("none", "1.1", x00200011=1),
    ]
    assert [one.sop for one in sorted(listed(results, Resource("1")), key=order)] == ["1", "2", "3", "none", "4", "unnumbered"]
