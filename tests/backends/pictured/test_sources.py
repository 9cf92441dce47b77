"""What work on pixels is made of, whatever stands behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backends.base import Backend, View
from gateway.backends.caller import CALLER, Caller
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured import sources as asked
from gateway.backends.pictured.headers import Headers
from gateway.backends.pictured.sources import Sources, syntax_of
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.pixels.exchange import Pieces
from gateway.pixels.work import NotDrawable, Region
from tests import samples
from tests.backends.made import FIRST, dicom, named, store, study
from tests.backends.pictured.picturing import J2K, RLE, TEN, Asked, descriptors, sources_of
from tests.backends.twice import cached

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture(params=["memory", "local", "cached"])
async def inner(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    backends: dict[str, Callable[[], Backend]] = {
        "memory": lambda: MemoryBackend(on_duplicate=OnDuplicate.REPLACE),
        "local": lambda: LocalStore(tmp_path / "store", durable=False, on_duplicate=OnDuplicate.REPLACE),
        "cached": lambda: cached(MemoryBackend(on_duplicate=OnDuplicate.REPLACE), tmp_path),
    }
    asked = Asked(backends[request.param]())
    yield asked
    await asked.aclose()


@pytest.fixture
async def sources(inner: Asked, tmp_path: Path) -> AsyncIterator[Sources]:
    made = sources_of(inner, tmp_path)
    yield made
    await made.aclose()


# -- headers


@pytest.mark.parametrize(("sample", "shape"), [(RLE, (64, 64, 1)), (J2K, (1024, 256, 1)), (TEN, (64, 64, 10))], ids=lambda one: str(one))
async def test_a_header_says_what_the_pixels_are(inner: Asked, sources: Sources, sample: object, shape: tuple[int, int, int]) -> None:
    assert isinstance(sample, type(RLE))
    await store(inner, sample.data)
    header = await sources.header(named(*sample.uids))
    assert header.image is not None and header.syntax == header.image.syntax == sample.syntax
    assert (header.image.rows, header.image.columns, header.image.frames) == shape
    assert json.loads(header.raw) == header.data and header.path == named(*sample.uids).path


@pytest.mark.parametrize("form", ["implicit", "big endian", "deflated", "mr"])
async def test_native_frames_come_as_little_endian_octets(inner: Asked, sources: Sources, form: str) -> None:
    await store(inner, samples.ALL[form]())
    header = await sources.header(Resource(samples.STUDY, samples.SERIES, samples.SOP))
    assert header.syntax == EXPLICIT and header.image is not None


async def test_what_is_no_picture_has_a_header_too(inner: Asked, sources: Sources) -> None:
    await store(inner, samples.report())
    header = await sources.header(Resource(samples.STUDY, samples.SERIES, samples.SOP))
    assert header.image is None and header.syntax == EXPLICIT


async def test_what_is_not_there_has_none(sources: Sources) -> None:
    with pytest.raises(NotFound):
        await sources.header(named(*FIRST))


async def test_a_header_is_parsed_once_and_never_old(inner: Asked, sources: Sources) -> None:
    await store(inner, dicom())
    first = await sources.header(named(*FIRST))
    count = len(inner.reads)
    assert await sources.header(replace(named(*FIRST), frames=(1,))) is first
    assert len(inner.reads) == count + 1, "its metadata is asked for, and not read"
    await store(inner, dicom(PatientName="Roe^Rick"))
    assert (await sources.header(named(*FIRST))).data["00100010"]["Value"][0]["Alphabetic"] == "Roe^Rick"


async def test_what_the_pixels_are_is_known_of_a_header_too_long_to_keep(inner: Asked, tmp_path: Path) -> None:
    sources = sources_of(inner, tmp_path, headers=Headers(bound=1000))
    await store(inner, TEN.data, samples.report())
    first = await sources.image(named(*TEN.uids))
    assert first is not None and first.frames == 10 and first.syntax == TEN.syntax
    inner.reads.clear()
    assert await sources.image(named(*TEN.uids)) is first
    assert [one.view for one in inner.reads] == [View.METADATA], "nothing was read again"
    for _ in range(2):
        assert await sources.image(Resource(samples.STUDY, samples.SERIES, samples.SOP)) is None


async def test_those_who_ask_at_the_same_time_share_the_work(inner: Asked, sources: Sources) -> None:
    await store(inner, dicom())
    found = await asyncio.gather(*(sources.header(named(*FIRST)) for _ in range(10)))
    assert len({id(one) for one in found}) == 1
    assert sum(1 for one in inner.reads if one.view is View.FRAMES) <= 1


async def test_a_store_that_says_the_transfer_syntax_with_the_metadata_is_asked_for_nothing_else(tmp_path: Path) -> None:
    inner = Asked(LocalStore(tmp_path / "store"))
    sources = sources_of(inner, tmp_path)
    await store(inner, dicom(), TEN.data)
    assert (await sources.header(named(*FIRST))).syntax == EXPLICIT
    assert (await sources.header(named(*TEN.uids))).syntax == TEN.syntax
    assert {one.view for one in inner.reads} == {View.METADATA}
    await inner.aclose()


async def test_callers_that_the_store_behind_sees_share_nothing(inner: Asked, tmp_path: Path) -> None:
    await store(inner, dicom())
    sources = sources_of(inner, tmp_path, scope=lambda: CALLER.get().scope)
    found = []
    for name in ("one", "other", "one"):
        token = CALLER.set(Caller(f"Bearer {name}"))
        found.append(await sources.header(named(*FIRST)))
        CALLER.reset(token)
    assert found[0] is found[2] is not found[1]


async def test_a_caller_who_leaves_takes_nobody_with_him(inner: Asked, sources: Sources) -> None:
    await store(inner, dicom())
    first, second = (asyncio.create_task(sources.header(named(*FIRST))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).image is not None
    before = descriptors()
    for turns in range(12):
        sources._headers._kept.clear()
        task = asyncio.create_task(sources.header(named(*FIRST)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0.01)
    assert descriptors() <= before


# -- frames


@pytest.mark.parametrize("small", [True, False])
async def test_frames_as_they_are_stored(inner: Asked, sources: Sources, small: bool) -> None:
    await store(inner, samples.ALL["basic offset table"](), TEN.data)
    resource = Resource(samples.STUDY, samples.SERIES, samples.SOP)
    before = descriptors()
    async with sources.frames(resource, [3, 1, 3], small=small) as given:
        found = [Pieces(one).read().rstrip(b"\0") for one in given.inputs]
        assert given.syntax == "1.2.840.10008.1.2.4.50"
    third, first = samples.codestreams(3)[2], samples.codestreams(3)[0]
    assert found == [third, first, third]
    assert descriptors() == before
    with pytest.raises(NotFound):
        async with sources.frames(resource, [1, 9], small=small):
            pass
    assert descriptors() == before


async def test_large_frames_stay_in_their_file(tmp_path: Path) -> None:
    inner = LocalStore(tmp_path / "store", durable=False)
    await store(inner, dicom(Rows=512, Columns=512, NumberOfFrames=2, PixelData=bytes(512 * 512 * 4)))
    sources = sources_of(inner, tmp_path)
    async with sources.frames(named(*FIRST), [2]) as given:
        ((region,),) = given.inputs
        assert isinstance(region, Region) and region.length == 512 * 512 * 2
    await inner.aclose()


async def test_a_frame_that_is_too_long_is_not_read(inner: Asked, tmp_path: Path) -> None:
    await store(inner, dicom())
    sources = sources_of(inner, tmp_path, frame_bytes=31)
    with pytest.raises(NotDrawable, match="more than 31 bytes"):
        async with sources.frames(named(*FIRST), [1]):
            pass


# -- values


async def test_values_by_their_path(inner: Asked, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    await store(inner, dicom())
    assert await sources.bulk(replace(named(*FIRST), frames=(1,)), "7FE00010") == bytes(range(32))
    assert await sources.bulk(named(*FIRST), "00091010") is None
    assert await sources.bulk(named("1", "2", "3"), "7FE00010") is None
    monkeypatch.setattr(asked, "VALUE", 31)
    with pytest.raises(NotDrawable):
        await sources.bulk(named(*FIRST), "7FE00010")


# -- instances


async def test_instances_of_a_study_in_the_order_of_their_numbers(inner: Asked, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "PAGE", 2)
    await store(inner, *study("1.1", series=2, instances=3)[::-1], RLE.data)
    found = await sources.listed(Resource("1.1"))
    assert [one.sop for one in found] == ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.2.1", "1.1.2.2", "1.1.2.3"]
    assert {(one.modality, one.rows, one.syntax, one.study) for one in found} == {("CT", 4, EXPLICIT, "1.1")}
    assert [one.sop for one in await sources.listed(Resource("1.1", "1.1.2"), syntaxes=True)] == ["1.1.2.1", "1.1.2.2", "1.1.2.3"]
    assert await sources.listed(Resource("9.9")) == []


@pytest.mark.parametrize("size", [32, 3 << 20])
async def test_a_whole_instance_in_one_place(inner: Asked, sources: Sources, size: int) -> None:
    data = dicom(PixelData=bytes(range(16)) * (size // 16))
    await store(inner, data)
    before = descriptors()
    async with sources.instance(replace(named(*FIRST), frames=(1,))) as whole:
        assert (whole.size, whole.syntax) == (len(data), EXPLICIT)
        assert Pieces([whole.region]).read() == data
    assert descriptors() == before


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("application/octet-stream", EXPLICIT),
        ("image/jls; transfer-syntax=1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.80"),
        ('application/dicom; transfer-syntax="1.2.840.10008.1.2"', "1.2.840.10008.1.2"),
    ],
)
def test_a_content_type_names_the_transfer_syntax(text: str, syntax: str) -> None:
    assert syntax_of(text) == syntax
