from __future__ import annotations

import pytest

from gateway.backends.memory import MemoryBackend
from gateway.backends.merging.members import UIDS, Member, Round, chunks, holders, naming, with_uids
from gateway.dicomweb.matching import AnyOf, Exact
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy, InvalidQuery, OriginFailed
from tests.backends.made import named, query, store, study
from tests.backends.spool.spools import DOWN, Destination


def down(name: str = "b") -> Member:
    backend = Destination()
    backend.error = DOWN
    return Member(name, backend)


async def test_who_does_not_answer_is_named_and_not_asked_again() -> None:
    lost, well = down(), Member("a", MemoryBackend())
    asking = Round([lost, well])
    assert await asking.ask(lost, Query("study")) is None
    assert isinstance(lost.backend, Destination)
    lost.backend.error = None
    assert await asking.ask(lost, Query("study")) is None
    assert asking.answering == [well] and not asking.whole and asking.error is DOWN
    assert asking.served().warnings == ("The store b did not answer; what only it has is missing",)


async def test_where_nobody_answers_the_first_error_is_the_callers() -> None:
    members = [down("a"), down("b")]
    assert isinstance(members[1].backend, Destination)
    members[1].backend.error = Busy("later")
    asking = Round(members)
    assert await asking.ask(members[0], Query("study")) is None
    with pytest.raises(OriginFailed):
        await asking.ask(members[1], Query("study"))


async def test_a_refusal_is_not_an_absence() -> None:
    asking = Round([Member("a", MemoryBackend()), Member("b", Destination())])
    backend = asking.members[1].backend
    assert isinstance(backend, Destination)
    backend.error = InvalidQuery("no such key")
    with pytest.raises(InvalidQuery):
        await asking.ask_each(asking.members, Query("study"))


def test_uids_are_one_key() -> None:
    assert with_uids(["1.2", "1.1", "1.2"], "study").match == AnyOf(("1.1", "1.2"))
    assert with_uids(["1.2"], "instance").match == Exact("1.2")
    assert [len(some) for some in chunks(range(2 * UIDS + 1))] == [UIDS, UIDS, 1]


@pytest.mark.parametrize("uids", [("1.1",), ("1.1", "1.1.1"), ("1.1", "1.1.1", "1.1.1.1")])
async def test_holders_are_found_at_each_level(uids: tuple[str, ...]) -> None:
    members = [Member(name, MemoryBackend()) for name in "abc"]
    await store(members[1].backend, *study("1.1"))
    await store(members[2].backend, *study("1.2"))
    assert await holders(Round(members), members, named(*uids)) == [members[1]]
    assert naming(named(*uids)).limit == 1
    assert not (await members[2].backend.search(query("instance", Resource("1.1")))).results
