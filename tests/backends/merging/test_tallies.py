from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.backends.base import Backend, Matches
from gateway.backends.memory import MemoryBackend
from gateway.backends.merging.members import Member, Round
from gateway.backends.merging.tallies import Found, mended, uid
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from tests.backends.made import dicom, query, store


class Counting(MemoryBackend):
    """:ivar asked: the searches."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Query] = []

    async def search(self, query: Query) -> Matches:
        self.asked.append(query)
        return await super().search(query)


async def found(member: Member, asked: Query) -> list[Found]:
    return [Found(json.loads(one), member) for one in (await member.backend.search(asked)).results]


async def two(*, first: list[bytes], second: list[bytes]) -> list[Member]:
    members = [Member("a", Counting()), Member("b", Counting())]
    for member, files in zip(members, (first, second), strict=True):
        await store(member.backend, *files)
    return members


def backend(member: Member) -> Counting:
    assert isinstance(member.backend, Counting)
    return member.backend


async def test_studies_that_lie_in_one_place_cost_one_question_and_stay_as_they_are() -> None:
    members = await two(first=[dicom()], second=[dicom("1.2", "1.2.1", "1.2.1.1")])
    results = await found(members[0], query())
    backend(members[0]).asked.clear()
    assert await mended(Round(members), query(), results) == results
    assert len(backend(members[0]).asked) == len(backend(members[1]).asked) == 1


async def test_instances_of_one_series_need_no_mending() -> None:
    members = await two(first=[dicom()], second=[dicom(sop="1.1.1.2")])
    asked = query("instance", Resource("1.1", "1.1.1"))
    results = await found(members[0], asked)
    backend(members[1]).asked.clear()
    assert await mended(Round(members), asked, results) == results and not backend(members[1]).asked
    shown = query("instance", Resource("1.1", "1.1.1"), includefield="NumberOfStudyRelatedInstances")
    (one,) = await mended(Round(members), shown, await found(members[0], shown))
    assert one.attributes["00201208"]["Value"] == [2]


async def test_of_a_large_study_only_what_lies_elsewhere_is_listed() -> None:
    members = await two(
        first=[dicom(sop=f"1.1.1.{number}") for number in range(1, 30)], second=[dicom(sop="1.1.1.29"), dicom(sop="1.1.1.30")]
    )
    asking = Round(members)
    (one,) = await mended(asking, query(), await found(members[0], query()))
    assert one.split and one.attributes["00201208"]["Value"] == [30]
    listings = [asked for asked in backend(members[0]).asked if asked.level == "instance"]
    assert [len(asked.filters) for asked in listings] == [1]


@pytest.mark.parametrize("mine", [{"PatientName": "Roe^Rick"}, {"StudyDescription": "x"}])
async def test_the_first_member_speaks_for_study_and_series(mine: dict[str, str]) -> None:
    members = await two(first=[dicom(ProtocolName="A")], second=[dicom(sop="1.1.1.2", ProtocolName="B", **mine)])
    asked = query("instance", includefield="ProtocolName")
    ours, theirs = [(await mended(Round(members), asked, await found(member, asked)))[0].attributes for member in members]
    own = {"00080018", "00081190", "00200013"}
    assert {key: ours[key] for key in set(ours) - own} == {key: theirs[key] for key in set(theirs) - own}
    assert theirs["00181030"]["Value"] == ["A"] and uid(theirs, "instance") == "1.1.1.2"


async def test_numbers_are_read_again_when_an_instance_arrives_meanwhile() -> None:
    inner: Backend = MemoryBackend()
    await store(inner, dicom(), dicom(sop="1.1.1.2"))
    arrived = False

    class Arriving:
        async def search(self, query: Query) -> Any:
            nonlocal arrived
            if query.level == "instance" and not arrived:
                arrived = True
                await store(inner, dicom(sop="1.1.1.3"))
            return await inner.search(query)

    arriving: Any = Arriving()
    waiting = Member("b", MemoryBackend())
    await store(waiting.backend, dicom(sop="1.1.1.3"))
    members = [Member("a", arriving), waiting]
    (one,) = await mended(Round(members), query(), await found(waiting, query()))
    assert arrived and one.attributes["00201208"]["Value"] == [3]
