"""What entity tags are made of."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.validators import State, state_of, validator

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), max_size=4)


def test_a_tag_is_short_and_can_stand_in_a_header() -> None:
    assert re.fullmatch("[0-9a-f]{16}", validator("1", "frames", "1,2,3"))


def test_bytes_that_are_no_text_make_a_tag_as_well() -> None:
    assert validator("\udcff") != validator("\udcfe")


@given(WORDS, WORDS)
def test_tags_are_equal_when_all_parts_are(one: list[str], other: list[str]) -> None:
    if one and other:
        assert (validator(*one) == validator(*other)) == (one == other)


def test_a_state_changes_with_versions_times_number_and_order() -> None:
    states = [
        state_of(["1"], [7.0]),
        state_of(["2"], [7.0]),
        state_of(["1"], [7.5]),
        state_of(["1", "2"], [7.0, 7.0]),
        state_of(["2", "1"], [7.0, 7.0]),
        state_of(["12"], [7.0]),
    ]
    assert len({state.digest for state in states}) == len(states)
    assert state_of(["1"], [7.0]) == states[0]


def test_a_state_knows_its_number_and_its_newest() -> None:
    assert state_of(["a", "b", "c"], [3.0, 9.25, 5.0])[1:] == State("", 9.25, 3)[1:]
