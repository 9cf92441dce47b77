"""Parameters against the code that reads them: what a schema allows is taken, and what lies just beyond is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.backends.results import KEYS
from gateway.dicom import dictionary
from gateway.dicomweb import rendering_uri
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.query import Query, attribute_path, parse_query
from gateway.dicomweb.rendering import PARAMETERS, parse_rendering
from gateway.dicomweb.rendering_uri import parse_uri
from gateway.dicomweb.resources import Level, Resource, is_uid, parse_frames
from gateway.errors import BadRequest, InvalidQuery
from gateway.web.parameters import ACCEPT, PATH, RENDERING, UID, URI, VIEWPORT, Parameter, search_parameters
from gateway.web.service import SearchLimits
from gateway.web.wado import _BULK

LEVELS: tuple[Level, ...] = ("study", "series", "instance")
LIMITS = SearchLimits(results_default=3, results_max=7, instances_default=5, instances_max=11, offset_max=13)
CONTROLS = ("limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching", "multiplevaluematching", "accept")


def parameters(level: Level) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in search_parameters(level, LIMITS)}


def keys(level: Level) -> list[Parameter]:
    return [parameter for name, parameter in parameters(level).items() if name not in CONTROLS]


def asked(level: Level, name: str, value: str) -> Query:
    return parse_query(level, Resource(), [(name, value)], dictionary, max_limit=11, default_limit=5, max_offset=LIMITS.offset_max)


# -- what varies in a path


@given(st.from_regex(UID["pattern"], fullmatch=True))
@example("1" * 64)
@example("1" * 65)
def test_the_schema_of_a_uid_says_what_a_uid_is(text: str) -> None:
    assert is_uid(text) == (len(text) <= UID["maxLength"])


def test_the_schema_of_frames_says_what_can_be_asked_for() -> None:
    schema: Any = PATH["frames"].schema
    lowest, highest, most = schema["items"]["minimum"], schema["items"]["maximum"], schema["maxItems"]
    assert parse_frames(f"{lowest},{highest}") == (lowest, highest)
    assert len(parse_frames(",".join(["1"] * most))) == most
    for beyond in (str(lowest - 1), str(highest + 1), ",".join(["1"] * (most + 1)), ""):
        with pytest.raises(BadRequest):
            parse_frames(beyond)


@given(st.from_regex(PATH["bulk"].schema["pattern"], fullmatch=True))
def test_the_schema_of_bulk_data_says_what_can_be_asked_for(text: str) -> None:
    assert _BULK.fullmatch(text)


def test_an_accept_in_the_url_may_be_as_long_as_its_schema_says() -> None:
    longest = ACCEPT.schema["maxLength"]
    assert parse_accept([], "x" * longest).ranges == ()
    with pytest.raises(BadRequest):
        parse_accept([], "x" * (longest + 1))


# -- pictures


def taken(schema: Any) -> st.SearchStrategy[str]:
    """Values that a schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] in ("integer", "number"):
        least, most = schema.get("minimum", -(10**9)), schema.get("maximum", 10**9)
        return (st.integers(least, most) if schema["type"] == "integer" else st.floats(least, most)).map(str)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda text: len(text) <= schema.get("maxLength", 4096))
    return st.text(max_size=40)


@pytest.mark.parametrize("parameter", RENDERING, ids=lambda parameter: parameter.name)
def test_every_way_to_show_a_picture_that_a_schema_allows_is_taken(parameter: Parameter) -> None:
    @given(taken(parameter.schema))
    def check(value: str) -> None:
        assert parse_rendering([(parameter.name, value)], PARAMETERS) is not None

    check()


def test_all_ways_to_show_a_picture_are_there() -> None:
    assert tuple(parameter.name for parameter in RENDERING) == PARAMETERS
    assert VIEWPORT is RENDERING[0]


ALONE = {"requestType": "WADO", "studyUID": "1", "seriesUID": "1", "objectUID": "1"}
PAIRS = {"windowCenter": "windowWidth", "presentationUID": "presentationSeriesUID"}
OTHERS = PAIRS | {other: one for one, other in PAIRS.items()}


@pytest.mark.parametrize("parameter", URI, ids=lambda parameter: parameter.name)
def test_every_parameter_of_wado_uri_that_a_schema_allows_is_taken(parameter: Parameter) -> None:
    @given(taken(parameter.schema))
    def check(value: str) -> None:
        if parameter.schema.get("pattern", "").startswith(UID["pattern"]) and value != "*" and not is_uid(value):
            return
        partner = {OTHERS[parameter.name]: "2"} if parameter.name in OTHERS else {}
        assert parse_uri((ALONE | partner | {parameter.name: value}).items()).resource.instance

    check()


def test_all_parameters_of_wado_uri_are_there() -> None:
    """But for the one that is refused; and those without which there is no answer are marked."""
    assert {parameter.name for parameter in URI} == {*rendering_uri.PARAMETERS} - {"anonymize"}
    assert tuple(parameter.name for parameter in URI if parameter.required) == rendering_uri.NEEDED


# -- searches


@pytest.mark.parametrize("level", LEVELS)
def test_each_key_of_the_index_is_there_under_both_names(level: Level) -> None:
    by_keyword = [attribute_path(key.name, dictionary) for key in keys(level)]
    by_tag = [attribute_path(key.alias or "", dictionary) for key in keys(level)]
    assert by_keyword == by_tag
    assert set(by_keyword) == set(KEYS) and len(by_keyword) == len(KEYS)


def values(key: Parameter) -> st.SearchStrategy[str]:
    schema: Any = key.schema
    if schema["type"] == "array":
        return st.lists(st.from_regex(schema["items"]["pattern"], fullmatch=True).filter(is_uid), max_size=3).map(",".join)
    return st.from_regex(schema["pattern"], fullmatch=True)


ONE_OF_EACH_VR = {key.summary.partition(" ")[2]: key for key in reversed(keys("instance"))}


@pytest.mark.parametrize("key", ONE_OF_EACH_VR.values(), ids=lambda key: key.name)
def test_every_value_that_a_schema_allows_is_taken(key: Parameter) -> None:
    @given(values(key))
    def check(value: str) -> None:
        assert {item.path for item in asked("instance", key.name, value).filters} == {attribute_path(key.name, dictionary)}

    check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StudyDate", "20240131-20240229-"),
        ("StudyTime", "25h"),
        ("InstanceNumber", "one"),
        ("SOPInstanceUID", "1..2"),
        ("Modality", "C*,MR"),
        ("PatientName", "a\x07"),
    ],
)
def test_what_no_schema_allows_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidQuery):
        asked("instance", name, value)


@pytest.mark.parametrize(("level", "default", "most"), [("study", 3, 7), ("series", 3, 7), ("instance", 5, 11)])
def test_limits_are_those_of_the_settings(level: Level, default: int, most: int) -> None:
    limit = parameters(level)["limit"]
    assert limit.schema["default"] == default
    assert f"more than {most}." in limit.summary


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_numbers_end_where_the_schema_says(name: str) -> None:
    schema = parameters("instance")[name].schema
    for value in (schema["minimum"], schema["maximum"]):
        asked("instance", name, str(value))
    for value in (schema["minimum"] - 1, schema["maximum"] + 1):
        with pytest.raises(InvalidQuery):
            asked("instance", name, str(value))


def test_fields_may_be_listed_and_repeated() -> None:
    assert parameters("study")["includefield"].repeats
    assert asked("study", "includefield", "PatientName,00081030").include == {"00100010", "00081030"}


def test_names_are_unique() -> None:
    for level in LEVELS:
        names = [name for parameter in search_parameters(level, LIMITS) for name in (parameter.name, parameter.alias) if name]
        assert len(names) == len(set(names))
