"""Metadata of an origin: cut while it arrives, and written as ours."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.upstream import rewriting
from gateway.backends.upstream.rewriting import Splitter, remade
from gateway.dicomweb.resources import Resource
from gateway.errors import OriginFailed

INSTANCE = Resource("1.1", "1.1.1", "1.1.1.1")
BASE = "@/studies/1.1/series/1.1.1/instances/1.1.1.1/bulkdata/"
OBJECTS = [b"{}", b'{"a":"}{]"}', rb'{"a":"\\\"}","b":{"c":[{},{"d":1}]}}', '{"Ö":"\\u00d6{"}'.encode()]


def split(*pieces: bytes) -> list[bytes]:
    splitter = Splitter()
    return [one for piece in pieces for one in splitter.feed(piece)] + splitter.finish()


def made(model: dict[str, Any], resource: Resource = INSTANCE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(remade(json.dumps(model).encode(), resource))
    return found


@given(st.lists(st.integers(0, 120)))
def test_any_cut_of_an_array_gives_its_objects(cuts: list[int]) -> None:
    text = b" [\r\n" + b" ,\n".join(OBJECTS) + b"\t]\n"
    ends = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert split(*(text[start:end] for start, end in pairwise(ends))) == OBJECTS


@pytest.mark.parametrize("text", [b"", b"[]", b" [ ] "])
def test_nothing_is_no_object(text: bytes) -> None:
    assert split(text) == []


@pytest.mark.parametrize("text", [b'[{"a":1}', b"[{}, {", b'[{"a":"', b"[{}]}", b"[{},"])
def test_an_array_that_breaks_off_is_an_error(text: bytes) -> None:
    with pytest.raises(OriginFailed, match="whole JSON array"):
        split(text)


def test_one_instance_is_held_at_most_and_not_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "DOCUMENT", 100)
    assert len(split(b"[", *[b'{"a":"' + b"x" * 80 + b'"},'] * 50, b"{}]")) == 51
    with pytest.raises(OriginFailed, match="more than 100 bytes"):
        split(b'[{"a":"' + b"x" * 200)


def test_a_long_value_is_not_looked_through_at_every_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "RESCANNED", 1000)
    splitter = Splitter()
    splitter.feed(b'[{"a":"' + b"x" * 1500)
    assert splitter._need > 2500
    assert splitter.feed(b"x" * 500) == []
    assert len(splitter.feed(b"x" * 3000 + b'"}]')) == 1


def test_tags_ascend_and_what_does_not_belong_is_left_out() -> None:
    model = {
        "7fe00010": {"vr": "OW", "BulkDataURI": "http://pacs/secret/path"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
        "00081190": {"vr": "UR", "Value": ["http://pacs/studies/1.1"]},
        "00080000": {"vr": "UL", "Value": [9]},
        "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]},
        "comment": {"vr": "LO", "Value": ["x"]},
    }
    text = remade(json.dumps(model).encode(), INSTANCE)
    assert list(json.loads(text)) == ["00100010", "7FE00010"]
    assert json.loads(text)["7FE00010"] == {"vr": "OW", "BulkDataURI": BASE + "7FE00010"}
    assert b"pacs" not in text


def test_values_keep_their_meaning() -> None:
    model = {
        "00080060": {"vr": "CS", "Value": []},
        "00080008": {"vr": "CS", "Value": ["DERIVED ", "", "AXIAL"]},
        "00080090": {"vr": "PN", "Value": [{}]},
        "00080070": {"vr": "LO", "Value": [" x \0"]},
        "00104000": {"vr": "LT"},
        "00281052": {"vr": "DS", "Value": [-1024, 0.5]},
        "00420011": {"vr": "OB", "InlineBinary": "AAAA"},
        "00081140": {"vr": "SQ", "Value": []},
    }
    assert made(model) == {
        "00080008": {"vr": "CS", "Value": ["DERIVED", None, "AXIAL"]},
        "00080060": {"vr": "CS"},
        "00080070": {"vr": "LO", "Value": [" x"]},
        "00080090": {"vr": "PN"},
        "00081140": {"vr": "SQ"},
        "00104000": {"vr": "LT"},
        "00281052": {"vr": "DS", "Value": [-1024, 0.5]},
        "00420011": {"vr": "OB", "InlineBinary": "AAAA"},
    }


def test_text_with_backslashes_is_one_value_and_bytes_have_none() -> None:
    model = {
        "00080070": {"vr": "LO", "Value": ["A", "B"]},
        "20100010": {"vr": "ST", "Value": ["STANDARD", "1,1"]},
        "7FE00008": {"vr": "OF", "Value": [0.92]},
    }
    assert made(model) == {
        "00080070": {"vr": "LO", "Value": ["A", "B"]},
        "20100010": {"vr": "ST", "Value": ["STANDARD\\1,1"]},
        "7FE00008": {"vr": "OF", "BulkDataURI": BASE + "7FE00008"},
    }


def test_what_is_no_number_costs_only_itself() -> None:
    text = b'{"00189087":{"vr":"FD","Value":[1e+9999,NaN,1.5]}}'
    assert json.loads(remade(text, INSTANCE)) == {"00189087": {"vr": "FD", "Value": [None, None, 1.5]}}


def test_text_is_utf_8_and_says_so() -> None:
    utf_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert made({"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}})["00080005"] == utf_8
    assert made({"00100020": {"vr": "LO", "Value": ["Ö"]}})["00080005"] == utf_8
    assert "00080005" not in made({"00100020": {"vr": "LO", "Value": ["O"]}})


def test_bulk_data_in_items_is_named_by_its_place() -> None:
    leaf = {"54001010": {"vr": "OW", "BulkDataURI": "http://pacs/anything"}}
    model = {"54000100": {"vr": "SQ", "Value": [{}, {"00081140": {"vr": "SQ", "Value": [leaf]}}]}}
    text = remade(json.dumps(model).encode(), INSTANCE).decode()
    assert f'"{BASE}54000100/1/00081140/0/54001010"' in text


def test_orthanc_counts_items_from_one_and_those_that_it_leaves_out_too() -> None:
    leaf = {"54001010": {"vr": "OW", "BulkDataURI": "http://o/i/bulk/54000100/1/00081140/2/54001010"}}
    model = {"54000100": {"vr": "SQ", "Value": [{"00081140": {"vr": "SQ", "Value": [leaf]}}]}}
    assert f"{BASE}54000100/0/00081140/1/54001010" in json.dumps(made(model))


def test_pixel_data_that_the_origin_leaves_out_is_named() -> None:
    picture = {tag: {"vr": "US", "Value": [8]} for tag in ("00280010", "00280011", "00280100")}
    model = picture | {"00880200": {"vr": "SQ", "Value": [picture]}, "00081140": {"vr": "SQ", "Value": [picture]}}
    found = made(model)
    assert found["7FE00010"] == {"vr": "OB", "BulkDataURI": BASE + "7FE00010"}
    assert found["00880200"]["Value"][0]["7FE00010"]["BulkDataURI"] == f"{BASE}00880200/0/7FE00010"
    assert "7FE00010" not in found["00081140"]["Value"][0]
    assert "7FE00010" not in made(picture | {"00287FE0": {"vr": "UR", "Value": ["x"]}})


def test_uids_that_the_resource_does_not_name_are_the_instances_own() -> None:
    uids = {"0020000E": {"vr": "UI", "Value": ["1.1.2"]}, "00080018": {"vr": "UI", "Value": ["1.1.2.7"]}}
    found = made(uids | {"7FE00010": {"vr": "OW", "BulkDataURI": "x"}}, Resource("1.1"))
    assert found["7FE00010"]["BulkDataURI"] == "@/studies/1.1/series/1.1.2/instances/1.1.2.7/bulkdata/7FE00010"


@pytest.mark.parametrize("text", [b"[]", b"{", b'{"00100010":1}', b'{"0020000D":{"vr":"UI","Value":["../x"]}}', b"{}"])
def test_what_is_no_data_set_is_an_error(text: bytes) -> None:
    with pytest.raises(OriginFailed):
        remade(text, Resource())


def test_only_values_are_values() -> None:
    away = {"BulkDataURI": "http://elsewhere/x"}
    model = {
        "00080050": {"vr": "SH", "Value": ["A", away, [away]]},
        "00080090": {"vr": "PN", "Value": [{"Alphabetic": away}, {"Alphabetic": "Roe", "Ideographic": 1}]},
        "00100020": {"vr": "LO", "Value": [away]},
    }
    assert made(model) == {
        "00080050": {"vr": "SH", "Value": ["A", None, None]},
        "00080090": {"vr": "PN", "Value": [None, {"Alphabetic": "Roe"}]},
        "00100020": {"vr": "LO"},
    }


def _nested(depth: int) -> bytes:
    return b'{"00081140":{"vr":"SQ","Value":[' * depth + b"{}" + b"]}}" * depth


def test_sequences_may_be_as_deep_as_those_of_instances_and_no_deeper() -> None:
    assert remade(_nested(rewriting.DEEPEST), INSTANCE) == _nested(rewriting.DEEPEST)
    for depth in (rewriting.DEEPEST + 2, 330, 5000, 100_000):
        with pytest.raises(OriginFailed):
            remade(_nested(depth), INSTANCE)


@pytest.mark.parametrize(
    "text",
    [
        rb'{"00104000":{"vr":"LT","Value":["\ud800"]}}',
        b'{"00101030":{"vr":"DS","Value":[1e9999,' + b"9" * 40 + b"]}}",
        b'{"00101030":{"vr":"DS","Value":[1e9999,' + b"9" * 5000 + b"]}}",
        b'{"00101030":{"vr":"@x","Value":[1]}}',
        b'{"00101030":{"vr":5,"Value":[1]}}',
        b'{"00100010":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"00100020":{"vr":"LO","Value":["\xff"]}}',
    ],
)
def test_what_cannot_be_written_again_is_the_origins_failure(text: bytes) -> None:
    with pytest.raises(OriginFailed, match="whole JSON array"):
        remade(text, INSTANCE)


@pytest.mark.parametrize("key", ["0020000D", "0020000E", "00080018"])
def test_what_belongs_to_something_else_is_not_taken_for_what_was_asked_for(key: str) -> None:
    with pytest.raises(OriginFailed, match="something else than was asked for"):
        made({key: {"vr": "UI", "Value": ["1.1.1.9"]}})
    assert made({key: {"vr": "UI"}}) == {key: {"vr": "UI"}}
