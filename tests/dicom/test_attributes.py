"""What an instance shows in searches."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pydicom.datadict import dictionary_has_tag

from gateway.dicom.attributes import INDEX_TAGS, Attributes, IndexAttributes, by_level, index_attributes
from gateway.dicom.elements import Walk
from gateway.dicom.metadata import instance_model
from tests.dicom.archive import inflate, readable, walk_of
from tests.dicom.handmade import el, file, implicit, item, plain, sq, walked

KEYS = {
    "study": "00080020 00080030 00080050 00080090 00100010 00100020 00100030 00100040 0020000D 00200010",
    "series": "00080060 0008103E 0020000E 00200011 00400244 00400245 00400275",
    "instance": "00080016 00080018 00200013 00280008 00280010 00280011 00280100",
}
"""PS3.18 tables 10.6.3-3 to 10.6.3-5, less what a store computes."""

DATA = file(
    el(0x00080016, "UI", b"1.2.3\0"),
    el(0x00080020, "DA", b"20240102"),
    el(0x00080060, "CS", b"CT"),
    el(0x00100010, "PN", b"Doe^Jane"),
    sq(0x00400275, item(el(0x00400009, "SH", b"SPS1"), el(0x00401001, "SH", b"RP1 "))),
)


def indexed(data: bytes) -> IndexAttributes:
    walk = Walk(wanted=INDEX_TAGS)
    walk.feed(data)
    walk.finish()
    return index_attributes(walk.values, implicit=walk.implicit, little_endian=walk.little_endian)


def levels(found: IndexAttributes) -> list[Attributes]:
    return [found.study, found.series, found.instance]


def test_a_level_is_made_when_it_is_asked_for_and_once() -> None:
    made: list[int] = []

    def make(level: int) -> Attributes:
        made.append(level)
        return {}

    found = IndexAttributes(make)
    assert not made
    assert found.series is found.series
    assert made == [1]


def test_every_tag_is_in_the_dictionary() -> None:
    assert all(dictionary_has_tag(tag) for tag in INDEX_TAGS)


@pytest.mark.parametrize("level", sorted(KEYS))
def test_the_keys_of_the_standard_are_of_their_level(level: str) -> None:
    every = index_attributes({tag: ("SQ" if tag == 0x00400275 else "SH", b"") for tag in INDEX_TAGS})
    assert set(KEYS[level].split()) <= getattr(every, level).keys()
    assert list(getattr(every, level)) == sorted(getattr(every, level))
    names = [set(found) - {"00080005"} for found in (every.study, every.series, every.instance)]
    assert sum(map(len, names)) == len(set().union(*names)) == len(INDEX_TAGS) - 1


def test_attributes_by_level() -> None:
    found = indexed(DATA)
    assert found.study == {"00080020": {"vr": "DA", "Value": ["20240102"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}
    assert found.series["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert found.instance == {"00080016": {"vr": "UI", "Value": ["1.2.3"]}}


def test_packed_attributes_are_the_same() -> None:
    plain_one, packed = indexed(DATA), indexed(DATA)
    packed.pack()
    assert packed == plain_one and packed.instance == {"00080016": {"vr": "UI", "Value": ["1.2.3"]}}


def test_packed_attributes_weigh_what_they_hold() -> None:
    raw = b"\\".join([b"AB"] * 10_000)  # as objects sixty bytes each
    names = sys.getrefcount(raw)
    found = index_attributes({0x00080008: ("CS", raw), 0x00100010: ("PN", b"x" * 1000)})
    assert sys.getrefcount(raw) > names
    found.pack()
    assert 50_000 + 1000 < found.weight < 60_000
    assert sys.getrefcount(raw) == names and found.instance is not found.instance


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("little", [True, False])
def test_sequences_come_as_their_items(explicit: bool, little: bool) -> None:
    little = little or not explicit
    inner = el(0x00400009, "SH", b"SPS1", little) if explicit else plain(0x00400009, b"SPS1")
    values = {0x00400275: ("SQ", item(inner, little=little))}
    found = index_attributes(values, implicit=not explicit, little_endian=little)
    assert found.series == {"00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["SPS1"]}}]}}


def test_text_is_declared_per_level_where_it_is_not_ascii() -> None:
    found = indexed(file(el(0x00080060, "CS", b"CT"), el(0x00100010, "PN", b"M\xfcller")))
    assert found.study == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]},
    }
    assert "00080005" not in found.series


def test_text_is_declared_on_all_levels_where_the_instance_did() -> None:
    found = indexed(file(el(0x00080005, "CS", b"ISO_IR 144"), el(0x00100010, "PN", "Щ ".encode("iso8859-5"))))
    assert found.study["00100010"]["Value"] == [{"Alphabetic": "Щ"}]
    assert found.study["00080005"] == found.series["00080005"] == found.instance["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}


def test_a_value_that_cannot_be_read_is_left_out() -> None:
    values = {0x00280010: ("US", b"abc"), 0x00280011: ("US", b"\2\0"), 0x00400275: ("SQ", b"??"), 0x00100010: ("OB", b"x")}
    assert levels(index_attributes(values)) == [{}, {}, {"00280011": {"vr": "US", "Value": [2]}}]


def test_un_is_what_the_dictionary_says() -> None:
    found = indexed(file(el(0x00100020, "UN", b"PID "), el(0x00280010, "UN", b"\1\2")))
    assert found.study["00100020"] == {"vr": "LO", "Value": ["PID"]}
    assert found.instance["00280010"] == {"vr": "US", "Value": [0x0201]}
    values = {0x00400275: ("UN", item(plain(0x00400009, b"SPS1")))}
    assert index_attributes(values, little_endian=False).series["00400275"]["Value"] == [{"00400009": {"vr": "SH", "Value": ["SPS1"]}}]


def test_implicit_vr_and_empty_values() -> None:
    found = indexed(implicit(plain(0x00080020, b""), plain(0x00080060, b"MR"), plain(0x00280010, b"\0\2")))
    assert levels(found) == [
        {"00080020": {"vr": "DA"}},
        {"00080060": {"vr": "CS", "Value": ["MR"]}},
        {"00280010": {"vr": "US", "Value": [512]}},
    ]


def test_the_model_of_the_whole_instance_says_the_same() -> None:
    walk = walked(DATA)
    found = by_level(instance_model(DATA, walk.events, syntax=walk.syntax, bulk_prefix="@").attributes)
    assert found.study == indexed(DATA).study
    assert found.instance == indexed(DATA).instance
    assert found.series["00400275"]["Value"][0]["00401001"] == {"vr": "SH", "Value": ["RP1"]}


def test_both_ways_agree_on_every_file() -> None:
    for path in readable():
        data = path.read_bytes()
        walk = walk_of(data)
        assert walk is not None
        model = instance_model(inflate(data, walk), walk.events, syntax=walk.syntax, bulk_prefix="@")
        whole, kept = by_level(model.attributes), indexed(data)
        for level in ("study", "series", "instance"):
            expected = {key: value for key, value in getattr(whole, level).items() if in_place(value)}
            assert {key: value for key, value in getattr(kept, level).items() if key in expected} == expected, path.name


def in_place(attribute: dict[str, Any]) -> bool:
    """Whether nothing of it is binary: only the model of the whole instance has URIs."""
    return not any(word in repr(attribute) for word in ("BulkDataURI", "InlineBinary"))
