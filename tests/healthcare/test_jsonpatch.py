"""JSON Patch of metadata: what RFC 6902 says, and what is not let through."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.healthcare import jsonpatch
from gateway.healthcare.jsonpatch import Patch, Unfit

NAME = {"vr": "PN", "Value": [{"Alphabetic": "Canary"}]}
METADATA: dict[str, Any] = {
    "00100010": NAME,
    "00081030": {"vr": "LO"},
    "00101001": {"vr": "PN", "Value": [{"Alphabetic": "a"}, None]},
    "00400275": {"vr": "SQ", "Value": [{"00400007": {"vr": "LO", "Value": ["b"]}}, {}]},
}


def patched(*steps: dict[str, Any]) -> dict[str, Any]:
    return Patch(list(steps)).apply(METADATA)


def step(op: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **{name.rstrip("_"): value for name, value in more.items()}}


@pytest.mark.parametrize(
    ("one", "tag", "after"),
    [
        (step("replace", "/00100010/Value/0/Alphabetic", value="New"), "00100010", {"vr": "PN", "Value": [{"Alphabetic": "New"}]}),
        (step("add", "/00100020", value={"vr": "LO", "Value": ["1"]}), "00100020", {"vr": "LO", "Value": ["1"]}),
        (step("add", "/0010001a", value={}), "0010001A", {}),
        (step("add", "/00100010", value={"vr": "PN"}), "00100010", {"vr": "PN"}),
        (step("add", "/00101001/Value/-", value=1), "00101001", {"vr": "PN", "Value": [{"Alphabetic": "a"}, None, 1]}),
        (step("add", "/00101001/Value/1", value=1), "00101001", {"vr": "PN", "Value": [{"Alphabetic": "a"}, 1, None]}),
        (step("add", "/00101001/Value/2", value=1), "00101001", {"vr": "PN", "Value": [{"Alphabetic": "a"}, None, 1]}),
        (step("remove", "/00101001/Value/0"), "00101001", {"vr": "PN", "Value": [None]}),
        (step("remove", "/00100010"), "00100010", None),
        (step("replace", "/00101001/Value/1", value=None), "00101001", METADATA["00101001"]),
        (step("move", "/00101001/Value/0", from_="/00101001/Value/1"), "00101001", {"vr": "PN", "Value": [None, {"Alphabetic": "a"}]}),
        (step("move", "/00100020", from_="/00100010"), "00100020", NAME),
        (step("copy", "/00400275/Value/1/00400007", from_="/00400275/Value/0/00400007"), "00400275", None),
        (step("test", "/00101001/Value/1", value=None), "00101001", METADATA["00101001"]),
        (step("test", "/00100010", value={"Value": [{"Alphabetic": "Canary"}], "vr": "PN"}), "00100010", NAME),
        (step("add", "/00081030/a~1b~0c", value=1), "00081030", {"vr": "LO", "a/b~c": 1}),
    ],
)
def test_operations_do_what_they_say(one: dict[str, Any], tag: str, after: Any) -> None:
    before = repr(METADATA)
    found = patched(one)
    if one["op"] == "copy":
        after = {"vr": "SQ", "Value": [METADATA["00400275"]["Value"][0]] * 2}
    assert found.get(tag) == after
    assert {key: value for key, value in found.items() if key not in (tag, "00100010")} == {
        key: value for key, value in METADATA.items() if key not in (tag, "00100010")
    }
    assert repr(METADATA) == before


def test_they_are_done_in_their_order() -> None:
    found = patched(step("remove", "/00100010"), step("add", "/00100010", value=1), step("copy", "/00100020", from_="/00100010"))
    assert (found["00100010"], found["00100020"]) == (1, 1)


@pytest.mark.parametrize(
    "one",
    [
        step("remove", "/00100020"),
        step("replace", "/00100020", value=1),
        step("replace", "/00101001/Value/2", value=1),
        step("remove", "/00101001/Value/-"),
        step("remove", "/00101001/Value/00"),
        step("add", "/00101001/Value/3", value=1),
        step("add", "/00101001/Value/x", value=1),
        step("add", "/00100010/vr/x", value=1),
        step("add", "/00100020/Value/0", value=1),
        step("move", "/00100020", from_="/00100030"),
        step("copy", "/00100020", from_="/00100030"),
        step("test", "/00100010/Value/0/Alphabetic", value="canary"),
        step("test", "/00101001/Value/1", value=False),
    ],
)
def test_what_does_not_fit_says_where_and_shows_nothing(one: dict[str, Any]) -> None:
    with pytest.raises(Unfit, match=r"^operation 2: .*/00") as caught:
        patched(step("test", "/00100010/vr", value="PN"), one)
    assert "anary" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        *(None, {}, [], [1], "x", [{"op": "add"}], [{"op": "add", "path": "/00100010"}], [{"op": "nop", "path": "/00100010"}]),
        *([{"op": ["add"], "path": "/00100010"}], [step("move", "/00100010")], [step("remove", "00100010")], [step("remove", "")]),
        *([step("remove", "/")], [step("remove", "/PatientName")], [step("remove", "/00100010~2")], [step("remove", 1)]),  # type: ignore[arg-type]  # what a caller may send
        [step("remove", "/00100010")] * (jsonpatch.MOST + 1),
        *([step("remove", f"/{tag}")] for tag in (*jsonpatch.KEPT, "0020000d", "00020010", "7FE00010", "7fe00010", "00100000")),
        [step("add", "/7FE00010", value={"vr": "OW", "InlineBinary": "AAAA"})],
        [step("move", "/00100010", from_="/0020000D")],
        [step("copy", "/00080018", from_="/0020000D")],
        [step("move", "/00400275/Value/0/00400007", from_="/00400275")],
    ],
)
def test_what_is_no_patch_or_changes_what_stays_is_refused(document: object) -> None:
    with pytest.raises(BadRequest):
        Patch(document)


def test_what_names_an_instance_can_be_tested() -> None:
    uid = {"vr": "UI", "Value": ["1.2"]}
    assert Patch([step("test", "/0020000D", value=uid)]).apply({"0020000D": uid}) == {"0020000D": uid}


def test_copies_of_copies_are_bounded() -> None:
    start = step("add", "/00400275", value={"vr": "SQ", "Value": ["x" * 1000]})
    with pytest.raises(Unfit, match="too large"):
        patched(start, *[step("copy", "/00400275/Value/-", from_="/00400275")] * 100)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda one: st.lists(one) | st.dictionaries(st.text(max_size=8), one),
    )
)
def test_anything_that_is_json_ends_in_one_of_three_ways(document: object) -> None:
    try:
        Patch(document).apply(METADATA)
    except (BadRequest, Unfit):
        return


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
                "path": st.sampled_from(
                    ["/00100010", "/00101001/Value/0", "/00101001/Value/-", "/00400275/Value/0/00400007", "/00101001/Value/0/a"]
                ),
                "from": st.sampled_from(["/00100010", "/00400275/Value/0", "/00101001/Value/1", "/00101001"]),
                "value": st.sampled_from([None, 1, {}, [], {"a": [1]}]),
            }
        ),
        min_size=1,
        max_size=8,
    )
)
def test_sequences_of_operations_leave_what_was_there(steps: list[dict[str, Any]]) -> None:
    before = repr(METADATA)
    with suppress(BadRequest, Unfit):
        Patch(steps).apply(METADATA)
    assert repr(METADATA) == before
