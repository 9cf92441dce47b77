from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.matching import AnyOf, Empty, Exact, Fuzzy, Moments, Range, Universal, Wildcard
from gateway.dicomweb.query import MAX_NAME, MAX_NAMES, NEVER_FILTERS, Filter, Query, _remembered_path, attribute_path, parse_query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import InvalidQuery


class Words:
    """The few words of PS3.6 that these tests use."""

    tags: ClassVar = {
        "PatientName": (0x00100010, "PN"),
        "PatientID": (0x00100020, "LO"),
        "StudyDate": (0x00080020, "DA"),
        "StudyTime": (0x00080030, "TM"),
        "ModalitiesInStudy": (0x00080061, "CS"),
        "StudyInstanceUID": (0x0020000D, "UI"),
        "StudyDescription": (0x00081030, "LO"),
        "RequestAttributesSequence": (0x00400275, "SQ"),
        "ScheduledProcedureStepID": (0x00400009, "SH"),
    }

    def tag(self, keyword: str) -> int | None:
        return self.tags.get(keyword, (None, ""))[0]

    def vr(self, tag: int) -> str | None:
        return dict(self.tags.values()).get(tag)


def query(text: str, level: Level = "study", **limits: Any) -> Query:
    params = parse_qsl(text, keep_blank_values=True)
    return parse_query(level, Resource(), params, Words(), **{"max_limit": 5000, "default_limit": 100, **limits})


# -- filters


def test_a_key_by_keyword_and_by_tag_is_the_same_question() -> None:
    assert query("PatientID=4MR1") == query("00100020=4MR1")
    assert query("PatientID=4MR1").filters == (Filter((0x00100020,), "LO", Exact("4MR1")),)


def test_keys_inside_sequences() -> None:
    expected = (Filter((0x00400275, 0x00400009), "SH", Exact("7")),)
    assert query("RequestAttributesSequence.ScheduledProcedureStepID=7").filters == expected
    assert query("00400275.00400009=7").filters == expected
    assert query("00400275.ScheduledProcedureStepID=7").filters == expected


def test_the_order_of_the_parameters_does_not_matter() -> None:
    one = query("PatientName=*x*&StudyDate=20240101-&limit=10&includefield=00081030&includefield=PatientID")
    other = query("includefield=PatientID,00081030&StudyDate=20240101-&limit=10&00100010=*x**")
    assert one == other
    assert hash(one) == hash(other)


def test_what_is_repeated_counts_once() -> None:
    assert query("PatientID=1&PatientID=1").filters == query("PatientID=1").filters
    assert len(query("PatientID=1&PatientID=2").filters) == 2


def test_an_empty_value_asks_for_the_attribute_only() -> None:
    assert query("PatientName=").filters == (Filter((0x00100010,), "PN", Universal()),)


def test_private_and_unknown_tags_are_attributes_too() -> None:
    assert query("00091001=a*").filters == (Filter((0x00091001,), "UN", Wildcard("a*")),)
    assert query("0009100a=x") == query("0009100A=x")


@pytest.mark.parametrize(
    "name", ["patientname", "Unknown", "PatientName.", ".PatientName", "0010001", "001000200", "PatientName.PatientID", "", "0x100020"]
)
def test_unknown_parameters_are_ignored(name: str) -> None:
    assert parse_query("study", Resource(), [(name, "x")], Words(), max_limit=5000, default_limit=100) == query("")


def test_names_of_parameters_are_case_sensitive() -> None:
    assert query("Limit=1&IncludeField=all&OFFSET=5&FuzzyMatching=true") == query("")


@pytest.mark.parametrize("name", sorted(NEVER_FILTERS))
def test_global_parameters_are_never_filters(name: str) -> None:
    class Everything(Words):
        def tag(self, keyword: str) -> int | None:
            return 0x00100020

    assert parse_query("study", Resource(), [(name, "secret")], Everything(), max_limit=5000, default_limit=100) == query("")


def test_a_credential_in_the_url_does_not_reach_the_cache_key() -> None:
    assert "SECRET" not in repr(query("access_token=SECRET&PatientID=1&token=SECRET"))


def test_an_error_names_the_key_and_not_the_value() -> None:
    with pytest.raises(InvalidQuery) as error:
        query("StudyDate=Doe^John")
    assert "StudyDate" in error.value.message
    assert "Doe" not in error.value.message


def test_a_sequence_cannot_be_matched_by_value() -> None:
    with pytest.raises(InvalidQuery):
        query("RequestAttributesSequence=x")
    assert query("RequestAttributesSequence=").filters[0].match == Universal()


def test_attribute_paths() -> None:
    assert attribute_path("PatientName", Words()) == (0x00100010,)
    assert attribute_path("00091001.PatientID", Words()) == (0x00091001, 0x00100020)
    assert attribute_path("PatientID.PatientName", Words()) is None


def test_level_and_parents_are_part_of_the_question() -> None:
    parent = Resource.parse("1.2")
    made = parse_query("series", parent, [], Words(), max_limit=10, default_limit=5)
    assert (made.level, made.resource, made.limit) == ("series", parent, 5)
    assert made != parse_query("series", Resource.parse("1.3"), [], Words(), max_limit=10, default_limit=5)


# -- what the answer shows


def test_includefield_is_a_list_repeated_or_both() -> None:
    made = query("includefield=00081030,PatientID&includefield=StudyDate&includefield=Unknown,")
    assert made.include == {"00081030", "00100020", "00080020"}
    assert not made.include_all


def test_includefield_all_covers_the_others() -> None:
    made = query("includefield=PatientID&includefield=all")
    assert (made.include, made.include_all) == (frozenset(), True)


def test_an_attribute_inside_a_sequence_is_included_with_its_sequence() -> None:
    assert query("includefield=RequestAttributesSequence.ScheduledProcedureStepID").include == {"00400275"}


# -- limit, offset, fuzzymatching


def test_defaults() -> None:
    made = query("")
    assert (made.limit, made.offset, made.fuzzy, made.include_all) == (100, 0, False, False)


def test_limit_is_cut_to_the_servers_own() -> None:
    assert query("limit=7").limit == 7
    assert query("limit=5001").limit == 5000
    assert query("", default_limit=100, max_limit=50).limit == 50
    assert query("limit=0").limit == 0


def test_offset_is_bounded() -> None:
    assert query("offset=1000000").offset == 1_000_000
    assert query("offset=" + "0" * 20 + "7").offset == 7
    for text in ("1000001", "1" * 20):
        with pytest.raises(InvalidQuery, match=r"1000000 \(limits\.offset_max\)"):
            query(f"offset={text}")


@pytest.mark.parametrize("text", ["-1", "", "1.5", "ten", "1e3", "+1", " 1", "\u0661", "1" * 11])
@pytest.mark.parametrize("name", ["limit", "offset"])
def test_limit_and_offset_are_whole_numbers(name: str, text: str) -> None:
    with pytest.raises(InvalidQuery, match=name):
        parse_query("study", Resource(), [(name, text)], Words(), max_limit=5000, default_limit=100)


@pytest.mark.parametrize("text", ["limit=1&limit=2", "offset=1&offset=2", "fuzzymatching=true&fuzzymatching=false"])
def test_contradictions_are_refused(text: str) -> None:
    with pytest.raises(InvalidQuery, match="twice"):
        query(text)


@pytest.mark.parametrize("how", ["", "&fuzzymatching=true", "&multiplevaluematching=true"])
def test_names_are_held_against_all_names_so_there_are_few(how: str) -> None:
    names = [f"x{number}" for number in range(MAX_NAMES + 1)]
    assert query("PatientName=" + "\\".join(names[1:]) + how).filters
    assert query("PatientID=" + "\\".join(names) + how).filters
    for text in ("PatientName=" + "\\".join(names), "&".join(f"PatientName={name}" for name in names)):
        with pytest.raises(InvalidQuery, match="more than 100 names"):
            query(text + how)


def test_fuzzymatching_is_true_or_false() -> None:
    assert query("fuzzymatching=true").fuzzy
    assert not query("fuzzymatching=false").fuzzy
    with pytest.raises(InvalidQuery):
        query("fuzzymatching=True")


# -- clients, as recorded on the wire


def test_client_ohif_study_list() -> None:
    made = query(
        "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030&PatientName=*x*&StudyDate=20240101-20240131"
    )
    assert (made.limit, made.offset, made.fuzzy) == (101, 0, True)
    assert made.include == {"00081030", "00080060", "00080090", "00100030"}
    assert {f.match for f in made.filters} == {Wildcard("*x*"), Range("20240101", "20240131")}


def test_client_ohif_lists_uids_by_backslash_and_modalities_by_comma() -> None:
    made = query("StudyInstanceUID=1.2.3%5C1.2.4&ModalitiesInStudy=CT%2CMR")
    assert {f.match for f in made.filters} == {AnyOf(("1.2.3", "1.2.4")), AnyOf(("CT", "MR"))}


def test_client_google_api_python_client_adds_alt_json() -> None:
    assert query("alt=json&PatientID=1") == query("PatientID=1")


def test_client_dcmweb_searches_with_its_limit() -> None:
    assert query("limit=5000").limit == 5000


def test_client_ez_wsi_asks_for_36_fields_one_by_one() -> None:
    fields = [f"{0x00480000 + n:08X}" for n in range(36)]
    assert query("&".join(f"includefield={f}" for f in fields)).include == set(fields)


NAMES = st.sampled_from([*Words.tags, "00100010", "limit", "offset", "includefield", "fuzzymatching", "00400275.00400009", "x"])
PARAMS = st.lists(st.tuples(NAMES, st.text(alphabet="0123456789-*.,\\ allPtrue", max_size=10)), max_size=8)


@given(PARAMS, st.data())
def test_any_parameters_make_one_canonical_query_or_an_invalid_one(params: list[tuple[str, str]], data: st.DataObject) -> None:
    def outcome(some: list[tuple[str, str]]) -> Query | None:
        try:
            return parse_query("instance", Resource(), some, Words(), max_limit=50, default_limit=10)
        except InvalidQuery:
            return None

    made = outcome(params)
    assert outcome(data.draw(st.permutations(params))) == made
    assert outcome(params + params) == made
    if made is not None:
        assert 0 <= made.limit <= 50


# -- names, empty values, moments


def test_fuzzy_matching_is_for_names_without_wildcards() -> None:
    assert query("PatientName=Doe Jan&fuzzymatching=true").filters[0].match == Fuzzy("Doe Jan")
    assert query("PatientName=Do*&fuzzymatching=true").filters[0].match == Wildcard("Do*")
    assert query("PatientID=Doe&fuzzymatching=true").filters[0].match == Exact("Doe")
    assert query("PatientName=Doe").filters[0].match == Exact("Doe")


def test_two_quotation_marks_mean_no_value_when_that_is_asked_for() -> None:
    assert query('PatientID=""&emptyvaluematching=true').filters[0].match == Empty()
    assert query('PatientID=""').filters[0].match == Exact('""')


@pytest.mark.parametrize("name", ["fuzzymatching", "emptyvaluematching", "multiplevaluematching"])
def test_switches_are_true_or_false(name: str) -> None:
    query(f"{name}=true&{name}=true")
    with pytest.raises(InvalidQuery, match=name):
        query(f"{name}=yes")
    with pytest.raises(InvalidQuery, match=name):
        query(f"{name}=true&{name}=false")


def test_a_range_of_dates_and_one_of_times_are_one_range_of_moments() -> None:
    found = query("00080020=20240101-20240103&00080030=10-12")
    [item] = found.filters
    assert item == Filter((0x00080020,), "DA", Moments(0x00080030, ("20240101", "100000.000000"), ("20240103", "125959.999999")))
    assert found.include == {"00080030"}
    assert query("00080020=20240101-&00080030=-12").filters[0].match == Moments(0x00080030, ("20240101", ""), None)
    assert query("00080020=-20240101&00080030=10-").filters[0].match == Moments(0x00080030, None, ("20240101", "235959.999999"))


@pytest.mark.parametrize("text", ["00080020=20240101&00080030=10-12", "00080020=20240101-20240102&00080030=10"])
def test_a_single_date_or_time_stays_a_key_of_its_own(text: str) -> None:
    assert len(query(text).filters) == 2


def test_a_name_means_what_its_dictionary_says_however_often_it_is_asked() -> None:
    class Others(Words):
        tags: ClassVar = {"PatientID": (0x00100021, "LO")}

    for _ in range(2):
        for words, tag in ((Words(), 0x00100020), (Others(), 0x00100021)):
            found = parse_query("study", Resource(), [("PatientID", "x")], words, max_limit=1, default_limit=1)
            assert [item.path for item in found.filters] == [(tag,)]


def test_names_that_no_client_sends_are_not_remembered() -> None:
    long = ".".join([*["RequestAttributesSequence"] * 40, "ScheduledProcedureStepID"])
    before = _remembered_path.cache_info().currsize  # type: ignore[attr-defined]  # of lru_cache
    for name in (long, "x" * (MAX_NAME + 1)):
        parse_query("study", Resource(), [(name, "1")], Words(), max_limit=1, default_limit=1)
    assert _remembered_path.cache_info().currsize == before  # type: ignore[attr-defined]  # of lru_cache
