from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.resources import MAX_FRAMES, Resource, is_uid, parse_frames, parse_uid
from gateway.errors import BadRequest, InvalidUID

COMPONENTS = st.text(alphabet="0123456789", min_size=1, max_size=9)
UIDS = st.lists(COMPONENTS, min_size=1, max_size=6).map(".".join)


@given(UIDS)
def test_digits_and_single_dots_are_a_uid(text: str) -> None:
    assert is_uid(text)
    assert parse_uid(text, "StudyInstanceUID") == text


@given(st.text(max_size=70) | st.text(alphabet="0129.", max_size=70))
def test_a_uid_is_nothing_else(text: str) -> None:
    components = text.split(".")
    assert is_uid(text) == (len(text) <= 64 and all(c and set(c) <= set("0123456789") for c in components))


def test_a_uid_has_at_most_64_characters() -> None:
    assert is_uid("1." * 31 + "12")
    assert not is_uid("1." * 31 + "123")


@pytest.mark.parametrize(
    "attack",
    [
        "../../etc/passwd",
        "..",
        ".",
        "",
        "1..2",
        "1.2.",
        ".1",
        "1.2/3",
        "1.2\x00",
        "1.2\n",
        " 1.2",
        "1.2 ",
        "1,2",
        "%2e%2e",
        "\u0661.\u0662",
        "1.2.x",
        "@",
        "-1",
    ],
)
def test_everything_else_is_refused_without_an_echo(attack: str) -> None:
    with pytest.raises(InvalidUID) as error:
        parse_uid(attack, "SeriesInstanceUID")
    assert "SeriesInstanceUID" in error.value.message
    if len(attack) > 3:
        assert attack not in error.value.message


def test_leading_zeros_are_served_as_they_are() -> None:
    assert Resource.parse("1.02.003").path == "/studies/1.02.003"


def test_frames_keep_the_order_asked_for() -> None:
    assert parse_frames("3") == (3,)
    assert parse_frames("2,1,2") == (2, 1, 2)


@pytest.mark.parametrize("text", ["", "0", "1,0", "1,", ",1", "-1", "1.5", "1;2", "a", "\u0661", "1" * 11, " 1", "1,,2"])
def test_frames_are_numbers_from_1(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_frames(text)


def test_the_number_of_frames_is_bounded() -> None:
    assert len(parse_frames(",".join(["1"] * MAX_FRAMES))) == MAX_FRAMES
    with pytest.raises(BadRequest, match=str(MAX_FRAMES)):
        parse_frames(",".join(["1"] * (MAX_FRAMES + 1)))


def test_levels_and_paths() -> None:
    study = Resource.parse("1")
    series = Resource.parse("1", "2")
    instance = Resource.parse("1", "2", "3", "4,5")
    assert (study.level, study.path) == ("study", "/studies/1")
    assert (series.level, series.path) == ("series", "/studies/1/series/2")
    assert (instance.level, instance.path, instance.frames) == ("instance", "/studies/1/series/2/instances/3", (4, 5))
    assert Resource().path == ""


def test_each_uid_of_a_resource_is_checked() -> None:
    for words in (("x",), ("1", "x"), ("1", "2", "x")):
        with pytest.raises(InvalidUID):
            Resource.parse(*words)
