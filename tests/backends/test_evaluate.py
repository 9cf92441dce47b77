"""Matching in Python; the contract suite compares it with the SQL of the local store."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.backends.evaluate import PATTERNS, _fitting, all_match, value_matches
from gateway.dicomweb.matching import AnyOf, Empty, Exact, Fuzzy, Match, Moments, Range, Universal, Wildcard
from gateway.dicomweb.query import Filter

NAME = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}


@pytest.mark.parametrize(
    ("value", "vr", "match", "expected"),
    [
        ("CT", "CS", Exact("CT"), True),
        ("CT", "CS", Exact("ct"), False),
        ("CT", "CS", AnyOf(("CT", "MR")), True),
        ("US", "CS", AnyOf(("CT", "MR")), False),
        ("Knee [left]", "LO", Wildcard("*[left]"), True),
        ("Kneel", "LO", Wildcard("*[left]"), False),
        ("Knee", "LO", Wildcard("?nee"), True),
        ("nee", "LO", Wildcard("?nee"), False),
        ("a\nb", "LT", Wildcard("a*b"), True),
        ("20240131", "DA", Range("20240101", None), True),
        ("20240131", "DA", Range(None, "20240130"), False),
        ("20240131", "DA", Range("20240131", "20240131"), True),
        ("1030", "TM", Range("103000.000000", "103059.999999"), True),
        ("103100", "TM", Range("103000.000000", "103059.999999"), False),
        (2, "IS", Exact("2"), True),
        (2, "IS", Exact("+02"), True),
        (2.5, "DS", Exact("2.50"), True),
        (2, "IS", Exact("3"), False),
        (2, "IS", AnyOf(("1", "2")), True),
        ("2", "IS", Exact("2"), True),
        (None, "CS", Exact(""), False),
        (None, "CS", Wildcard("*"), False),
        ("anything", "LO", Universal(), True),
        (NAME, "PN", Exact("yamada^tarou"), True),
        (NAME, "PN", Exact("Yamada"), False),
        (NAME, "PN", Wildcard("YAMADA*"), True),
        (NAME, "PN", Wildcard("*tarou"), True),
        (NAME, "PN", Exact("山田^太郎"), True),
        (NAME, "PN", Exact("Yamada^Tarou=山田^太郎"), True),
        (NAME, "PN", Exact("Yamada^Tarou=やまだ^たろう"), False),
        (NAME, "PN", Fuzzy("tar"), True),
        (NAME, "PN", Fuzzy("nobody yam"), True),
        (NAME, "PN", Fuzzy("arou"), False),
        (NAME, "PN", Fuzzy("^"), False),
        (NAME, "PN", Wildcard("*山田*"), True),
        (NAME, "PN", AnyOf(("DOE^JANE", "YAMADA^TAROU")), True),
        ({"Alphabetic": "MÜLLER"}, "PN", Exact("müller"), True),
        ({"Alphabetic": "MÜLLER"}, "PN", Exact("Muller^"), True),
        ("00280010", "AT", Exact("00280010"), True),
        ("20240131103000+0100", "DT", Range("20240131093000", "20240131093000"), True),
        ("20240131103000+0100", "DT", Range("2024", "2024"), True),
        ("20240131103000", "DT", Range("202402", None), False),
        ("no date", "DT", Range("2024", None), False),
        (2**60 + 1, "UV", Exact(str(2**60)), False),
        (2, "IS", Exact("two"), False),
        ({"Ideographic": "山田"}, "PN", Exact("=山田"), True),
        ({}, "PN", Wildcard("*"), False),
    ],
)
def test_one_value(value: Any, vr: str, match: Match, expected: bool) -> None:
    assert value_matches(value, vr, match) is expected


def matches(attributes: dict[str, Any], *filters: Filter) -> bool:
    return all_match(attributes, filters)


def test_one_of_several_values_is_enough() -> None:
    attributes = {"00080061": {"vr": "CS", "Value": ["CT", None, "SEG"]}}
    assert matches(attributes, Filter((0x00080061,), "CS", Exact("SEG")))
    assert not matches(attributes, Filter((0x00080061,), "CS", Exact("MR")))


SEQUENCE = (0x00400275, 0x00400009)
OTHER = (0x00400275, 0x00401001)


def text(value: str) -> dict[str, Any]:
    return {"vr": "SH", "Value": [value]}


def test_values_in_all_items_of_a_sequence_are_looked_at() -> None:
    items = [{}, None, {"00400009": text("A")}, {"00400009": text("B")}]
    attributes = {"00400275": {"vr": "SQ", "Value": items}}
    for value, expected in (("A", True), ("B", True), ("C", False)):
        assert matches(attributes, Filter(SEQUENCE, "SH", Exact(value))) is expected


def test_keys_into_one_sequence_have_to_match_in_one_item() -> None:
    items = [{"00400009": text("A"), "00401001": text("1")}, {"00400009": text("B"), "00401001": text("2")}]
    attributes = {"00400275": {"vr": "SQ", "Value": items}}
    assert matches(attributes, Filter(SEQUENCE, "SH", Exact("A")), Filter(OTHER, "SH", Exact("1")))
    assert not matches(attributes, Filter(SEQUENCE, "SH", Exact("A")), Filter(OTHER, "SH", Exact("2")))


@pytest.mark.parametrize("attributes", [{}, {"00100020": {"vr": "LO"}}])
def test_what_is_missing_or_empty_only_matches_everything_or_nothing(attributes: dict[str, Any]) -> None:
    assert matches(attributes, Filter((0x00100020,), "LO", Universal()))
    assert matches(attributes, Filter((0x00100020,), "LO", Empty()))
    assert not matches(attributes, Filter((0x00100020,), "LO", Wildcard("*")))
    assert not matches(attributes, Filter((0x00100020,), "LO", Range(None, None)))


@pytest.mark.parametrize("items", [[], [{}], [{"00400009": {"vr": "SH"}}]])
def test_no_value_inside_a_sequence(items: list[Any]) -> None:
    attributes = {"00400275": {"vr": "SQ", "Value": items}}
    assert matches(attributes, Filter(SEQUENCE, "SH", Empty()))
    assert not matches({"00400275": {"vr": "SQ", "Value": [{"00400009": text("A")}]}}, Filter(SEQUENCE, "SH", Empty()))


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20240101", "0959", False),
        ("20240101", "10", True),
        ("20240102", "0300", True),
        ("20240103", "1200", True),
        ("20240103", "120001", False),
        ("20240102", None, True),
        ("20240101", None, False),
        (None, "10", False),
    ],
)
def test_dates_and_times_together_are_moments(date: str | None, time: str | None, expected: bool) -> None:
    given = {"00080020": ("DA", date), "00080030": ("TM", time)}
    attributes = {key: {"vr": vr, "Value": [value]} if value else {"vr": vr} for key, (vr, value) in given.items()}
    item = Filter((0x00080020,), "DA", Moments(0x00080030, ("20240101", "100000.000000"), ("20240103", "120000.999999")))
    assert matches(attributes, item) is expected


def test_the_value_of_a_private_tag_is_matched_by_its_own_representation() -> None:
    attributes = {"00091001": {"vr": "PN", "Value": [{"Alphabetic": "Doe"}]}, "00091002": {"vr": "FD", "Value": [1.5]}}
    assert matches(attributes, Filter((0x00091001,), "UN", Exact("DOE")))
    assert matches(attributes, Filter((0x00091002,), "UN", Exact("1.50")))
    moments = {"00091003": {"vr": "TM", "Value": ["122538"]}, "00091004": {"vr": "DA", "Value": ["20240131"]}}
    assert matches(moments, Filter((0x00091003,), "UN", Exact("122538")))
    assert matches(moments, Filter((0x00091003,), "UN", Wildcard("1225?8")))
    assert not matches(moments, Filter((0x00091003,), "UN", AnyOf(("1225", "122539"))))
    assert matches(moments, Filter((0x00091004,), "UN", Exact("20240131")))


def test_a_pattern_of_many_stars_is_matched_in_no_time() -> None:
    assert not value_matches("a" * 2000, "LO", Wildcard("*a" * 20 + "*b"))


def test_patterns_of_strangers_are_not_kept_without_bound() -> None:
    for number in range(2 * PATTERNS):
        assert value_matches(f"key {number}", "LO", Wildcard(f"*y {number}"))
        assert value_matches({"Alphabetic": f"Doe^{number}"}, "PN", Wildcard(f"D?E^{number}*"))
    assert _fitting.cache_info().currsize == PATTERNS
