"""Equal keys for equal questions of callers who may see the same, and for no others."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.base import Retrieve, View
from gateway.backends.cached import keys
from gateway.backends.cached.keys import KINDS, MADE, STORED, Key, digest, kind_of
from gateway.dicom import dictionary
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.query import Query, parse_query
from gateway.dicomweb.resources import Resource
from tests.backends.made import FRAMES, JSON, wants

uids = st.sampled_from(["1", "1.2", "1.22", "12.2"])
accepts = st.sampled_from(
    [
        parse_accept([text])
        for text in (
            "*/*",
            "application/octet-stream",
            "application/octet-stream;q=0.5",
            'multipart/related; type="image/jpeg"',
            "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50",
        )
    ]
)
reads = st.builds(
    Retrieve,
    st.builds(Resource, uids, uids, uids, st.sampled_from([(), (1,), (2,), (1, 2), (2, 1), (12,)])),
    st.sampled_from(View),
    accepts,
    st.sampled_from([None, "7FE00010", "54000100/0/54001010"]),
)
owners = st.tuples(st.sampled_from(["default", "a", "b"]), st.sampled_from(["", "a", "b", "ab"]))


@given(owners, reads, owners, reads)
def test_keys_and_names_are_equal_where_all_is(one: tuple[str, str], read: Retrieve, other: tuple[str, str], second: Retrieve) -> None:
    same = (one, read) == (other, second)
    assert (Key(*one, read) == Key(*other, second)) == same
    assert (digest(Key(*one, read)) == digest(Key(*other, second))) == same


NAMES = {"PatientName": "00100010", "PatientID": "00100020", "StudyDate": "00080020", "ModalitiesInStudy": "00080061"}
VALUES = {"PatientName": ["Doe*", "Doe^Jane"], "PatientID": ["1", "2"], "StudyDate": ["20240101-", "20240101"], "ModalitiesInStudy": ["CT"]}
filters = st.dictionaries(st.sampled_from(sorted(NAMES)), st.integers(0, 1), max_size=4)
controls = st.fixed_dictionaries(
    {}, optional={"limit": st.sampled_from(["1", "10"]), "offset": st.sampled_from(["0", "5"]), "fuzzymatching": st.just("true")}
)
includes = st.frozensets(st.sampled_from(["StudyDescription", "PatientAge", "PatientSex"]))
asked = st.tuples(filters, controls, includes)
Asked = tuple[dict[str, int], dict[str, str], frozenset[str]]


def parsed(pairs: list[tuple[str, str]]) -> Query:
    return parse_query("study", Resource(), pairs, dictionary, max_limit=100, default_limit=50)


def spelled(what: Asked, chance: Random) -> list[tuple[str, str]]:
    """One of the many URLs that ask for this: any order, keywords or tags, lists or repetitions, and names that say nothing."""
    filters, controls, includes = what
    pairs = [(chance.choice([name, NAMES[name]]), VALUES[name][number % len(VALUES[name])]) for name, number in filters.items()]
    pairs += controls.items()
    fields = sorted(includes)
    chance.shuffle(fields)
    pairs += [("includefield", ",".join(fields))] if fields and chance.random() < 0.5 else [("includefield", field) for field in fields]
    pairs += chance.choice([[], [("access_token", str(chance.random()))], [("whatever", "x")], [("_", "1")]])
    pairs += pairs[:1] if chance.random() < 0.3 else []
    chance.shuffle(pairs)
    return pairs


def meaning(what: Asked) -> Any:
    filters, controls, includes = what
    return (
        frozenset((name, VALUES[name][number % len(VALUES[name])]) for name, number in filters.items()),
        frozenset(({"limit": "50", "offset": "0"} | controls).items()),
        includes,
    )


@given(asked, asked, st.randoms(use_true_random=False))
def test_searches_have_equal_keys_where_they_ask_the_same(one: Asked, other: Asked, chance: Random) -> None:
    first, second = (Key("default", "", parsed(spelled(what, chance))) for what in (one, other))
    assert (first == second) == (meaning(one) == meaning(other))
    assert first != second or hash(first) == hash(second)
    assert Key("default", "", parsed(spelled(one, chance))) == first


def test_a_name_says_nothing_and_is_another_with_each_version(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key("default", "secret-scope", wants(View.METADATA, JSON, "1.2.3"))
    name = digest(key)
    assert len(name) == 40 and set(name) <= set("0123456789abcdef")
    monkeypatch.setattr(keys, "MODEL", "another")
    assert digest(key) != name


def test_what_is_kept() -> None:
    read = wants(View.FRAMES, FRAMES, "1", "2", "3", frames=[1])
    assert kind_of(read) == "frames"
    assert kind_of(replace(read, view=View.METADATA)) == "metadata"
    assert kind_of(replace(read, view=View.BULKDATA, bulk="7FE00010")) == "bulkdata"
    for passing in (View.BULKDATA, View.PIXELDATA, View.INSTANCES):
        assert kind_of(replace(read, view=passing)) is None


def test_what_is_kept_of_what_is_made_of_pixels() -> None:
    read = wants(View.FRAMES, FRAMES, "1", "2", "3", frames=[1])
    assert kind_of(read, MADE) == "transcoded"
    assert {kind_of(replace(read, view=view), MADE) for view in (View.RENDERED, View.THUMBNAIL)} == {"rendered"}
    for passing in (View.METADATA, View.BULKDATA, View.PIXELDATA, View.INSTANCES):
        assert kind_of(replace(read, view=passing, bulk="7FE00010"), MADE) is None
    assert {*STORED.values(), *MADE.values(), "search"} == set(KINDS)
