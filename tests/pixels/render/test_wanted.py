"""What a picture needs of a data set, and no more."""

from __future__ import annotations

from typing import Any

from gateway.pixels.render.wanted import narrowed, wanted


def bulk(path: str) -> dict[str, Any]:
    return {"vr": "OW", "BulkDataURI": f"@studies/1/series/2/instances/3/bulkdata/{path}"}


def items(*values: dict[str, Any]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(values)}


HEADER: dict[str, Any] = {
    "00080060": {"vr": "CS", "Value": ["CT"]},
    "00082112": items({"00080018": {"vr": "UI", "Value": ["1"]}}),
    "00091010": bulk("00091010"),
    "00280010": {"vr": "US", "Value": [4]},
    "00281201": bulk("00281201"),
    "00282000": bulk("00282000"),
    "00283000": items({"00283006": bulk("00283000/0/00283006")}),
    "00283010": items({"00283006": {"vr": "US", "Value": [1, 2]}}),
    "00880200": items({"00281201": bulk("00880200/0/00281201"), "7FE00010": bulk("00880200/0/7FE00010")}),
    "52009229": items({"00289132": items({"00281050": {"vr": "DS", "Value": [40]}})}),
    "52009230": items(*({"00289132": items({"00283010": items({"00283006": bulk(f"52009230/{at}/x")})})} for at in range(3))),
    "60003000": bulk("60003000"),
    "60020010": {"vr": "US", "Value": [4]},
    "60203000": bulk("60203000"),
    "7FE00010": bulk("7FE00010"),
}


def test_tables_palettes_profiles_and_overlays_are_wanted() -> None:
    assert wanted(narrowed(HEADER, 2)) == ["00281201", "00282000", "00283000/0/00283006", "60003000", "52009230/1/x"]


def test_a_header_is_narrowed_to_the_frame_and_to_what_is_looked_at() -> None:
    found = narrowed(HEADER, 3)
    assert found["52009230"]["Value"] == HEADER["52009230"]["Value"][2:]
    assert found["00280010"] == HEADER["00280010"] and found["60020010"] == HEADER["60020010"]
    assert not found.keys() & {"00082112", "00091010", "00880200", "60203000", "7FE00010"}
    assert narrowed(found, 3) == found


def test_nonsense_wants_nothing() -> None:
    odd: dict[str, Any] = {"00282000": {"vr": "OB", "BulkDataURI": 7}, "00283000": {"vr": "SQ", "Value": [None, 3]}}
    odd |= {"00283010": None, "52009230": []}
    assert wanted(narrowed(odd, 1)) == [] and wanted(narrowed({}, 0)) == [] and narrowed(HEADER, 9)["52009230"]["Value"] == []
