"""What a spool shows, keeps and forgets; how it delivers is in test_delivering."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import View
from gateway.backends.local import repair
from gateway.backends.merging.searches import search
from gateway.backends.policy import OnDuplicate
from gateway.backends.spool import deliveries
from gateway.backends.spool.routing import Route
from gateway.backends.spool.spooled import Spooled
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound, OriginFailed
from tests.backends.made import AS_STORED, FRAME, JSON, SINGLE, content, dicom, parts, query, read, sops, store, study, wants
from tests.backends.spool.spools import DOWN, Destination, is_empty, letters, settled, spooled, until

FILES = study("1.1")
MISSING = ("The store default did not answer; what only it has is missing",)

Open = Callable[..., Spooled]


@pytest.fixture
async def open_spool(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens spools, each in a folder of its own unless that is named; those that are still open at the end are closed."""
    opened: list[Spooled] = []

    def one(*destinations: Destination, folder: Path | None = None, **chosen: Any) -> Spooled:
        opened.append(spooled(folder or tmp_path / f"spool{len(opened)}", *destinations, **chosen))
        return opened[-1]

    yield one
    for spool in opened:
        if not spool._local._writer._closed:
            await spool.aclose()


@pytest.fixture
def origin() -> Destination:
    return Destination()


@pytest.fixture
def waiting(open_spool: Open, origin: Destination) -> Spooled:
    """A spool that delivers nothing."""
    return open_spool(origin, delivers=False)


async def test_what_waits_is_found_and_read_though_the_origin_is_down(waiting: Spooled, origin: Destination) -> None:
    origin.error = DOWN
    assert len((await store(waiting, *FILES)).stored) == 4
    matches = await waiting.search(query())
    assert json.loads(matches.results[0])["00201208"]["Value"] == [4] and matches.served.warnings == MISSING
    body = await waiting.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    assert body.served.warnings == MISSING and [data for _, data in await parts(body)] == FILES
    assert await content(waiting) == FILES[0]
    assert await read(await waiting.retrieve(wants(View.FRAMES, FRAME, "1.1", "1.1.1", "1.1.1.1", frames=[1]))) == bytes(range(32))


async def test_what_waits_and_is_there_as_well_is_shown_once(waiting: Spooled, origin: Destination) -> None:
    await store(origin, *FILES[:3], *study("1.2"))
    await store(waiting, *FILES[1:])
    assert await sops(waiting) == [f"1.{a}.{b}.{c}" for a in (1, 2) for b in (1, 2) for c in (1, 2) if (a, b, c) != (1, 2, 2)] + ["1.1.2.2"]
    studies = [json.loads(one) for one in (await waiting.search(query())).results]
    assert [one["00201208"]["Value"][0] for one in studies] == [4, 4]
    assert [data for _, data in await parts(await waiting.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))] == FILES
    assert len(json.loads(await read(await waiting.retrieve(wants(View.METADATA, JSON, "1.1"))))) == 4


async def test_an_empty_spool_is_not_in_the_way(waiting: Spooled, origin: Destination) -> None:
    await store(origin, dicom())
    direct, through = await origin.search(query()), await waiting.search(query())
    assert through == direct
    body = await waiting.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))
    assert body.etag == (await origin.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))).etag
    await body.aclose()
    origin.error = DOWN
    with pytest.raises(OriginFailed):
        await waiting.search(query())
    with pytest.raises(OriginFailed):
        await waiting.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))


async def test_validators_change_once_when_an_instance_moves(open_spool: Open, origin: Destination) -> None:
    """The exception that the contract suite makes for spools (tests/backends/kinds.py)."""
    origin.error = DOWN
    spool = open_spool(origin)
    await store(spool, dicom())
    tags = []
    for moved in (False, False, True, True):
        if moved:
            origin.error = None
            await settled(spool)
        body = await spool.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))
        tags.append(body.etag)
        await body.aclose()
    assert tags[0] == tags[1] != tags[2] == tags[3]


# -- deletes


async def test_what_is_deleted_while_it_waits_is_never_delivered(open_spool: Open, origin: Destination) -> None:
    spool = open_spool(origin, delivers=False)
    await store(spool, *FILES)
    assert await spool.delete(Resource("1.1", "1.1.1")) == 2
    with pytest.raises(Gone):
        await spool.retrieve(wants(View.INSTANCES, AS_STORED, "1.1", "1.1.1"))
    folder = spool._local.root
    await spool.aclose()
    spool = open_spool(origin, folder=folder)
    await settled(spool)
    assert origin.requests == [["1.1.2.1", "1.1.2.2"]]


async def test_a_delete_reaches_what_waits_and_what_is_there(waiting: Spooled, origin: Destination) -> None:
    await store(origin, *FILES[:3])
    await store(waiting, *FILES[2:])
    assert await waiting.delete(Resource("1.1")) == 4
    assert await sops(origin) == await sops(waiting) == []
    with pytest.raises(Gone):
        await waiting.delete(Resource("1.1"))
    with pytest.raises(NotFound):
        await waiting.delete(Resource("9"))


async def test_nothing_is_deleted_while_the_origin_is_down(waiting: Spooled, origin: Destination) -> None:
    await store(waiting, *FILES)
    origin.error = DOWN
    with pytest.raises(OriginFailed):
        await waiting.delete(Resource("1.1"))
    assert len(await sops(waiting)) == 4


async def test_who_left_for_the_origin_was_not_deleted(open_spool: Open, origin: Destination) -> None:
    spool = open_spool(origin)
    await store(spool, *FILES)
    await settled(spool)
    origin.inner._held.clear()  # somebody deletes it there, and the origin remembers nothing
    for uids in (("1.1",), ("1.1", "1.1.1"), ("1.1", "1.1.1", "1.1.1.1")):
        with pytest.raises(NotFound) as caught:
            await spool.retrieve(wants(View.INSTANCES, AS_STORED, *uids))
        assert not isinstance(caught.value, Gone)


# -- other versions


async def test_other_versions_of_what_was_delivered_are_treated_as_of_what_is_here(open_spool: Open, origin: Destination) -> None:
    spool = open_spool(origin)
    await store(spool, dicom())
    await settled(spool)
    result = await store(spool, dicom(PatientID="P2"), dicom("1.2", "1.2.1", "1.2.1.1"))
    assert [(one.sop, one.reason) for one in result.failed] == [("1.1.1.1", Reason.PROCESSING_FAILURE)] and len(result.stored) == 1
    origin.error = DOWN  # what was delivered there is thought to be there
    assert (await store(spool, dicom(PatientID="P2"))).failed
    origin.error = None
    await origin.delete(Resource("1.1"))
    assert (await store(spool, dicom(PatientID="P2"))).stored
    await settled(spool)
    assert await content(origin) == dicom(PatientID="P2")


async def test_a_deleted_instance_may_come_back_in_another_version(open_spool: Open, origin: Destination) -> None:
    spool = open_spool(origin)
    await store(spool, dicom())
    await settled(spool)
    await spool.delete(Resource("1.1"))
    assert (await store(spool, dicom(PatientID="P2"))).stored
    assert await content(spool) == dicom(PatientID="P2")


async def test_equal_bytes_are_delivered_again(open_spool: Open, origin: Destination) -> None:
    spool = open_spool(origin)
    for _ in range(2):
        assert (await store(spool, dicom())).stored
        await settled(spool)
    assert len(origin.requests) == 2


async def test_skip_and_replace_hold_for_what_was_delivered(open_spool: Open) -> None:
    for policy, kept in ((OnDuplicate.SKIP, "P1"), (OnDuplicate.REPLACE, "P2")):
        origin = Destination(policy)
        spool = open_spool(origin, on_duplicate=policy)
        await store(spool, dicom())
        await settled(spool)
        result = await store(spool, dicom(PatientID="P2"))
        assert [one.warning for one in result.stored] == [WarningReason.COERCED if policy is OnDuplicate.SKIP else None]
        await settled(spool)
        assert await content(origin) == dicom(PatientID=kept)


async def test_what_the_origin_refuses_as_another_version_is_a_dead_letter(open_spool: Open, origin: Destination) -> None:
    """Delivered by somebody else, or longer ago than is remembered: only the origin knows."""
    await store(origin, dicom())
    spool = open_spool(origin, attempts=2)
    assert (await store(spool, dicom(PatientID="P2"))).stored
    await until(lambda: _one_dead(spool))
    (letter,) = await letters(spool)
    assert letter.reason.startswith("0110: ")
    assert await content(spool) == dicom(PatientID="P2")  # it stays readable
    assert await sops(spool) == ["1.1.1.1"]


async def _one_dead(spool: Spooled) -> bool:
    return len(await letters(spool, dead=True)) == 1


# -- several destinations, and the rest


async def test_reads_ask_the_destinations_that_may_have_something_alone(open_spool: Open, origin: Destination) -> None:
    apart, copies = Destination(), Destination()
    routes = [Route({"Modality": "SR"}, ("other1",)), Route({"Modality": "CT"}, ("default", "other2"))]
    spool = open_spool(origin, apart, copies, routes=routes)
    await store(spool, *FILES, dicom("1.1", "1.1.9", "1.1.9.1", Modality="SR"))
    await settled(spool)
    assert (len(await sops(origin)), len(await sops(apart)), len(await sops(copies))) == (4, 1, 4)
    copies.error = DOWN
    (one,) = [json.loads(found) for found in (await spool.search(query())).results]
    assert one["00201208"]["Value"] == [5] and one["00080061"]["Value"] == ["CT", "SR"]
    assert len(await parts(await spool.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))) == 5
    assert await spool.delete(Resource("1.1")) == 5
    assert not await sops(origin) and not await sops(apart) and len(await sops(copies.inner)) == 4


async def test_an_instance_leaves_when_it_has_arrived_everywhere(open_spool: Open, origin: Destination) -> None:
    other = Destination()
    other.error = DOWN
    spool = open_spool(origin, other, routes=[Route({}, ("default", "other1"))])
    await store(spool, *FILES)
    await until(lambda: _only_other(spool))
    assert await sops(spool) == [f"1.1.{a}.{b}" for a in (1, 2) for b in (1, 2)]
    assert [data for _, data in await parts(await spool.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))] == FILES
    other.error = None
    await settled(spool)


async def _only_other(spool: Spooled) -> bool:
    return {one.destination for one in await letters(spool)} == {"other1"}


async def test_a_spool_is_ready_whatever_its_origin_is(waiting: Spooled, origin: Destination) -> None:
    assert (await waiting.check()).detail == ""
    origin.error = DOWN
    health = await waiting.check()
    assert health.ready and health.writable and health.detail == "default waits: The origin cannot be reached."


async def test_what_is_left_is_delivered_at_the_next_start(open_spool: Open, origin: Destination, waiting: Spooled) -> None:
    await store(waiting, *FILES)
    await waiting.aclose()
    await settled(open_spool(origin, folder=waiting._local.root))
    assert len(await sops(origin)) == 4


async def test_a_rebuilt_index_delivers_everything_anew(open_spool: Open, origin: Destination, waiting: Spooled) -> None:
    await store(waiting, *FILES)
    await waiting.aclose()
    (waiting._local.root / "index.sqlite").unlink()
    repair.rebuild_index(waiting._local.root, lambda done, total: None)
    await settled(open_spool(origin, folder=waiting._local.root))
    assert len(await sops(origin)) == 4


async def test_a_search_in_which_things_move_is_made_again(open_spool: Open, origin: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything departs in the middle of the first look; the second one counts right."""
    await store(origin, dicom())
    spool = open_spool(origin, delivers=False)
    await store(spool, *FILES)
    looks = 0

    async def moving(*args: Any, **kwargs: Any) -> Any:
        nonlocal looks
        looks += 1
        found = await search(*args, **kwargs)
        if looks == 1:
            await store(origin, *FILES)
            await spool._local.write(lambda db: deliveries.depart(db, spool._local, [1, 2, 3, 4]))
        return found

    monkeypatch.setattr("gateway.backends.spool.spooled.search", moving)
    (one,) = [json.loads(found) for found in (await spool.search(query())).results]
    assert looks == 2 and one["00201208"]["Value"] == [4] and await is_empty(spool)
