"""Matching in Python; the contract suite compares it with the SQL of the local store."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.backends.evaluate import matches, padded_time, value_matches
from gateway.dicomweb.matching import AnyOf, Exact, Match, Range, Universal, Wildcard
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
        (NAME, "PN", Wildcard("*山田*"), True),
        (NAME, "PN", AnyOf(("DOE^JANE", "YAMADA^TAROU")), True),
        ({"Alphabetic": "MÜLLER"}, "PN", Exact("müller"), True),
        ({"Ideographic": "山田"}, "PN", Exact("=山田"), True),
        ({}, "PN", Wildcard("*"), False),
    ],
)
def test_one_value(value: Any, vr: str, match: Match, expected: bool) -> None:
    assert value_matches(value, vr, match) is expected


def test_one_of_several_values_is_enough() -> None:
    attributes = {"00080061": {"vr": "CS", "Value": ["CT", None, "SEG"]}}
    assert matches(attributes, Filter((0x00080061,), "CS", Exact("SEG")))
    assert not matches(attributes, Filter((0x00080061,), "CS", Exact("MR")))


def test_values_in_all_items_of_a_sequence_are_looked_at() -> None:
    items = [{}, None, {"00400009": {"vr": "SH", "Value": ["A"]}}, {"00400009": {"vr": "SH", "Value": ["B"]}}]
    attributes = {"00400275": {"vr": "SQ", "Value": items}}
    for value, expected in (("A", True), ("B", True), ("C", False)):
        assert matches(attributes, Filter((0x00400275, 0x00400009), "SH", Exact(value))) is expected


@pytest.mark.parametrize("attributes", [{}, {"00100020": {"vr": "LO"}}])
def test_what_is_missing_or_empty_only_matches_everything(attributes: dict[str, Any]) -> None:
    assert matches(attributes, Filter((0x00100020,), "LO", Universal()))
    assert not matches(attributes, Filter((0x00100020,), "LO", Wildcard("*")))
    assert not matches(attributes, Filter((0x00100020,), "LO", Range(None, None)))


@pytest.mark.parametrize(
    ("time", "padded"),
    [
        ("", ""),
        ("10", "100000.000000"),
        ("1030", "103000.000000"),
        ("103015.5", "103015.500000"),
        ("103015.123456", "103015.123456"),
        ("10:30:15", "103015.000000"),
    ],
)
def test_times_are_filled_up(time: str, padded: str) -> None:
    assert padded_time(time) == padded


def test_a_pattern_of_many_stars_is_matched_in_no_time() -> None:
    assert not value_matches("a" * 2000, "LO", Wildcard("*a" * 20 + "*b"))
