from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from gateway.backends.base import Backend, Body, Retrieve, View
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.merging import reads
from gateway.backends.merging.members import Member, Round
from gateway.backends.merging.reads import list_instances, read_in_parts
from gateway.backends.parts import Part, made_whole, multipart
from gateway.backends.validators import state_of
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable, NotFound, OriginFailed
from tests import samples
from tests.backends.made import AS_STORED, FRAME, JSON, dicom, located, parts, query, read, store, study, wants
from tests.backends.resting import open_below
from tests.backends.spool.spools import DOWN, Destination

FILES = study("1.1")
ANY = parse_accept(["*/*"])
XML = parse_accept(['multipart/related; type="application/dicom+xml"'])


@pytest.fixture
async def members(tmp_path: Path) -> Any:
    """The first has the second instance, the second has the others and that one too: on disk, so that files are read."""
    found = [Member("a", MemoryBackend()), Member("b", LocalStore(tmp_path, durable=False))]
    await store(found[0].backend, FILES[1])
    await store(found[1].backend, *FILES)
    yield found
    await found[1].backend.aclose()


async def body_of(members: list[Member], retrieve: Retrieve, first: Member | None = None) -> Body:
    return await read_in_parts(Round(members), members, retrieve, first=first)


async def test_each_instance_goes_out_once(members: list[Member], tmp_path: Path) -> None:
    for uids, files in ((("1.1",), [FILES[1], FILES[0], *FILES[2:]]), (("1.1", "1.1.1"), [FILES[1], FILES[0]])):
        body = await body_of(members, wants(View.INSTANCES, AS_STORED, *uids))
        assert body.instances == len(files)
        assert [data for _, data in await parts(body)] == files
    assert open_below(tmp_path / "blobs") == 0


@pytest.mark.parametrize("accept", [JSON, XML], ids=["json", "xml"])
async def test_metadata_of_all(members: list[Member], accept: Any) -> None:
    body = await body_of(members, wants(View.METADATA, accept, "1.1"))
    data = await read(body)
    assert data.count(b"@/studies") == 4
    if accept is JSON:
        assert [one["00080018"]["Value"][0] for one in json.loads(data)] == ["1.1.1.2", "1.1.1.1", "1.1.2.1", "1.1.2.2"]


@pytest.mark.parametrize("view", [View.BULKDATA, View.PIXELDATA])
async def test_locations_hold_for_the_url_that_was_asked(members: list[Member], view: View) -> None:
    found = await located(await body_of(members, wants(view, ANY, "1.1")))
    named = [urljoin(f"/studies/1.1/{view.value}", str(where)) for _, where, _ in found]
    base = "/studies/1.1/series/1.1.{}/instances/1.1.{}.{}/bulkdata/7FE00010"
    assert named == [base.format(a, a, b) for a, b in ((1, 2), (1, 1), (2, 1), (2, 2))]


async def test_what_moves_meanwhile_is_read_from_where_it_is(members: list[Member], monkeypatch: pytest.MonkeyPatch) -> None:
    """After the lists were made everything moves to the first member, whose body then has it, or is asked for it."""
    a, b = members
    listing = reads.list_instances

    async def listed(asking: Round, member: Member, resource: Resource) -> Any:
        found = await listing(asking, member, resource)
        if member is a:
            await store(a.backend, FILES[0])
            await b.backend.delete(Resource("1.1", "1.1.1"))
        return found

    monkeypatch.setattr(reads, "list_instances", listed)
    body = await body_of(members, wants(View.INSTANCES, AS_STORED, "1.1"), first=b)
    assert sorted(data for _, data in await parts(body)) == sorted(FILES)


@pytest.mark.parametrize("wholly", [False, True])
async def test_what_the_first_one_has_is_given_as_it_has_it(wholly: bool) -> None:
    """An older version elsewhere is left out, wherever its member stands; who has nothing else is not even read."""
    old, new = [[dicom(sop="1.1.1.1", PatientID=name, PixelData=name.encode() * 16)] for name in ("OL", "NE")]
    beside = [] if wholly else [dicom(sop="1.1.1.2", PatientID="BE", PixelData=b"BE" * 16)]
    members = [Member(name, Destination()) for name in "abc"]
    for member, files in zip(members, (old + beside, old, new), strict=True):
        await store(member.backend, *files)
    first = members[2]
    expected = ["BE", "NE"] if beside else ["NE"]
    for retrieve in (wants(View.INSTANCES, AS_STORED, "1.1"), wants(View.PIXELDATA, ANY, "1.1")):
        found = [data[-2:].decode() for _, data in await parts(await body_of(members, retrieve, first))]
        assert found == expected
    documents = json.loads(await read(await body_of(members, wants(View.METADATA, JSON, "1.1"), first)))
    assert [one["00100020"]["Value"][0] for one in documents] == expected


async def test_a_first_one_that_has_nothing_any_more_leaves_it_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it was there twice, and has just left there."""
    members = [Member(name, MemoryBackend()) for name in "ab"]
    listing = reads.list_instances

    async def listed(asking: Round, member: Member, resource: Resource) -> Any:
        found = await listing(asking, member, resource)
        if member is members[0]:
            await members[1].backend.delete(Resource("1.1"))
        return found

    monkeypatch.setattr(reads, "list_instances", listed)
    for retrieve in (wants(View.INSTANCES, AS_STORED, "1.1"), wants(View.PIXELDATA, ANY, "1.1"), wants(View.METADATA, JSON, "1.1")):
        for member in members:
            await store(member.backend, *FILES)
        body = await body_of(members, retrieve, members[1])
        found = await read(body)
        assert all(found.count(one) == 1 for one in FILES) if retrieve.view is View.INSTANCES else len(found) > 4 * 32


@pytest.mark.parametrize("loser", [0, 1])
@pytest.mark.parametrize("first", [None, 0, 1])
async def test_who_still_has_it_says_why_there_is_nothing(loser: int, first: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ever had bulk data, and one of them has lost everything since both were listed."""
    both = [Member(name, MemoryBackend()) for name in "ab"]
    for member in both:
        await store(member.backend, samples.report())
    opening = reads._multipart

    async def later(asking: Round, reading: Any) -> Body:
        await both[loser].backend.delete(Resource(samples.STUDY))
        return await opening(asking, reading)

    monkeypatch.setattr(reads, "_multipart", later)
    with pytest.raises(NotFound, match="no bulk data"):
        await body_of(both, wants(View.BULKDATA, ANY, samples.STUDY), None if first is None else both[first])


async def test_a_form_that_one_of_them_has_not_is_refused_before_the_first_byte(members: list[Member], tmp_path: Path) -> None:
    with pytest.raises(NotAcceptable):
        await body_of(members, wants(View.INSTANCES, FRAME, "1.1"))
    with pytest.raises(NotAcceptable):
        await body_of(members, wants(View.METADATA, FRAME, "1.1"))
    assert open_below(tmp_path / "blobs") == 0


async def test_what_nobody_has_any_more_is_not_found() -> None:
    members = [Member(name, MemoryBackend()) for name in "ab"]
    with pytest.raises(NotFound):
        await body_of(members, wants(View.INSTANCES, AS_STORED, "1.1"))


async def test_a_member_that_is_lost_on_the_way_breaks_the_body_off() -> None:
    second = Destination()
    members = [Member("a", MemoryBackend()), Member("b", second)]
    await store(members[0].backend, FILES[0])
    await store(second, *FILES)
    for view, accept in ((View.INSTANCES, AS_STORED), (View.METADATA, JSON)):
        body = await body_of(members, wants(view, accept, "1.1"))
        second.error = DOWN
        with pytest.raises(OriginFailed):
            await read(body)
        second.error = None


async def test_an_origin_that_ends_too_early_is_no_whole_study() -> None:
    class Short(MemoryBackend):
        async def retrieve(self, retrieve: Retrieve) -> Body:
            body = await super().retrieve(retrieve)

            async def some() -> Any:
                async for piece in body.pieces:
                    yield piece
                    break

            return Body(body.media_type, some())

    members: list[Member] = [Member("a", Short()), Member("b", MemoryBackend())]
    for member in members:
        await store(member.backend, *FILES)
    with pytest.raises(OriginFailed):
        await read(await body_of(members, wants(View.INSTANCES, AS_STORED, "1.1")))


async def test_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "PAGE", 3)
    backend: Backend = MemoryBackend()
    await store(backend, *FILES, *study("1.2"))
    member = Member("a", backend)
    listed = await list_instances(Round([member]), member, Resource("1.1"))
    assert listed == [(f"1.1.{a}", f"1.1.{a}.{b}") for a in (1, 2) for b in (1, 2)]
    assert len((await backend.search(query("instance"))).results) == 8


# -- pictures


class Drawing(Destination):
    """Draws every instance but some. :param not_drawn: those."""

    def __init__(self, *not_drawn: str) -> None:
        super().__init__()
        self.not_drawn = not_drawn

    async def retrieve(self, retrieve: Retrieve) -> Body:
        if retrieve.view is not View.RENDERED:
            return await super().retrieve(retrieve)
        drawn = []
        for result in (await self.search(query("instance", retrieve.resource))).results:
            one = json.loads(result)["00080018"]["Value"][0]
            if one not in self.not_drawn and retrieve.resource.instance in (None, one):
                drawn.append(Part("image/jpeg", made_whole(one.encode)))
        if not drawn:
            raise NotAcceptable("nothing of it can be drawn")
        return multipart("image/jpeg", drawn, asyncio.to_thread, state_of(["1"], [1.0]), "tag")


@pytest.mark.parametrize(
    ("not_drawn", "expected"),
    [
        (((), ()), ["1.1.1.1", "1.1.1.2", "1.1.2.1", "1.1.2.2"]),
        (((), ("1.1.2.1",)), ["1.1.1.1", "1.1.1.2", "1.1.2.2"]),
        ((("1.1.1.1", "1.1.1.2"), ()), ["1.1.2.1", "1.1.2.2"]),
    ],
)
async def test_pictures_of_all_but_what_cannot_be_drawn(not_drawn: tuple[tuple[str, ...], ...], expected: list[str]) -> None:
    members = [Member(name, Drawing(*some)) for name, some in zip("ab", not_drawn, strict=True)]
    await store(members[0].backend, *FILES[:2])
    await store(members[1].backend, *FILES[2:])
    body = await body_of(members, wants(View.RENDERED, ANY, "1.1"))
    assert [data.decode() for _, data in await parts(body)] == expected


async def test_where_nothing_can_be_drawn_the_reason_is_told() -> None:
    members = [Member(name, Drawing(*(f"1.1.{x}.{i}" for x in (1, 2) for i in (1, 2)))) for name in "ab"]
    await store(members[0].backend, *FILES[:2])
    await store(members[1].backend, *FILES[2:])
    with pytest.raises(NotAcceptable, match="nothing of it"):
        await body_of(members, wants(View.RENDERED, ANY, "1.1"))
