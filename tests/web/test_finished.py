"""Documents of searches that were kept: made once for the very same results, and never given for others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.backends.base import Matches, Served
from gateway.web.finished import OVERHEAD, Document, Finished

HIT = Served("hit", 1)
DOCUMENT = Document(b"[{}]", "tag")


def kept(*results: bytes, remaining: int | None = 0, served: Served = HIT) -> Matches:
    return Matches((*results,), remaining, served=served)


def test_the_same_results_have_the_same_document() -> None:
    finished, matches = Finished(), kept(b"{}")
    assert finished.get(matches, b"base", "json") is None
    finished.put(matches, b"base", "json", DOCUMENT)
    assert finished.get(replace(matches, served=Served("hit", 5)), b"base", "json") is DOCUMENT


def test_other_results_bases_types_and_rests_have_none() -> None:
    finished, matches = Finished(), kept(b"{}", b"{}")
    finished.put(matches, b"base", "json", DOCUMENT)
    others = [
        (kept(*[bytes(one) for one in (bytearray(b"{}"), bytearray(b"{}"))]), b"base", "json"),
        (matches, b"other", "json"),
        (matches, b"base", "dicom+json"),
        (replace(matches, remaining=None), b"base", "json"),
    ]
    assert [finished.get(*other) for other in others] == [None] * 4


@pytest.mark.parametrize("served", [Served(), Served("miss"), Served("stale", 9, ("old",))])
def test_only_of_what_is_kept(served: Served) -> None:
    finished, matches = Finished(), kept(b"{}", served=served)
    finished.put(matches, b"base", "json", DOCUMENT)
    assert finished.get(matches, b"base", "json") is None and finished.taken == 0


def test_results_that_are_gone_lend_their_identity_to_nobody() -> None:
    finished = Finished()
    for number in range(2000):
        matches = kept(b"%d" % number)
        assert finished.get(matches, b"base", "json") is None
        finished.put(matches, b"base", "json", Document(b"%d" % number, ""))


def test_the_bound_holds_and_the_oldest_goes() -> None:
    finished = Finished(8 * (100 + OVERHEAD))
    several = [kept(b"%d" % number) for number in range(10)]
    for matches in several:
        finished.put(matches, b"", "", Document(bytes(100), ""))
        finished.put(matches, b"", "", Document(bytes(100), ""))
        assert finished.get(several[0], b"", "") is not None
    assert finished.taken == finished.bound
    assert [finished.get(matches, b"", "") is not None for matches in several] == [True] + [False] * 2 + [True] * 7
    finished.put(large := kept(b"large"), b"", "", Document(bytes(101 + OVERHEAD), ""))
    assert finished.get(large, b"", "") is None and finished.taken == finished.bound


def test_whoever_sends_another_host_each_time_makes_no_more_of_them_than_fit() -> None:
    finished, matches = Finished(50 * OVERHEAD), kept(b"{}")
    for number in range(1000):
        finished.put(matches, b"http://host-%d" % number, "json", DOCUMENT)
    assert len(finished._made) < 50 and finished.taken <= finished.bound
