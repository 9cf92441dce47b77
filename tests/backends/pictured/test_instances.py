"""Whole instances in other transfer syntaxes, as bodies: refused before the first byte or cut after it, and nothing stays open."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import Backend, Body, FileSlice, Retrieve, View
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured import instances as made
from gateway.backends.pictured.instances import instances
from gateway.backends.pictured.sources import Sources, Whole
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, parse_accept
from gateway.dicomweb.rendering import Rendering
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy, NotAcceptable
from gateway.metrics import PixelWork
from gateway.pixels import recoding, syntaxes
from gateway.pixels.instances import Begin, Further
from gateway.pixels.limits import PixelLimits
from gateway.pixels.work import Input, NotDrawable, Result, Work
from tests.backends.cached.behind import settle
from tests.backends.made import dicom, named, parts, read, store
from tests.backends.pictured.picturing import Asked, Counting, descriptors, sources_of
from tests.pixels.whole import noise, picture, transcoded

RLE, JPEG_LS, BASELINE = syntaxes.RLE, syntaxes.JPEG_LS, syntaxes.JPEG_BASELINE
DICOM = "application/dicom; transfer-syntax="
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax='
ONE = ("1.1", "1.1.1", "1")


@pytest.fixture(params=["memory", "local"])
async def inner(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    backend: Backend = MemoryBackend() if request.param == "memory" else LocalStore(tmp_path / "store", durable=False)
    yield Asked(backend)
    await backend.aclose()


@pytest.fixture
async def sources(inner: Asked, tmp_path: Path) -> AsyncIterator[Sources]:
    asked = sources_of(inner, tmp_path)
    yield asked
    await asked.aclose()


@pytest.fixture
def pool() -> Counting:
    return Counting(processes=2)


def native(sop: str = "1", frames: int = 1, syntax: str = EXPLICIT_LITTLE_ENDIAN, **attributes: Any) -> bytes:
    return picture(noise(frames, 6, 5), sop=sop, syntax=syntax, **attributes)


def report(sop: str) -> bytes:
    data = dicom(sop=sop, Rows=None, Columns=None)
    return data[: data.index(b"\xe0\x7f\x10\0")]


async def had(sources: Sources, pool: Counting, accept: str, *uids: str, quality: int | None = None) -> Body:
    retrieve = Retrieve(named(*(uids or ("1.1",))), View.INSTANCES, parse_accept([accept]), rendering=Rendering(quality=quality))
    return await instances(sources, pool, PixelLimits(), retrieve, EXPLICIT_LITTLE_ENDIAN)


async def closed(before: int) -> bool:
    """Whether as many descriptors are open as before; results let go of theirs when nobody refers to them."""
    await settle()
    async with asyncio.timeout(10):
        while descriptors() != before:
            gc.collect()
            await asyncio.sleep(0.01)
    return True


# -- one instance


@pytest.mark.parametrize("frames", [1, 10])
async def test_one_instance_is_a_body_of_its_own(
    inner: Asked, sources: Sources, pool: Counting, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 3)
    await store(inner, transcoded(native(frames=frames), JPEG_LS))
    before = descriptors()
    body = await had(sources, pool, DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE)
    assert (body.media_type, body.length, body.instances) == ("application/dicom", len(native(frames=frames)), 1)
    assert await read(body) == native(frames=frames)
    assert [type(work) for work in pool.ran] == [Begin] + [Further] * (-(-frames // 3) - 1)
    assert await closed(before)


async def test_a_compressed_one_names_its_transfer_syntax(inner: Asked, sources: Sources, pool: Counting) -> None:
    await store(inner, native())
    body = await had(sources, pool, DICOM + RLE, *ONE)
    assert body.media_type == f"application/dicom; transfer-syntax={RLE}"
    assert await read(body) == transcoded(native(), RLE)
    ((media, data),) = await parts(await had(sources, pool, PARTS + RLE, *ONE))
    assert (media, data) == (f"application/dicom; transfer-syntax={RLE}", transcoded(native(), RLE))


async def test_the_quality_that_was_asked_for(inner: Asked, sources: Sources, pool: Counting) -> None:
    data = picture(noise(64, 64, bits=8), sop="1")
    await store(inner, data)
    for quality in (10, 90):
        body = await had(sources, pool, DICOM + BASELINE, *ONE, quality=quality)
        assert await read(body) == transcoded(data, BASELINE, quality)


async def test_what_the_store_behind_does_not_convert_is_converted_here(
    inner: Asked, sources: Sources, pool: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(inner, native(syntax=syntaxes.IMPLICIT))
    assert await read(await had(sources, pool, DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE)) == native()
    assert not pool.ran
    plain = inner.retrieve

    async def refusing(retrieve: Retrieve) -> Body:
        if retrieve.view is View.INSTANCES and retrieve.accept.ranges[0].transfer_syntax != "*":
            raise NotAcceptable("not here")
        return await plain(retrieve)

    monkeypatch.setattr(inner, "retrieve", refusing)
    assert await read(await had(sources, pool, DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE)) == native()
    assert len(pool.ran) == 1


# -- several


async def test_a_study_of_all_kinds(inner: Asked, sources: Sources, pool: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 2)
    files = [
        native("1", InstanceNumber="1"),
        transcoded(native("2", 5, InstanceNumber="2"), RLE),
        native("3", syntax=syntaxes.IMPLICIT, InstanceNumber="3"),
        transcoded(native("4", 2, InstanceNumber="4"), JPEG_LS),
        report("5"),
    ]
    await store(inner, *files)
    before = descriptors()
    body = await had(sources, pool, PARTS + EXPLICIT_LITTLE_ENDIAN)
    assert body.instances == 5
    found = await parts(body)
    wanted = [native("1", 1, InstanceNumber="1"), native("2", 5, InstanceNumber="2"), native("3", 1, InstanceNumber="3")]
    wanted += [native("4", 2, InstanceNumber="4"), report("5")]
    assert sorted(data for _, data in found) == sorted(wanted)
    assert {media for media, _ in found} == {"application/dicom"}
    found = await parts(await had(sources, pool, PARTS + JPEG_LS, "1.1", "1.1.1"))
    assert sorted(media for media, _ in found) == ["application/dicom"] + [f"application/dicom; transfer-syntax={JPEG_LS}"] * 4
    assert files[3] in [data for _, data in found]
    assert await closed(before)


async def test_instances_are_made_ahead_and_only_a_few(inner: Asked, sources: Sources, pool: Counting) -> None:
    await store(inner, *(transcoded(native(str(number)), RLE) for number in range(1, 13)))
    body = await had(sources, pool, PARTS + EXPLICIT_LITTLE_ENDIAN)
    assert len(pool.ran) == 1, "the first one says whether it can be done"
    await anext(body.pieces)
    await anext(body.pieces)
    await settle()
    assert len(pool.ran) <= 1 + made.AHEAD
    await parts(body)
    assert len(pool.ran) == 12
    assert 1 < pool.most <= made.AHEAD


async def test_frames_are_made_ahead_and_only_a_few(
    inner: Asked, sources: Sources, pool: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 1)
    await store(inner, transcoded(native(frames=30), RLE))
    body = await had(sources, pool, DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE)
    for taken in range(2, 12):
        await anext(body.pieces)
        assert len(pool.ran) <= taken + made.AHEAD
    await body.aclose()
    assert 1 < pool.most <= made.AHEAD


# -- failures


def harmed(data: bytes, frame: int) -> bytes:
    """An instance with a codestream that cannot be read."""
    place = -1
    for _ in range(frame):
        place = data.index(b"\xff\xd8\xff", place + 1)
    return data[:place] + b"\0\0\0" + data[place + 3 :]


async def test_what_fails_before_the_first_byte_is_refused(inner: Asked, sources: Sources, pool: Counting) -> None:
    await store(inner, harmed(transcoded(native(), JPEG_LS), 1))
    before = descriptors()
    for accept, uids in ((DICOM, ONE), (PARTS, ONE[:1])):
        with pytest.raises(NotDrawable, match=JPEG_LS):
            await had(sources, pool, accept + EXPLICIT_LITTLE_ENDIAN, *uids)
    assert await closed(before)


@pytest.mark.parametrize("kind", ["frame", "instance"])
async def test_what_fails_later_breaks_the_body_off(
    inner: Asked, sources: Sources, pool: Counting, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 1)
    if kind == "frame":
        await store(inner, harmed(transcoded(native(frames=6), JPEG_LS), 5))
    else:
        files = [transcoded(native(str(number)), JPEG_LS) for number in range(1, 7)]
        await store(inner, *files[:4], harmed(files[4], 1), files[5])
    before = descriptors()
    body = await had(sources, pool, PARTS + EXPLICIT_LITTLE_ENDIAN)
    with pytest.raises(NotDrawable):
        await parts(body)
    await body.aclose()
    assert await closed(before)


class Lying(Counting):
    """A pool whose processes were taken over by the second job."""

    async def run(self, work: Work, inputs: Sequence[Input] = (), *, kind: PixelWork = "render") -> Result:
        result = await super().run(work, inputs, kind=kind)
        return Result({}, result.read() + b"!") if isinstance(work, Further) else result


async def test_a_body_is_never_longer_than_announced(inner: Asked, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 1)
    await store(inner, transcoded(native(frames=3), RLE))
    with pytest.raises(NotDrawable):
        await read(await had(sources, Lying(), DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE))


async def test_a_file_that_belies_what_is_said_of_it_goes_out_as_it_is(
    inner: Asked, sources: Sources, pool: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.backends.pictured import selecting

    await store(inner, native())

    async def mistaken(*_: object) -> selecting._Known:
        return selecting._Known(RLE, RLE, pictures=True)

    monkeypatch.setattr(selecting, "_looked_at", mistaken)
    assert await read(await had(sources, pool, DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE)) == native()
    assert len(pool.ran) == 1


# -- who leaves, and who has to wait


@pytest.mark.parametrize("taken", [0, 1, 2, 5])
@pytest.mark.parametrize("single", [True, False])
async def test_whoever_leaves_leaves_nothing_open(
    inner: Asked, sources: Sources, pool: Counting, monkeypatch: pytest.MonkeyPatch, taken: int, single: bool
) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 1)
    await store(inner, *(transcoded(native(str(number), 6), RLE) for number in range(1, 6)), native("7"), native("8"))
    before = descriptors()
    body = await had(sources, pool, *((DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE) if single else (PARTS + EXPLICIT_LITTLE_ENDIAN,)))
    for _ in range(taken):
        piece = await anext(body.pieces)
        assert not isinstance(piece, FileSlice)
    await body.aclose()
    await body.aclose()
    assert await closed(before)
    assert pool.running == 0


class Counted:
    """Counts the instances that are open, and keeps the garbage collector from closing them. :ivar most: at the same time."""

    def __init__(self, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = self.most = 0
        self._plain = sources.instance
        self._kept: list[object] = []
        monkeypatch.setattr(sources, "instance", self._instance)

    def _instance(self, resource: Resource) -> AbstractAsyncContextManager[Whole]:
        self._kept.append(manager := self._counted(resource))
        return manager

    @asynccontextmanager
    async def _counted(self, resource: Resource) -> AsyncIterator[Whole]:
        async with self._plain(resource) as whole:
            self.open += 1
            self.most = max(self.most, self.open)
            try:
                yield whole
            finally:
                self.open -= 1


@pytest.mark.parametrize("taken", [0, 2, 100])
async def test_instances_are_closed_when_they_have_gone_out_and_not_by_chance(
    inner: Asked, sources: Sources, pool: Counting, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    await store(inner, *(transcoded(native(str(number)), RLE) for number in range(1, 9)))
    counted = Counted(sources, monkeypatch)
    body = await had(sources, pool, PARTS + EXPLICIT_LITTLE_ENDIAN)
    for _ in range(taken):
        if await anext(body.pieces, None) is None:
            assert counted.open == 0
            break
    await body.aclose()
    await settle()
    assert counted.open == 0
    assert 1 <= counted.most <= 1 + made.AHEAD


class Lingering(Counting):
    """A pool that takes a moment to let go of a job. :ivar saw: how many instances were open then."""

    def __init__(self, counted: Counted) -> None:
        super().__init__()
        self.saw: list[int] = []
        self._counted = counted

    async def run(self, work: Work, inputs: Sequence[Input] = (), *, kind: PixelWork = "render") -> Result:
        try:
            return await super().run(work, inputs, kind=kind)
        except asyncio.CancelledError:
            await settle()
            self.saw.append(self._counted.open)
            raise


async def test_an_instance_is_open_as_long_as_a_job_reads_it(inner: Asked, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 1)
    await store(inner, transcoded(native(frames=20), RLE))
    counted = Counted(sources, monkeypatch)
    pool = Lingering(counted)
    body = await had(sources, pool, DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE)
    await anext(body.pieces)
    await anext(body.pieces)
    pool.gate.clear()
    await anext(body.pieces)
    await settle()
    await body.aclose()
    assert set(pool.saw) == {1}
    assert counted.open == 0


async def test_a_caller_who_leaves_while_the_first_job_runs(inner: Asked, sources: Sources, pool: Counting) -> None:
    await store(inner, transcoded(native(), RLE))
    before = descriptors()
    pool.gate.clear()
    asking = asyncio.ensure_future(had(sources, pool, DICOM + EXPLICIT_LITTLE_ENDIAN, *ONE))
    async with asyncio.timeout(10):
        while not pool.running:
            await asyncio.sleep(0.001)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await closed(before)


class Full(Counting):
    """A pool that has no room now and then. :ivar refuses: how often from now on."""

    refuses = 0

    async def run(self, work: Work, inputs: Sequence[Input] = (), *, kind: PixelWork = "render") -> Result:
        if self.refuses:
            self.refuses -= 1
            raise Busy("later")
        return await super().run(work, inputs, kind=kind)


async def test_a_full_queue_refuses_a_new_body_and_delays_one_that_has_begun(
    inner: Asked, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 1)
    monkeypatch.setattr(made, "PAUSE", 0.001)
    files = [native(str(number), 3) for number in range(1, 6)]
    await store(inner, *(transcoded(data, RLE) for data in files))
    pool = Full()
    pool.refuses = 1
    with pytest.raises(Busy):
        await had(sources, pool, PARTS + EXPLICIT_LITTLE_ENDIAN)
    body = await had(sources, pool, PARTS + EXPLICIT_LITTLE_ENDIAN)
    pool.refuses = 12
    assert sorted(data for _, data in await parts(body)) == sorted(files)
    body = await had(sources, pool, PARTS + EXPLICIT_LITTLE_ENDIAN)
    monkeypatch.setattr(made, "PATIENCE", 0.02)
    pool.refuses = 1000
    with pytest.raises(Busy):
        await parts(body)
