"""Pixels in other forms around any store: what is stored goes out untouched, what is made is made once and never old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from gateway.backends.base import Backend, Body, Retrieve, View
from gateway.backends.caller import CALLER, Caller
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured import making
from gateway.backends.pictured.pictured import Pictured
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.query import Query
from gateway.errors import Gone, NotAcceptable, NotFound
from tests import samples
from tests.backends.cached.behind import settle
from tests.backends.made import AS_STORED, FIRST, JSON, dicom, found, named, parts, read, store, study, wants
from tests.backends.pictured.picturing import J2K, RLE, TEN, Asked, Counting, of_frames, pictured

OCTETS = 'multipart/related; type="application/octet-stream"'
EXPLICIT = 'multipart/related; type="application/dicom"'

Make = Callable[..., Pictured]


@pytest.fixture
def pool() -> Counting:
    return Counting(processes=2)


@pytest.fixture
async def inner() -> Asked:
    return Asked(MemoryBackend(on_duplicate=OnDuplicate.REPLACE))


@pytest.fixture
async def make(inner: Asked, pool: Counting, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Pictured] = []

    def one(behind: Backend = inner, folder: Path = tmp_path, **options: Any) -> Pictured:
        made.append(pictured(behind, folder, pool=pool, **options))
        return made[-1]

    yield one
    for backend in made:
        await backend.aclose()


@pytest.fixture
async def backend(make: Make) -> Pictured:
    return make()


def in_form(text: str, *uids: str, view: View = View.INSTANCES) -> Retrieve:
    return wants(view, parse_accept([text]), *uids)


# -- what is stored


@pytest.mark.parametrize(
    "text",
    [
        "*/*",
        'multipart/related; type="*/*"',
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        'multipart/related; type="image/dicom-rle"',
        "image/dicom-rle, */*;q=0.1",
    ],
)
async def test_frames_that_are_stored_in_a_form_asked_for_go_out_as_they_are(
    backend: Pictured, inner: Asked, pool: Counting, text: str
) -> None:
    await store(backend, RLE.data)
    retrieve = of_frames(text, *RLE.uids)
    body = await backend.retrieve(retrieve)
    assert b"\0" in await read(body) and "image/dicom-rle" in body.media_type
    assert len(inner.reads) == 1 and not pool.ran
    assert inner.reads[0] is retrieve or ";q=" in text, "not even the question changes"


async def test_instances_likewise(backend: Pictured, inner: Asked, pool: Counting) -> None:
    await store(backend, RLE.data, dicom(syntax=ImplicitVRLittleEndian))
    for retrieve in (wants(View.INSTANCES, AS_STORED, *RLE.uids), in_form(EXPLICIT, *FIRST), in_form(EXPLICIT, *FIRST[:1])):
        assert await parts(await backend.retrieve(retrieve))
        assert inner.reads == [retrieve] and inner.reads[0] is retrieve
        inner.reads.clear()
    assert not pool.ran


async def test_what_has_nothing_to_do_with_pixels_passes(backend: Pictured, inner: Asked) -> None:
    await store(backend, dicom())
    for retrieve in (wants(View.METADATA, JSON, *FIRST), wants(View.BULKDATA, parse_accept(["*/*"]), *FIRST, bulk="7FE00010")):
        assert await read(await backend.retrieve(retrieve))
        assert inner.reads.pop() is retrieve
    assert await found(backend, "study", "0020000D") == ["1.1"] and inner.searches == 1
    assert (await backend.check()).ready
    await backend.aclose()
    assert inner.closed == 1


async def test_who_can_count_is_asked_to(make: Make) -> None:
    backend = make(MemoryBackend())
    await store(backend, *study("1.1"))
    tally = await backend.tally()
    assert tally is not None and (tally.studies, tally.series, tally.instances) == (1, 2, 4)
    assert await make().tally() is None, "who stands behind this one cannot"


# -- what is made


async def test_a_better_form_is_made_before_a_worse_one_is_taken(backend: Pictured, pool: Counting) -> None:
    await store(backend, RLE.data)
    made = await backend.retrieve(of_frames(f"{OCTETS}, */*;q=0.1", *RLE.uids))
    assert (await parts(made))[0][1] == RLE.frame(1) and len(pool.ran) == 1
    worse = await backend.retrieve(of_frames("image/png, image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50, */*;q=0.1", *RLE.uids))
    assert "image/dicom-rle" in worse.media_type
    await worse.aclose()
    assert len(pool.ran) == 1


async def test_what_cannot_be_had_at_all_names_what_is_stored(backend: Pictured) -> None:
    await store(backend, RLE.data)
    for retrieve in (of_frames("image/png;q=0.5, image/webp", *RLE.uids), in_form("image/png", *RLE.uids)):
        with pytest.raises(NotAcceptable, match=f"{RLE.syntax}.*transfer-syntax=\\*"):
            await backend.retrieve(retrieve)


async def test_a_report_has_no_frames_in_any_form(backend: Pictured) -> None:
    await store(backend, samples.report())
    for text in ("*/*", OCTETS, "image/jpeg"):
        with pytest.raises(NotFound, match="no pixel data"):
            await backend.retrieve(of_frames(text, samples.STUDY, samples.SERIES, samples.SOP))


async def test_what_was_made_is_kept_and_asks_nobody(backend: Pictured, inner: Asked, pool: Counting) -> None:
    await store(backend, RLE.data)
    retrieve = of_frames(OCTETS, *RLE.uids)
    first = await backend.retrieve(retrieve)
    assert (await parts(first))[0][1] == RLE.frame(1) and first.served.cache == "miss"
    inner.reads.clear()
    again = await backend.retrieve(of_frames(OCTETS, *RLE.uids))
    assert (await parts(again))[0][1] == RLE.frame(1)
    assert again.served.cache == "hit" and again.etag == first.etag is not None
    assert not inner.reads and not inner.searches and len(pool.ran) == 1


async def test_questions_that_differ_have_answers_that_differ(backend: Pictured, pool: Counting) -> None:
    await store(backend, TEN.data)
    for numbers in ((1,), (2,), (1, 2), (2, 1)):
        for text in (OCTETS, 'multipart/related; type="image/jls"'):
            await read(await backend.retrieve(of_frames(text, *TEN.uids, numbers=numbers)))
    bodies = [await read(await backend.retrieve(of_frames(OCTETS, *TEN.uids, numbers=one))) for one in ((1,), (2,))]
    assert bodies[0] != bodies[1] and len({*map(repr, pool.ran)}) == 2


async def test_who_wants_it_fresh_gets_it_fresh(backend: Pictured, pool: Counting) -> None:
    await store(backend, RLE.data)
    await read(await backend.retrieve(of_frames(OCTETS, *RLE.uids)))
    token = CALLER.set(Caller(fresh=True))
    await read(await backend.retrieve(of_frames(OCTETS, *RLE.uids)))
    CALLER.reset(token)
    assert len(pool.ran) == 2


async def test_equal_questions_at_once_decode_once(backend: Pictured, pool: Counting) -> None:
    await store(backend, J2K.data)
    pool.gate.clear()
    waiting = [asyncio.create_task(backend.retrieve(of_frames(OCTETS, *J2K.uids))) for _ in range(8)]
    while not pool.ran:
        await asyncio.sleep(0)
    await settle()
    pool.gate.set()
    bodies = [await read(body) for body in await asyncio.gather(*waiting)]
    assert len(pool.ran) == 1 and len({len(body) for body in bodies}) == 1


async def test_an_error_is_not_kept(backend: Pictured, pool: Counting) -> None:
    await store(backend, samples.ALL["basic offset table"]())
    for number in (1, 2):
        with pytest.raises(NotAcceptable):
            await backend.retrieve(of_frames(OCTETS, samples.STUDY, samples.SERIES, samples.SOP))
        assert len(pool.ran) == number


@pytest.mark.parametrize("view", [View.RENDERED, View.THUMBNAIL])
async def test_pictures_are_kept_too(backend: Pictured, inner: Asked, monkeypatch: pytest.MonkeyPatch, view: View) -> None:
    drawn: list[object] = []

    async def draw(*_: object) -> Body:
        drawn.append(1)

        async def pieces() -> Any:
            yield b"a picture"

        return Body("image/jpeg", pieces(), 9)

    monkeypatch.setattr(making, "rendered", draw)
    await store(backend, dicom())
    for uids in (FIRST, FIRST[:2], FIRST[:1]):
        drawn.clear()
        for expected in ("miss", "hit", "hit"):
            body = await backend.retrieve(in_form("image/jpeg", *uids, view=view))
            assert await read(body) == b"a picture" and body.served.cache == expected
        assert len(drawn) == 1 and not inner.reads


# -- what was written


@pytest.fixture
async def workers(make: Make, tmp_path: Path) -> list[Pictured]:
    """Two of them over one folder."""
    return [make(LocalStore(tmp_path / "store", durable=False, on_duplicate=OnDuplicate.REPLACE), tmp_path / "store") for _ in range(2)]


async def test_what_is_replaced_or_deleted_is_seen_by_all_workers_at_once(workers: list[Pictured]) -> None:
    retrieve = of_frames("image/jls", *FIRST)
    for number in range(1, 6):
        writer, reader = workers[number % 2], workers[1 - number % 2]
        await store(writer, dicom(PixelData=bytes([number]) * 32))
        bodies = {await read(await worker.retrieve(retrieve)) for worker in (reader, writer, reader)}
        assert len(bodies) == 1
        again = await reader.retrieve(retrieve)
        assert again.served.cache == "hit" and {await read(again)} == bodies
    await workers[0].delete(named("1.1"))
    for worker in workers:
        with pytest.raises(Gone):
            await worker.retrieve(retrieve)


async def test_another_instance_of_the_study_makes_old_what_was_made_of_it(workers: list[Pictured]) -> None:
    await store(workers[0], dicom())
    retrieve = of_frames("image/jls", *FIRST)
    await read(await workers[1].retrieve(retrieve))
    await store(workers[0], dicom(sop="1.1.1.2"))
    body = await workers[1].retrieve(retrieve)
    assert body.served.cache == "miss"
    await body.aclose()


# -- studies of several kinds


@pytest.fixture
async def instead(monkeypatch: pytest.MonkeyPatch) -> list[Retrieve]:
    """Whole instances that are asked of this room; each is an error."""
    asked: list[Retrieve] = []

    async def refuse(*given: Any) -> Body:
        asked.append(given[3])
        raise NotAcceptable("made here")

    monkeypatch.setattr(making, "instances", refuse)
    return asked


async def test_a_store_that_decides_is_asked_first(make: Make, inner: Asked, instead: list[Retrieve]) -> None:
    backend = make()
    await store(backend, *study("1.1"), samples.mr())
    assert len(await parts(await backend.retrieve(in_form(EXPLICIT, "1.1")))) == 4
    assert not inner.searches and not instead


async def test_a_store_that_may_break_off_is_asked_for_what_it_can_give(make: Make, inner: Asked, instead: list[Retrieve]) -> None:
    backend = make(decides=False)
    await store(backend, *study("1.1"))
    assert len(await parts(await backend.retrieve(in_form(EXPLICIT, "1.1")))) == 4
    assert inner.searches == 1 and not instead
    mixed = dicom(*RLE.uids[:2], "1.9")
    await store(backend, mixed, RLE.data)
    before = len(inner.reads)
    retrieve = in_form(EXPLICIT, RLE.uids[0])
    with pytest.raises(NotAcceptable, match="made here"):
        await backend.retrieve(retrieve)
    assert instead == [retrieve] and len(inner.reads) == before, "it would have broken off in the middle"
    assert len(await parts(await backend.retrieve(wants(View.INSTANCES, AS_STORED, RLE.uids[0])))) == 2
    assert len(await parts(await backend.retrieve(in_form(EXPLICIT, *RLE.uids[:2], "1.9")))) == 1


async def _served(backend: Pictured) -> list[Callable[[], float | None] | None]:
    """What says that each kind of answer may be given again."""
    found = [(await backend.search(Query("study"))).served.still]
    for retrieve in (
        wants(View.METADATA, JSON, *FIRST),
        of_frames(OCTETS, *FIRST),
        wants(View.BULKDATA, parse_accept([OCTETS]), *FIRST, bulk="7FE00010"),
    ):
        body = await backend.retrieve(retrieve)
        found.append(body.served.still)
        await body.aclose()
    return found


async def test_answers_of_a_store_that_knows_all_its_writes_may_be_given_again_until_the_next(make: Make) -> None:
    backend = make(exact=True)
    await store(backend, dicom())
    before = await _served(backend)
    assert all(still is not None and still() is not None for still in before)
    await store(backend, dicom(study="2.1", series="2.1.1", sop="2.1.1.1"))
    search, *reads = before
    assert search is not None and search() is None
    assert all(still is not None and still() is not None for still in reads)
    await backend.delete(named("1.1"))
    assert all(still is not None and still() is None for still in reads)


async def test_a_write_while_an_answer_is_made_makes_it_old(make: Make, inner: Asked) -> None:
    one, other = make(exact=True), make(exact=True)
    await store(one, dicom())
    matches = await one.search(Query("study"))
    await store(other, dicom(sop="1.1.1.2"))
    assert matches.served.still is not None and matches.served.still() is None


async def test_of_other_stores_nobody_knows(make: Make) -> None:
    backend = make()
    await store(backend, dicom())
    assert await _served(backend) == [None] * 4


async def test_nothing_is_given_again_for_long(make: Make) -> None:
    now = [100.0]
    backend = make(exact=True, clock=lambda: now[0])
    await store(backend, dicom())
    still = (await backend.search(Query("study"))).served.still
    now[0] += 0.9
    assert still is not None and still() == pytest.approx(0.9)
    now[0] += 0.2
    assert still() is None
