"""Names as searches compare them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.names import folded, joined, plain, runs, words


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("Doe^Jane", "doe^jane"),
        ("Müller^Jörg", "muller^jorg"),
        ("ÉTÉ", "ete"),
        ("Straße", "strasse"),
        ("Ångström", "angstrom"),
        ("ΆΛΦΑ", "αλφα"),
        ("Doe^Jane^^^ ", "doe^jane"),
        ("Doe^Jane==", "doe^jane"),
        ("Yamada^Tarou^=山田^太郎^ =やまだ", "yamada^tarou=山田^太郎=やまだ"),
        ("=山田", "=山田"),
        ("ガ", "ガ"),
        ("김희중", "김희중"),
        ("", ""),
    ],
)
def test_neither_case_nor_accents_nor_idle_carets_count(name: str, compared: str) -> None:
    assert plain(name) == compared


def test_what_is_composed_and_what_is_not_is_the_same() -> None:
    assert plain("Mu\u0308ller") == plain("M\u00fcller") == "muller"


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_ascii_needs_no_table(text: str) -> None:
    assert folded(text) == text.casefold()


def test_the_groups_of_the_json_model_are_joined() -> None:
    assert joined({"Alphabetic": "A", "Phonetic": "C"}) == "A==C"
    assert joined({"Ideographic": "B"}) == "=B"
    assert joined({}) == ""


def test_every_run_of_neighbouring_groups_counts() -> None:
    assert list(runs("a")) == ["a"]
    assert list(runs("a=b=c")) == ["a=b=c", "a=b", "b=c", "a", "b", "c"]


def test_words_stand_between_carets_blanks_and_commas() -> None:
    assert words("van der berg^jan=x,y\\z") == ["van", "der", "berg", "jan", "x", "y", "z"]
    assert words("^ =") == []
