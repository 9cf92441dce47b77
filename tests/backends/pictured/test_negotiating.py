"""An Accept, one preference after another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backends.pictured.negotiating import LEVELS, levels
from gateway.dicomweb.media import ANYTHING, Offer, choose, parse_accept

EXPLICIT, J2K, BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.50"
OFFERS = [
    Offer("image/jp2", J2K, multipart=True, as_stored=True),
    Offer("image/jp2", J2K, as_stored=True),
    Offer("application/octet-stream", EXPLICIT, multipart=True),
    Offer("application/octet-stream", EXPLICIT),
    Offer("image/jpeg", BASELINE, multipart=True),
    Offer("image/jpeg", BASELINE),
]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("*/*", [True]),
        ('multipart/related; type="*/*"', [True]),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", [True]),
        ("multipart/related; type=application/octet-stream", [False]),
        ('multipart/related; type="image/jpeg"', [False]),
        ("image/jpeg, image/jls", [False]),
        ("image/jpeg, */*;q=0.1", [False, True]),
        ("image/jpeg;q=0, */*", [True]),
        ('application/dicom, multipart/related; type="application/dicom";q=0.9; transfer-syntax=*', [False, True]),
        ("", [True]),
        ("image/jpeg;q=0", [False]),
        ("nonsense", [False]),
    ],
)
def test_preferences_of_an_accept(text: str, stored: list[bool]) -> None:
    assert [one.stored for one in levels(parse_accept([text] if text else []))] == stored


def test_one_preference_is_the_accept_itself() -> None:
    for accept in (ANYTHING, parse_accept(["image/jpeg;q=0.5, image/jls;q=0.5"])):
        assert [one.accept for one in levels(accept)] == [None]


def test_the_url_comes_before_the_header() -> None:
    found = levels(parse_accept(["*/*"], "image/jpeg"))
    assert [[one.media for one in level.accept.ranges] for level in found if level.accept] == [["image/jpeg"], ["*/*"]]


def test_as_stored_may_be_what_a_named_type_means() -> None:
    accept = parse_accept(["application/dicom"])
    assert [levels(accept, default)[0].stored for default in (EXPLICIT, "*")] == [False, True]


def test_what_is_ranked_lower_is_ruled_out_above() -> None:
    first, second = levels(parse_accept(["image/jp2;q=0.1, */*"]))
    assert first.accept is not None and second.accept is not None
    assert choose(first.accept, OFFERS[1:2]) is None
    assert choose(second.accept, OFFERS) == OFFERS[1]


def test_preferences_are_bounded() -> None:
    many = parse_accept([", ".join(f"image/{number};q=0.{number}" for number in range(10, 60))])
    found = levels(many)
    assert len(found) == LEVELS
    assert sum(1 for level in found if level.accept for one in level.accept.ranges if one.q) == 50


qs = st.sampled_from(["", ";q=1", ";q=0.7", ";q=0.3", ";q=0"])
ranges = st.sampled_from(
    [
        "*/*",
        "image/*",
        "image/jpeg",
        "image/jp2",
        "application/octet-stream",
        "multipart/related",
        'multipart/related; type="image/jpeg"',
        f"image/jp2; transfer-syntax={J2K}",
        "application/octet-stream; transfer-syntax=*",
    ]
)
texts = st.lists(st.tuples(ranges, qs).map("".join), min_size=1, max_size=5).map(", ".join)


@settings(deadline=None)
@given(texts, st.none() | texts)
def test_one_after_another_leads_to_what_all_at_once_would(header: str, url: str | None) -> None:
    """Where one side alone knows every form, nothing changes."""
    accept = parse_accept([header], url)
    step_by_step = next((offer for level in levels(accept) if (offer := choose(level.accept or accept, OFFERS))), None)
    assert step_by_step == choose(accept, OFFERS)
