"""What a federation does beyond the contract; merging itself is tested in tests/backends/merging."""

from __future__ import annotations

import json
from functools import partial

import pytest

from gateway.backends import federation
from gateway.backends.base import Retrieve, View
from gateway.backends.federation import Federation
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotAcceptable, NotFound, OriginFailed
from tests.backends.made import AS_STORED, FRAME, JSON, SINGLE, content, dicom, parts, query, read, sops, store, study, wants
from tests.backends.spool.spools import DOWN, Destination


@pytest.fixture
def members() -> dict[str, Destination]:
    return {name: Destination() for name in ("first", "second", "third")}


@pytest.fixture
def joined(members: dict[str, Destination]) -> Federation:
    return Federation(members, name="all")


async def test_stores_go_to_the_first_member(joined: Federation, members: dict[str, Destination]) -> None:
    assert len((await store(joined, *study("1.1"))).stored) == 4
    assert len(await sops(members["first"])) == 4 and not await sops(members["second"])


async def test_reads_go_where_the_study_is(joined: Federation, members: dict[str, Destination]) -> None:
    for number, member in enumerate(members.values(), 1):
        await store(member, dicom(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1"))
    for number in (3, 1, 2):
        data = dicom(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1")
        assert await content(joined, f"1.{number}", f"1.{number}.1", f"1.{number}.1.1") == data
    assert await sops(joined) == ["1.1.1.1", "1.2.1.1", "1.3.1.1"]


async def test_where_a_study_is_is_looked_for_once(
    joined: Federation, members: dict[str, Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(members["second"], dicom())
    await content(joined)
    members["first"].error = members["third"].error = DOWN
    assert await content(joined) == dicom()
    body = await joined.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))
    assert body.served.warnings == ()
    await body.aclose()
    monkeypatch.setattr(federation, "REMEMBERED_SECONDS", 0.0)
    body = await joined.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))
    assert [warning.split()[2] for warning in body.served.warnings] == ["first", "third"]
    await body.aclose()


async def test_a_study_that_moves_is_found_again(joined: Federation, members: dict[str, Destination]) -> None:
    await store(members["second"], dicom())
    await content(joined)
    await members["second"].delete(Resource("1.1"))
    await store(members["third"], dicom())
    assert await content(joined) == dicom()


async def test_places_are_bounded(joined: Federation, members: dict[str, Destination], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federation, "REMEMBERED", 2)
    for number in range(1, 6):
        uids = f"1.{number}", f"1.{number}.1", f"1.{number}.1.1"
        await store(members["second"], dicom(*uids))
        await content(joined, *uids)
    assert list(joined._places._known) == ["1.4", "1.5"]


async def test_a_study_in_several_members_is_one(joined: Federation, members: dict[str, Destination]) -> None:
    files = study("1.1")
    await store(members["third"], files[0], files[3])
    await store(members["second"], *files[:3])
    assert sorted(data for _, data in await parts(await joined.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))) == sorted(files)
    assert len(json.loads(await read(await joined.retrieve(wants(View.METADATA, JSON, "1.1", "1.1.2"))))) == 2
    assert await read(await joined.retrieve(wants(View.FRAMES, FRAME, "1.1", "1.1.2", "1.1.2.2", frames=[1]))) == bytes(range(32))
    assert await content(joined, "1.1", "1.1.2", "1.1.2.2") == files[3]
    assert await joined.delete(Resource("1.1")) == 4
    with pytest.raises(Gone):
        await joined.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))


async def test_a_dead_member_costs_a_warning(joined: Federation, members: dict[str, Destination]) -> None:
    await store(members["first"], *study("1.1"))
    members["second"].error = DOWN
    matches = await joined.search(query())
    assert len(matches.results) == 1 and matches.remaining == 0
    assert matches.served.warnings == ("The store second did not answer; what only it has is missing",)
    assert len(await parts(await joined.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))) == 4
    with pytest.raises(OriginFailed):  # it may be there
        await joined.retrieve(wants(View.INSTANCES, AS_STORED, "9"))
    with pytest.raises(OriginFailed):
        await joined.delete(Resource("1.1"))
    assert len(await sops(members["first"])) == 4


async def test_where_all_are_dead_there_is_an_error(joined: Federation, members: dict[str, Destination]) -> None:
    for member in members.values():
        member.error = DOWN
    with pytest.raises(OriginFailed):
        await joined.search(query())
    with pytest.raises(OriginFailed):
        await joined.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    assert not (await joined.check()).ready


async def test_health_is_that_of_those_who_do_the_work(joined: Federation, members: dict[str, Destination]) -> None:
    assert await joined.check() == await MemoryBackend().check()
    members["first"].error = DOWN
    health = await joined.check()
    assert health.ready and not health.writable and health.detail == "first: The origin cannot be reached."


async def test_members_outlive_it(joined: Federation, members: dict[str, Destination]) -> None:
    await store(joined, dicom())
    await joined.aclose()
    assert await sops(members["first"]) == ["1.1.1.1"]


async def test_what_nobody_knows_is_not_found(joined: Federation) -> None:
    with pytest.raises(NotFound):
        await joined.retrieve(wants(View.METADATA, JSON, "9"))
    with pytest.raises(ValueError, match="no members"):
        Federation({}, name="none")


async def test_one_thumbnail_of_a_study_is_enough(
    joined: Federation, members: dict[str, Destination], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many members have a part of it: several pictures would be no picture."""
    await store(members["first"], dicom())
    await store(members["second"], dicom(sop="1.1.1.2"))
    asked: list[str] = []

    def refuse(name: str, _: Retrieve) -> None:
        asked.append(name)
        raise NotAcceptable(name)

    for name, member in members.items():
        monkeypatch.setattr(member, "retrieve", partial(refuse, name))
    with pytest.raises(NotAcceptable, match="first"):
        await joined.retrieve(wants(View.THUMBNAIL, JSON, "1.1"))
    assert asked == ["first"]
