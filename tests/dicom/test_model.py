"""The rules of the DICOM JSON model, one by one. `test_against_pydicom` compares whole files."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.charset import DEFAULT, character_set
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.metadata import instance_metadata
from gateway.dicom.model import DEEPEST, OPAQUE, SPARE, sequence_attribute
from tests import samples
from tests.dicom.archive import inflate, walk_of
from tests.dicom.handmade import big, el, file, implicit, item, model, open_item, open_sq, plain, sq


def test_group_lengths_file_meta_and_commands_are_left_out() -> None:
    assert model(file(el(0x00080000, "UL", bytes(4)), el(0x00080060, "CS", b"CT"))) == {"00080060": {"vr": "CS", "Value": ["CT"]}}


def test_empty_things() -> None:
    data = file(
        el(0x00080050, "SH", b""),
        el(0x00080060, "CS", b"  "),
        el(0x00080090, "PN", b"A\\\\B="),
        el(0x00081110, "SQ", b""),
        sq(0x00081115, item(), item()),
        el(0x00280010, "US", b""),
        el(0x00420011, "OB", b""),
    )
    assert model(data) == {
        "00080050": {"vr": "SH"},
        "00080060": {"vr": "CS"},
        "00080090": {"vr": "PN", "Value": [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]},
        "00081110": {"vr": "SQ"},
        "00081115": {"vr": "SQ", "Value": [{}, {}]},
        "00280010": {"vr": "US"},
        "00420011": {"vr": "OB"},
    }


def test_text_is_declared_as_utf_8_when_a_character_set_was_named() -> None:
    data = file(el(0x00080005, "CS", b"ISO_IR 144"), el(0x00100010, "PN", "Щ".encode("iso8859-5") + b" "))
    assert model(data) == {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Щ"}]}}


def test_text_is_declared_as_utf_8_when_it_is_not_ascii() -> None:
    found = model(file(el(0x00041130, "CS", b"X "), el(0x00100020, "LO", b"\xe4 ")))
    assert list(found) == ["00041130", "00080005", "00100020"]
    assert found["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}


def test_ascii_is_not_declared() -> None:
    assert "00080005" not in model(file(el(0x00100020, "LO", b"a ")))


def test_items_inherit_the_character_set_and_may_have_their_own() -> None:
    german, greek = el(0x00100020, "LO", b"\xe4 "), el(0x00080005, "CS", b"ISO_IR 126")
    data = file(el(0x00080005, "CS", b"ISO_IR 144"), sq(0x00081115, item(german), item(greek, german)), german)
    found = model(data)
    first, second = found["00081115"]["Value"]
    assert first["00100020"]["Value"] == found["00100020"]["Value"] == ["ф"]
    assert second["00100020"]["Value"] == ["δ"]
    assert second["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}


def test_values_out_of_order_come_in_order() -> None:
    found = model(
        file(
            el(0x00100020, "LO", b"b "),
            el(0x00080060, "CS", b"CT"),
            sq(0x00081115, item(el(0x00081155, "UI", b"1"), el(0x00081150, "UI", b"2"))),
        )
    )
    assert list(found) == ["00080060", "00081115", "00100020"]
    assert list(found["00081115"]["Value"][0]) == ["00081150", "00081155"]


def test_the_first_of_two_equal_tags_counts() -> None:
    again = sq(0x00081115, item(el(0x00081155, "UI", b"2")))
    data = file(el(0x00080060, "CS", b"CT"), sq(0x00081115, item()), again, el(0x00080060, "CS", b"MR"), el(0x00081030, "LO", b"ab"))
    found = model(data)
    assert found == {
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00081030": {"vr": "LO", "Value": ["ab"]},
        "00081115": {"vr": "SQ", "Value": [{}]},
    }


def test_one_bad_element_does_not_cost_the_data_set() -> None:
    found = model(file(el(0x00280010, "US", b"abc"), el(0x00280011, "US", b"\1\0"), el(0x00280030, "DS", b"1,5\\2.5")))
    assert found == {
        "00280010": {"vr": "UN", "BulkDataURI": "@/bulkdata/00280010"},
        "00280011": {"vr": "US", "Value": [1]},
        "00280030": {"vr": "DS", "Value": ["1,5", 2.5]},
    }


@pytest.mark.parametrize(
    ("vr", "size", "where"),
    [
        ("OB", 2, "BulkDataURI"),
        ("OW", 2, "BulkDataURI"),
        ("UN", 2, "BulkDataURI"),
        ("OF", 2048, "InlineBinary"),
        ("OF", 2052, "BulkDataURI"),
        ("OD", 2048, "InlineBinary"),
        ("OL", 2052, "BulkDataURI"),
        ("OV", 2056, "BulkDataURI"),
        ("US", 1024, "Value"),
        ("US", 1026, "BulkDataURI"),
        ("SS", 1026, "BulkDataURI"),
        ("AT", 2048, "Value"),
        ("AT", 2052, "BulkDataURI"),
        ("FD", 4096, "Value"),
        ("FD", 4104, "BulkDataURI"),
        ("UV", 4104, "BulkDataURI"),
        ("UT", 100_000, "Value"),
        ("DS", 60_000, "Value"),
    ],
)
def test_where_values_are(vr: str, size: int, where: str) -> None:
    value = (b"1" if vr in {"UT", "DS"} else b"\0") * size
    found = model(file(el(0x00090002, vr, value)))["00090002"]
    assert found.keys() == {"vr", where}
    assert found["vr"] == vr
    if where == "InlineBinary":
        assert b64decode(found[where]) == value


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, 0x7FE00010])
def test_pixel_data_is_always_apart(tag: int) -> None:
    vr = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}[tag]
    assert model(file(el(tag, vr, bytes(8)))) == {f"{tag:08X}": {"vr": vr, "BulkDataURI": f"@/bulkdata/{tag:08X}"}}


def test_fragments_are_apart_and_bytes() -> None:
    pixels = el(0x7FE00010, "OW", plain(0xFFFEE000, b"") + plain(0xFFFEE000, b"ab") + plain(0xFFFEE0DD, b""), length=0xFFFFFFFF)
    icon = sq(0x00880200, item(el(0x00280010, "US", b"\1\0"), pixels))
    assert model(file(icon, pixels)) == {
        "00880200": {
            "vr": "SQ",
            "Value": [{"00280010": {"vr": "US", "Value": [1]}, "7FE00010": {"vr": "OB", "BulkDataURI": "@/bulkdata/00880200/0/7FE00010"}}],
        },
        "7FE00010": {"vr": "OB", "BulkDataURI": "@/bulkdata/7FE00010"},
    }


def test_uris_name_the_way_through_items() -> None:
    wave = el(0x54001010, "OW", b"abcd")
    found = model(file(open_sq(0x54000100, item(), open_item(sq(0x00081115, item(wave)), wave))))
    second = found["54000100"]["Value"][1]
    assert second["54001010"]["BulkDataURI"] == "@/bulkdata/54000100/1/54001010"
    assert second["00081115"]["Value"][0]["54001010"]["BulkDataURI"] == "@/bulkdata/54000100/1/00081115/0/54001010"


def test_big_endian_values_come_in_little_endian() -> None:
    data = big(el(0x00280010, "US", b"\1\2", False), el(0x00660016, "OF", b"\1\2\3\4", False), el(0x00720026, "AT", b"\0\x10\0\x20", False))
    assert model(data) == {
        "00280010": {"vr": "US", "Value": [0x0102]},
        "00660016": {"vr": "OF", "InlineBinary": "BAMCAQ=="},
        "00720026": {"vr": "AT", "Value": ["00100020"]},
    }


def test_a_sequence_of_vr_un_is_little_endian_among_big_endian_elements() -> None:
    inner = item(plain(0x00280010, b"\1\0"))
    data = big(el(0x00081115, "UN", inner + plain(0xFFFEE0DD, b""), False, 0xFFFFFFFF), el(0x00280010, "US", b"\0\2", False))
    found = model(data)
    assert found["00081115"]["Value"][0]["00280010"]["Value"] == [1]
    assert found["00280010"]["Value"] == [2]


@pytest.mark.parametrize(("representation", "vr", "value"), [(b"\0\0", "US", 65535), (b"\1\0", "SS", -1)])
def test_implicit_vrs_hang_on_elements_that_come_later(representation: bytes, vr: str, value: int) -> None:
    inner = item(plain(0x00280120, b"\xff\xff"))
    data = implicit(plain(0x00081115, inner), plain(0x00189810, b"\xff\xff"), plain(0x00280103, representation))
    found = model(data)
    assert found["00189810"] == {"vr": vr, "Value": [value]}
    assert found["00081115"]["Value"][0]["00280120"] == {"vr": vr, "Value": [value]}


def test_implicit_private_elements_are_known_by_their_creator() -> None:
    creator = plain(0x00430010, b"GEMS_PARM_01")
    found = model(implicit(creator, plain(0x00431027, b"0.5:1 "), plain(0x004310FE, b"ab")))
    assert found["00430010"] == {"vr": "LO", "Value": ["GEMS_PARM_01"]}
    assert found["00431027"] == {"vr": "SH", "Value": ["0.5:1"]}
    assert found["004310FE"] == {"vr": "UN", "BulkDataURI": "@/bulkdata/004310FE"}


def test_un_of_a_known_tag_is_what_the_dictionary_says() -> None:
    data = file(el(0x00080005, "UN", b"ISO_IR 144"), el(0x00100020, "UN", "Щ ".encode("iso8859-5")), el(0x00280010, "UN", b"\1\2"))
    found = model(data)
    assert found["00100020"] == {"vr": "LO", "Value": ["Щ"]}
    assert found["00280010"] == {"vr": "US", "Value": [0x0201]}


CREATOR = plain(0x20010010, b"Philips Imaging DD 001")
PRIVATE = 0x2001105F  # SQ in the private dictionary


def test_a_private_sequence_is_looked_into_with_its_values_in_place() -> None:
    inner = item(plain(0x00080100, b"AB"), plain(0x00420011, b"xyz!"), plain(0x00431001, b"??"))
    assert model(implicit(CREATOR, plain(PRIVATE, inner)))["2001105F"] == {
        "vr": "SQ",
        "Value": [
            {
                "00080100": {"vr": "SH", "Value": ["AB"]},
                "00420011": {"vr": "OB", "InlineBinary": "eHl6IQ=="},
                "00431001": {"vr": "UN", "InlineBinary": "Pz8="},
            }
        ],
    }


@pytest.mark.parametrize("inner", [b"no items", item(plain(0x00080100, bytes(OPAQUE)))])
def test_a_private_sequence_that_is_none_or_long_is_one_value(inner: bytes) -> None:
    assert model(implicit(CREATOR, plain(PRIVATE, inner)))["2001105F"] == {"vr": "UN", "BulkDataURI": "@/bulkdata/2001105F"}


def test_what_is_looked_into_is_bounded() -> None:
    text = [plain(0x00430010 + block, b"GEMS_PARM_01") for block in range(20)]
    text += [plain(0x00431027 + (block << 8), b"a" * OPAQUE) for block in range(20)]
    kinds = [set(attribute) for attribute in model(implicit(*text)).values()][20:]
    assert kinds == [{"vr", "Value"}] * (SPARE // OPAQUE) + [{"vr", "BulkDataURI"}] * (20 - SPARE // OPAQUE)


def test_binary_values_in_place_are_bounded() -> None:
    many = [el(0x00090000 + number, "OF", bytes(2048)) for number in range(0x1000, 0x1000 + SPARE // 2048 + 8)]
    kinds = [set(attribute) for attribute in model(file(*many)).values()]
    assert kinds.count({"vr", "InlineBinary"}) == SPARE // 2048
    assert kinds.count({"vr", "BulkDataURI"}) == 8


def test_an_item_that_cannot_be_walked_is_empty() -> None:
    found = model(file(sq(0x00081115, item(b"\1"), item(el(0x00081150, "UI", b"1\0")))))
    assert found["00081115"]["Value"] == [{}, {"00081150": {"vr": "UI", "Value": ["1"]}}]


def test_an_item_tag_with_a_vr_is_no_item() -> None:
    stray = el(0xFFFEE000, "LO", b"ab")
    data = file(el(0x00080060, "CS", b"CT"), stray, sq(0x00081115, item(stray, el(0x00081150, "UI", b"1\0")), item()))
    assert model(data) == {
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00081115": {"vr": "SQ", "Value": [{"00081150": {"vr": "UI", "Value": ["1"]}}, {}]},
    }


def test_nesting_stops_before_json_does() -> None:
    data = el(0x00100020, "LO", b"ab")
    for _ in range(DEEPEST + 20):
        data = open_sq(0x00081115, open_item(data))
    walk = Walk(record=True, limits=Limits(depth=200))
    walk.feed(file(data))
    walk.finish()
    found = orjson.loads(instance_metadata(file(data), walk.events, syntax=walk.syntax, bulk_prefix="@"))
    for _ in range(DEEPEST):
        found = found["00081115"]["Value"][0]
    assert found["00081115"]["vr"] == "UN"
    assert found["00081115"]["BulkDataURI"].count("/00081115") == DEEPEST + 1


def test_hostile_text_is_json() -> None:
    text = "<script>\"'\\u0000\x01\x7f\u2028\r\n".encode()
    assert model(file(el(0x00080005, "CS", b"ISO_IR 192"), el(0x00204000, "LT", text)))["00204000"]["Value"] == [text.decode()]


def test_surrogates_never_reach_the_json() -> None:
    found = model(file(el(0x00080005, "CS", b"ISO_IR 192"), el(0x00100020, "LO", b"\xed\xa0\x80")))
    assert found["00100020"]["Value"] == ["\ufffd\ufffd\ufffd"]


def test_a_sequence_by_itself() -> None:
    raw = item(el(0x00080104, "LO", "Ä".encode("latin-1") + b" "))
    assert sequence_attribute(raw, DEFAULT, explicit=True, little=True) == {
        "vr": "SQ",
        "Value": [{"00080104": {"vr": "LO", "Value": ["Ä"]}}],
    }
    greek = sequence_attribute(raw, character_set(b"ISO_IR 126"), explicit=True, little=True)
    assert greek is not None
    assert greek["Value"][0]["00080104"]["Value"] == ["Δ"]
    assert sequence_attribute(b"", DEFAULT, explicit=True, little=True) == {"vr": "SQ"}
    assert sequence_attribute(b"nonsense", DEFAULT, explicit=True, little=True) is None


DAMAGED = [samples.mr(), samples.implicit(), samples.big_endian(), samples.encapsulated(), samples.report(3), samples.report(3, False)]


@given(st.sampled_from(DAMAGED), st.lists(st.tuples(st.integers(132, 2000), st.integers(0, 255)), max_size=8))
def test_damage_that_a_walk_accepts_is_json_all_the_same(data: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(data)] = value
    walk = walk_of(bytes(damaged))
    if walk is not None:
        text = instance_metadata(inflate(bytes(damaged), walk), walk.events, syntax=walk.syntax, bulk_prefix="@")
        ordered(orjson.loads(text))


def ordered(attributes: dict[str, Any]) -> None:
    assert list(attributes) == sorted(attributes)
    for attribute in attributes.values():
        assert "vr" in attribute
        assert len(attribute) <= 2
        for value in attribute.get("Value", ()) if attribute["vr"] == "SQ" else ():
            ordered(value)
