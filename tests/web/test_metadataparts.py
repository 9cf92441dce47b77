"""Metadata parts cut into instances: every array, and nothing that is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InstanceError, TooLarge
from gateway.web import metadataparts
from gateway.web.metadataparts import JSON, XML, documents, parsed

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=6), VALUES, max_size=4), max_size=5)


@given(OBJECTS, st.sampled_from([None, 1]), st.booleans())
def test_an_array_is_cut_into_what_it_holds(objects: list[Any], indent: int | None, ascii_only: bool) -> None:
    data = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert [json.loads(one) for one in documents(JSON, b"\xef\xbb\xbf\r\n" + data + b" ", 5)] == objects


@given(st.text(alphabet='[]{},:"\\ a1', max_size=14))
def test_no_more_is_taken_for_json_than_is(text: str) -> None:
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    try:
        found = [parsed(one) for one in documents(JSON, text.encode(), 100)]
    except InstanceError:
        return
    expected = whole if isinstance(whole, list) else [whole]
    assert found == [{key.upper(): value for key, value in one.items()} for one in expected]


@pytest.mark.parametrize(
    "data",
    ["[", "[{}", "[{}}", "[{},]", "[{} {}]", "[,{}]", "[[]]", "[1]", '["a"]', "[{},1]", "[{}]x", "[{}][]", "[null]", "[{}1]", '[{"a":"]}'],
)
def test_what_is_no_array_of_objects_is_refused(data: str) -> None:
    with pytest.raises(InstanceError, match="cannot be read"):
        documents(JSON, data.encode(), 100)


@pytest.mark.parametrize(
    "data", [b"", b"7", b'"Doe"', b"{", b'{"Doe"}', b'{"a":NaN}', b'{"a":"\xff"}', b"{" * 5000, b'{"a":' * 2000 + b"1" + b"}" * 2000]
)
def test_what_is_no_object_is_refused_and_not_shown(data: bytes) -> None:
    with pytest.raises(InstanceError, match="cannot be read") as caught:
        parsed(data)
    assert "Doe" not in caught.value.message


def test_an_object_by_itself_is_an_instance() -> None:
    assert documents(JSON, b' {"0020000d": {}} ', 1) == [b'{"0020000d": {}}']
    assert parsed(b'{"0020000d": {}}') == {"0020000D": {}}


def test_members_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadataparts, "MEMBERS", 10)
    monkeypatch.setattr(metadataparts, "WHOLE", 0)
    parsed(b'{"a":[1,2,3,4,5]}')
    with pytest.raises(InstanceError, match="more than 10 members"):
        parsed(b'{"a":[1,{},{},{},{},{}]}')


def whole(value: Any) -> Any:
    """What was parsed, with items that are still bytes parsed as well."""
    if isinstance(value, dict):
        return {key: whole(inside) for key, inside in value.items()}
    return [whole(inside) for inside in value] if isinstance(value, list) else value


SEQUENCES: Any = st.recursive(
    st.fixed_dictionaries({"vr": st.just("LO"), "Value": st.lists(st.text(max_size=6) | st.none() | st.integers(0, 9), max_size=3)}),
    lambda inner: st.fixed_dictionaries(
        {"Value": st.lists(st.dictionaries(st.text('0A"\\:,{}[]', max_size=3), inner, max_size=3), max_size=3)}
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(alphabet='0AB"\\ :,', max_size=5), SEQUENCES, max_size=4), st.sampled_from([None, 1]), st.integers(0, 60))
def test_a_long_instance_is_what_it_is_when_cut(dataset: Any, indent: int | None, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadataparts, "WHOLE", size)
        assert whole(parsed(json.dumps(dataset, indent=indent).encode())) == dataset


@given(st.text(alphabet='{}[]:,"\\a1 ', max_size=14))
def test_a_long_instance_that_is_no_json_is_refused(text: str) -> None:
    """Cutting is as strict as parsing, but for a comma behind the last member."""
    data = b"{" + text.encode() + b"}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadataparts, "WHOLE", 0)
        try:
            found = whole(parsed(data))
        except InstanceError:
            return
    assert found == {key.upper(): value for key, value in json.loads(data.replace(b",}", b"}")).items()}


def test_instances_are_bounded() -> None:
    assert len(documents(JSON, b"[{},{},{}]", 3)) == 3
    with pytest.raises(TooLarge, match=r"limits\.parts"):
        documents(JSON, b"[" + b"{}," * 3 + b"{}", 3)


def test_xml_is_one_instance() -> None:
    data = b'<NativeDicomModel><DicomAttribute tag="0020000D" vr="UI"><Value number="1">1.2</Value></DicomAttribute></NativeDicomModel>'
    assert [parsed(one) for one in documents(XML, data, 1)] == [{"0020000D": {"vr": "UI", "Value": ["1.2"]}}]
    deep = b'<DicomAttribute tag="0040A730" vr="SQ"><Item number="1">'
    for bad in (
        b"<a/>",
        b"<!DOCTYPE a><a/>",
        b"<NativeDicomModel>" + deep * 120 + b"</Item></DicomAttribute>" * 120 + b"</NativeDicomModel>",
    ):
        with pytest.raises(InstanceError, match="cannot be read"):
            documents(XML, bad, 1)
