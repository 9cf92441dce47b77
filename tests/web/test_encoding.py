"""Accept-Encoding: what callers really send, what the rules allow, and nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.encoding import CODINGS, MAX_HEADER, Wanted, wanted


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip, deflate, br, zstd", Wanted("zstd")),  # browsers
        ("gzip, deflate", Wanted("gzip")),  # Python's requests
        ("gzip", Wanted("gzip")),
        ("zstd", Wanted("zstd")),
        ("br", Wanted(None)),
        ("identity", Wanted(None)),
        ("", Wanted(None)),
        ("*", Wanted("zstd")),
        ("GZIP", Wanted("gzip")),
        ("x-gzip", Wanted("gzip")),
        ("gzip;q=1.0, zstd;q=0.5", Wanted("gzip")),
        ("gzip;q=0.5, zstd;q=0.5", Wanted("zstd")),
        ("gzip;q=0.001", Wanted("gzip")),
        ("gzip;q=0", Wanted(None)),
        ("gzip; q=0.000 , zstd ;q=0.0", Wanted(None)),
        ("gzip ; Q=0.3", Wanted("gzip")),
        ("*;q=0.5, zstd;q=0", Wanted("gzip")),
        ("gzip;q=0.2, *;q=0.1", Wanted("gzip")),
        ("gzip;q=0, *", Wanted("zstd")),
        ("identity;q=1, gzip;q=0.5", Wanted(None)),
        ("identity;q=0.5, gzip;q=1", Wanted("gzip")),
        ("identity, gzip", Wanted("gzip")),
        ("identity;q=0", Wanted(None, plain=False)),
        ("identity;q=0, gzip", Wanted("gzip", plain=False)),
        ("gzip, *;q=0", Wanted("gzip", plain=False)),
        ("*;q=0", Wanted(None, plain=False)),
        ("*;q=0, identity;q=0.1", Wanted(None)),
        ("gzip;q=2", Wanted(None)),
        ("gzip;q=-1", Wanted(None)),
        ("gzip;q=0.1234", Wanted(None)),
        ("gzip;level=9", Wanted(None)),
        ("gzip;q=", Wanted(None)),
        (",, ,gzip,,", Wanted("gzip")),
        ("gzip zstd", Wanted(None)),
        ("gzip, gzip;q=0", Wanted("gzip")),
        ("\udcff, zstd", Wanted("zstd")),
    ],
)
def test_what_a_caller_gets(header: str, expected: Wanted) -> None:
    assert wanted([header]) == expected


def test_several_lines_are_one_list() -> None:
    assert wanted(["br", "gzip"]) == wanted(["br, gzip"]) == Wanted("gzip")


def test_without_the_header_nothing_is_coded() -> None:
    assert wanted([]) == Wanted(None)


def test_what_is_too_long_is_not_read() -> None:
    assert wanted(["gzip," + " " * (MAX_HEADER - 5)]) == Wanted("gzip")
    assert wanted(["gzip," + " " * (MAX_HEADER - 4)]) == Wanted(None)


names = st.sampled_from(["gzip", "x-gzip", "zstd", "identity", "*", "br", "Zstd"])
weights = st.sampled_from(["", ";q=0", ";q=1", ";q=0.5", "; q=0.25", ";q=x"])


@given(st.lists(st.one_of(st.builds(str.__add__, names, weights), st.text(max_size=9)), max_size=9))
def test_only_what_a_caller_names_or_lets_in_is_used(elements: list[str]) -> None:
    """Whatever is sent, an answer comes of it, and a coding only when a word of the header stands for it."""
    coding, _ = wanted([",".join(elements)])
    said = ",".join(elements).lower()
    assert coding is None or (coding in CODINGS and (coding in said or "*" in said))


@given(st.dictionaries(st.sampled_from(["gzip", "zstd", "identity"]), st.integers(0, 1000)))
def test_the_highest_weight_wins(weights: dict[str, int]) -> None:
    coding, plain = wanted([",".join(f"{name};q={weight / 1000:.3f}" for name, weight in weights.items())])
    best = max((weights.get(name, 0) for name in CODINGS), default=0)
    assert plain == (weights.get("identity", 1) > 0)
    if best == 0 or weights.get("identity", 0) > best:
        assert coding is None
    else:
        assert coding == ("zstd" if weights.get("zstd", 0) == best else "gzip")
