from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.matching import MAX_PATTERN, AnyOf, Exact, Match, Range, Universal, Wildcard, parse_match
from gateway.errors import InvalidQuery

VRS = [
    "AE",
    "AS",
    "AT",
    "CS",
    "DA",
    "DS",
    "DT",
    "FD",
    "FL",
    "IS",
    "LO",
    "LT",
    "OB",
    "OD",
    "OF",
    "OL",
    "OV",
    "OW",
    "PN",
    "SH",
    "SL",
    "SQ",
    "SS",
    "ST",
    "SV",
    "TM",
    "UC",
    "UI",
    "UL",
    "UN",
    "UR",
    "US",
    "UT",
    "UV",
]


def parse(vr: str, text: str) -> Match:
    return parse_match(vr, text, "Key")


@pytest.mark.parametrize("vr", VRS)
@pytest.mark.parametrize("text", ["", "  ", "*", "**"])
def test_nothing_or_an_asterisk_matches_anything(vr: str, text: str) -> None:
    assert parse(vr, text) == Universal()


@pytest.mark.parametrize(
    ("vr", "text", "expected"),
    [
        ("LO", "4MR1", Exact("4MR1")),
        ("LO", " 4MR1 ", Exact("4MR1")),
        ("PN", "Doe^John", Exact("Doe^John")),
        ("PN", "Doe*", Wildcard("Doe*")),
        ("PN", "*x*", Wildcard("*x*")),
        ("PN", "D?e***", Wildcard("D?e*")),
        ("CS", "CT", Exact("CT")),
        ("CS", "M?", Wildcard("M?")),
        ("SH", "a\\b", AnyOf(("a", "b"))),
        ("LO", "a,b", Exact("a,b")),
        ("UT", "a\\b", Exact("a\\b")),
        ("UN", "a*", Wildcard("a*")),
        ("IS", "-7", Exact("-7")),
        ("DS", "1.5e3", Exact("1.5e3")),
        ("DS", "255.", Exact("255.")),
        ("DS", "-.5", Exact("-.5")),
        ("US", "512", Exact("512")),
        ("AS", "045Y", Exact("045Y")),
        ("LO", "\\", Universal()),
        ("LO", "a\\\\a", AnyOf(("a",))),
    ],
)
def test_text_and_numbers(vr: str, text: str, expected: Match) -> None:
    assert parse(vr, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3", Exact("1.2.3")),
        ("1.2.3,1.2.1", AnyOf(("1.2.1", "1.2.3"))),
        ("1.2.3\\1.2.1", AnyOf(("1.2.1", "1.2.3"))),
        ("1.2.3,1.2.3,", AnyOf(("1.2.3",))),
        (" 1.2.3 , 1.2.1", AnyOf(("1.2.1", "1.2.3"))),
    ],
)
def test_uid_lists_by_comma_and_by_backslash(text: str, expected: Match) -> None:
    assert parse("UI", text) == expected


def test_a_pattern_has_room_for_every_name_and_no_more() -> None:
    assert parse("PN", "?" * (MAX_PATTERN - 1) + "*") == Wildcard("?" * (MAX_PATTERN - 1) + "*")
    assert parse("LT", "a" * 9999) == Exact("a" * 9999)
    with pytest.raises(InvalidQuery, match="ThatKey has wildcards among more than 256 characters"):
        parse_match("LT", "?" * MAX_PATTERN + "*", "ThatKey")


def test_client_ohif_lists_modalities_by_comma() -> None:
    assert parse("CS", "CT,MR") == parse("CS", "MR\\CT") == AnyOf(("CT", "MR"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240131", Exact("20240131")),
        ("20240101-20240131", Range("20240101", "20240131")),
        ("20240101-", Range("20240101", None)),
        ("-20240131", Range(None, "20240131")),
    ],
)
def test_dates(text: str, expected: Match) -> None:
    assert parse("DA", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", Range("100000.000000", "105959.999999")),
        ("1030", Range("103000.000000", "103059.999999")),
        ("103015", Range("103015.000000", "103015.999999")),
        ("103015.25", Range("103015.250000", "103015.259999")),
        ("10-12", Range("100000.000000", "125959.999999")),
        ("1030-", Range("103000.000000", None)),
        ("-1030", Range(None, "103059.999999")),
    ],
)
def test_times_span_what_they_can_mean(text: str, expected: Match) -> None:
    assert parse("TM", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240101120000.5", Range("20240101120000.5", "20240101120000.5")),
        ("20240101-0500", Range("20240101-0500", "20240101-0500")),
        ("20240101 0100", Range("20240101+0100", "20240101+0100")),
        ("2023-2024", Range("2023", "2024")),
        ("20240101-", Range("20240101", None)),
        ("-20240101", Range(None, "20240101")),
        ("20240101-0500-20240102-0500", Range("20240101-0500", "20240102-0500")),
    ],
)
def test_date_times_and_their_offsets(text: str, expected: Match) -> None:
    assert parse("DT", text) == expected


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        *(("DA", bad) for bad in ("-", "2024", "2024-01-31", "20240101-20240102-", "202401011", "today", "2024013\u0661", "20240101-2024")),
        *(("TM", bad) for bad in ("-", "1", "103", "10:30", "10-1", "103015.1234567", "10-11-12")),
        *(("DT", bad) for bad in ("-", "202", "20240101-20240102-20240103", "x")),
        *(("UI", bad) for bad in ("abc", "1..2", "1.2.*", "1.2/3", "1.2.3,x", "1" * 65)),
        *(("IS", bad) for bad in ("one", "1*", "1,2", "--1", ".", "+", "1.e")),
        *(("CS", bad) for bad in ("CT,M*", "CT\\M?")),
        *((vr, "x") for vr in ("SQ", "AT", "OB", "OD", "OF", "OL", "OV", "OW")),
        *(("LO", bad) for bad in ("a\x00b", "a\nb", "\x1b[31m", "a\x7f")),
    ],
)
def test_values_without_a_meaning_are_refused_and_not_echoed(vr: str, text: str) -> None:
    with pytest.raises(InvalidQuery) as error:
        parse_match(vr, text, "ThatKey")
    assert "ThatKey" in error.value.message
    assert f" {text} " not in error.value.message


@given(st.sampled_from(VRS), st.text(alphabet="0123456789.,-\\*? ABC^+", max_size=20))
def test_any_value_is_a_match_or_an_invalid_query(vr: str, text: str) -> None:
    try:
        found = parse(vr, text)
    except InvalidQuery:
        return
    assert hash(found) == hash(parse(vr, text + " "))
    match found:
        case Wildcard(pattern):
            assert "**" not in pattern
        case Range(low, high):
            assert low or high
        case AnyOf(values):
            assert list(values) == sorted(set(values))


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999_999))
def test_every_moment_lies_in_the_span_of_its_prefixes(hour: int, minute: int, second: int, micro: int) -> None:
    moment = f"{hour:02}{minute:02}{second:02}.{micro:06}"
    for length in (2, 4, 6, 8, 13):
        span = parse("TM", moment[:length])
        assert isinstance(span, Range)
        assert span.low is not None
        assert span.high is not None
        assert span.low <= moment <= span.high
