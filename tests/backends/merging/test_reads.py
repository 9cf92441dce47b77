from __future__ import annotations

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
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable, NotFound, OriginFailed
from tests.backends.made import AS_STORED, FRAME, JSON, located, parts, query, read, store, study, wants
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
