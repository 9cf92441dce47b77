"""The tier of one process: the bound, and who goes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.base import Matches, View
from gateway.backends.cached.entries import OVERHEAD, Found, Head, Read
from gateway.backends.cached.keys import Key
from gateway.backends.cached.memory import PROVEN, SHARE, MemoryTier
from gateway.backends.held import Held
from tests.backends.made import FRAMES, query, wants

ROOM = 2 * OVERHEAD


def key(number: int) -> Key:
    return Key("default", "", wants(View.FRAMES, FRAMES, "1", "2", "3", frames=[number + 1]))


def entry(size: int = ROOM - OVERHEAD) -> Read:
    return Read("frames", 1, 0.0, Head("image/jpeg", None, False, None, 1), Held([bytes(size)]))


def numbers(tier: MemoryTier, count: int) -> list[int]:
    """Which are there, without using them."""
    kept = {*tier._new, *tier._proven}
    return [number for number in range(count) if key(number) in kept]


def test_what_was_added_is_found_until_it_is_forgotten() -> None:
    tier = MemoryTier(8 * ROOM)
    one = entry()
    assert tier.add(key(0), one)
    assert tier.get(key(0)) is one and tier.get(key(1)) is None
    assert (tier.taken, len(tier)) == (one.cost, 1)
    tier.forget(key(0))
    tier.forget(key(0))
    assert (tier.get(key(0)), tier.taken, len(tier)) == (None, 0, 0)


def test_a_search_counts_its_results() -> None:
    tier = MemoryTier(1 << 20)
    found = Found("search", 1, 0.0, Matches((b"x" * 100,) * 10))
    assert tier.add(Key("default", "", query()), found)
    assert tier.taken == found.cost > OVERHEAD + 1000


def test_what_was_used_least_recently_goes_first() -> None:
    tier = MemoryTier(8 * ROOM)
    for number in range(8):
        assert tier.add(key(number), entry())
    assert tier.add(key(8), entry())
    assert numbers(tier, 9) == list(range(1, 9))


def test_a_scroll_through_many_frames_drives_out_nothing_that_is_in_use() -> None:
    tier = MemoryTier(8 * ROOM)
    for number in range(3):
        tier.add(key(number), entry())
        tier.get(key(number))
    for number in range(10, 1000):
        tier.add(key(number), entry())
    assert numbers(tier, 10) == [0, 1, 2]


def test_what_was_proven_long_ago_has_to_prove_itself_again() -> None:
    tier = MemoryTier(10 * ROOM)
    for number in range(10):
        tier.add(key(number), entry())
        tier.get(key(number))
    assert tier._proven_bytes <= PROVEN * tier.bound
    tier.add(key(10), entry())
    assert numbers(tier, 11) == list(range(1, 11))


def test_an_answer_above_its_share_is_not_kept_and_drives_nothing_out() -> None:
    tier = MemoryTier(SHARE * 4 * ROOM)
    tier.add(key(0), entry())
    assert not tier.add(key(1), entry(4 * ROOM))
    assert numbers(tier, 2) == [0]
    assert tier.add(key(1), entry(4 * ROOM - OVERHEAD))


def test_what_is_arriving_takes_room_and_leaves_none() -> None:
    tier = MemoryTier(8 * ROOM)
    tier.add(key(0), entry())
    assert tier.take(8 * ROOM)
    assert (len(tier), tier.taken, tier.take(1), tier.add(key(0), entry(0))) == (0, 8 * ROOM, False, False)
    tier.give_back(8 * ROOM)
    assert tier.add(key(0), entry())


def test_without_room_nothing_is_kept() -> None:
    tier = MemoryTier(0)
    assert not tier.add(key(0), entry(0)) and tier.taken == 0


steps = st.lists(
    st.tuples(st.sampled_from(["add", "get", "forget", "take", "back"]), st.integers(0, 20), st.integers(0, 3000)), max_size=80
)


@given(steps)
def test_the_bound_holds_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    tier, arriving = MemoryTier(8 * ROOM), 0
    for verb, number, size in steps:
        if verb == "add":
            tier.add(key(number), entry(size))
        elif verb == "get":
            tier.get(key(number))
        elif verb == "forget":
            tier.forget(key(number))
        elif verb == "take" and tier.take(size):
            arriving += size
        elif verb == "back":
            tier.give_back(arriving)
            arriving = 0
        kept = [*tier._new.values(), *tier._proven.values()]
        assert tier.taken == arriving + sum(one.cost for one in kept) <= tier.bound
        assert tier._proven_bytes == sum(one.cost for one in tier._proven.values())


def test_long_questions_count_and_give_their_room_back() -> None:
    tier = MemoryTier(1 << 20)
    asked = [query(StudyInstanceUID=",".join(f"1.{number}.{place}" for place in range(200))) for number in range(200)]
    for one in asked:
        tier.add(Key("default", "", one), Found("search", 1, 0.0, Matches(())))
        assert tier.taken <= tier.bound
    assert len(tier) < 1 << 20 >> 13  # each takes more than 8 KiB
    for one in asked:
        tier.forget(Key("default", "", one))
    assert (tier.taken, len(tier)) == (0, 0)
