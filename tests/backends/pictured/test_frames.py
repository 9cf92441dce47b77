"""Frames in transfer syntaxes in which they are not stored: pydicom says what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.encaps import encapsulate, generate_frames

from gateway.backends.base import Backend, Body
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured import frames as made_of
from gateway.backends.pictured.frames import AHEAD, chosen, frames
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.rendering import Rendering
from gateway.errors import NotAcceptable, NotFound
from gateway.metrics import PixelWork
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.work import Input, NotDrawable, Result, Work
from tests import samples
from tests.backends.cached.behind import settle, until
from tests.backends.made import dicom, parts, read, store
from tests.backends.pictured.picturing import J2K, JPEG, RLE, TEN, Counting, Sample, descriptors, of_frames, sources_of

OCTETS = 'multipart/related; type="application/octet-stream"'
ONE = "application/octet-stream"
UIDS = (samples.STUDY, samples.SERIES, samples.SOP)

Ask = Callable[..., Any]


@pytest.fixture
def pool() -> Counting:
    return Counting(processes=2)


@pytest.fixture(params=["memory", "local"])
async def inner(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    backend: Backend = MemoryBackend() if request.param == "memory" else LocalStore(tmp_path, durable=False)
    yield backend
    await backend.aclose()


@pytest.fixture
def ask(inner: Backend, pool: Counting, tmp_path: Path) -> Ask:
    """Frames of something that is stored first."""

    async def ask(text: str, data: bytes, uids: tuple[str, ...], numbers: Sequence[int] = (1,), quality: int | None = None) -> Body:
        await store(inner, data)
        wanted = replace(of_frames(text, *uids, numbers=numbers), rendering=Rendering(quality=quality))
        return await frames(sources_of(inner, tmp_path), pool, PixelLimits(), wanted)

    return ask


@pytest.mark.parametrize("sample", [RLE, J2K, JPEG, Sample("JPEG-LL.dcm"), Sample("SC_rgb_rle_16bit.dcm")], ids=lambda one: one.name)
async def test_decoded_they_are_what_pydicom_decodes(ask: Ask, sample: Sample) -> None:
    ((media, found),) = await parts(await ask(OCTETS, sample.data, sample.uids))
    assert media == "application/octet-stream"
    assert found == sample.frame(1) or close(found, sample)


def close(found: bytes, sample: Sample) -> bool:
    """What lost something may be two levels off."""
    expected = np.frombuffer(sample.frame(1), np.uint8).astype(int)
    return sample is JPEG and len(found) == len(expected) and bool(abs(np.frombuffer(found, np.uint8).astype(int) - expected).max() <= 2)


async def test_several_come_in_the_order_asked_for(ask: Ask, pool: Counting) -> None:
    numbers = (3, 1, 10, 3, 7)
    found = await parts(await ask(OCTETS, TEN.data, TEN.uids, numbers))
    assert [data for _, data in found] == [TEN.frame(number) for number in numbers]
    assert len(pool.ran) == 2, "small frames share a job, and every process has some"


async def test_one_is_given_by_itself_and_in_ranges(ask: Ask) -> None:
    expected = RLE.frame(1)
    body = await ask(ONE, RLE.data, RLE.uids)
    assert (body.media_type, body.length, body.weak) == (ONE, len(expected), False)
    assert await read(body) == expected
    body = await ask(ONE, RLE.data, RLE.uids)
    assert body.select is not None
    assert await read(body.select(100, 1000)) == expected[100:1000]


async def test_several_are_not_given_by_themselves(ask: Ask) -> None:
    with pytest.raises(NotAcceptable, match=TEN.syntax):
        await ask(ONE, TEN.data, TEN.uids, (1, 2))


async def test_quality_is_that_of_a_lossy_encoding(ask: Ask) -> None:
    sizes = []
    for quality in (20, 95):
        ((media, found),) = await parts(await ask('multipart/related; type="image/jpeg"', rgb(), UIDS, quality=quality))
        assert media == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
        sizes.append(len(found))
    assert sizes[0] < sizes[1]


def rgb() -> bytes:
    """A native picture in colour."""
    ds = samples.pictured(samples.identified(), bytes(number // 50 % 256 for number in range(64 * 64 * 3)), 64, 64, bits=8)
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    return samples.written(ds)


async def test_native_ones_are_written_in_a_codec(ask: Ask) -> None:
    ((media, found),) = await parts(await ask('multipart/related; type="image/jls"', rgb(), UIDS))
    assert media == "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80" and found.startswith(b"\xff\xd8\xff")


# -- what cannot be had


@pytest.mark.parametrize("text", ["image/png", 'multipart/related; type="image/png"', f"{ONE}; transfer-syntax=1.2.840.10008.1.2.4.999"])
async def test_a_form_that_nobody_makes(ask: Ask, pool: Counting, text: str) -> None:
    with pytest.raises(NotAcceptable, match=f"stored as {RLE.syntax}.*transfer-syntax=\\*"):
        await ask(text, RLE.data, RLE.uids)
    assert not pool.ran


async def test_a_video_is_not_taken_apart(ask: Ask, pool: Counting) -> None:
    video = "1.2.840.10008.1.2.4.102"
    ds = samples.pictured(samples.identified(), encapsulate([b"\x00\x00\x00\x18ftypmp42"]), bits=8)
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(NotAcceptable, match=f"{video}.*transfer-syntax=\\*"):
        await ask(OCTETS, samples.written(ds, video), UIDS)
    assert not pool.ran


async def test_codestreams_that_are_none(ask: Ask) -> None:
    with pytest.raises(NotDrawable, match=r"1\.2\.840\.10008\.1\.2\.4\.50.*transfer-syntax=\*"):
        await ask(OCTETS, samples.ALL["basic offset table"](), UIDS)


async def test_what_is_no_picture_or_has_not_that_many(ask: Ask) -> None:
    with pytest.raises(NotFound, match="no pixel data"):
        await ask(OCTETS, samples.report(), UIDS)
    with pytest.raises(NotFound, match="10 frames"):
        await ask(OCTETS, TEN.data, TEN.uids, (11,))
    with pytest.raises(NotFound):
        await ask(OCTETS, TEN.data, ("1.2", "3.4", "5.6"))


async def test_what_breaks_before_the_first_byte_is_an_error_and_later_the_end(
    ask: Ask, pool: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_of, "TOGETHER", 1)
    bad = damaged(TEN, 9)
    with pytest.raises(NotDrawable, match=TEN.syntax):
        await ask(OCTETS, bad, TEN.uids, (9, 1))
    body = await ask(OCTETS, bad, TEN.uids, (1, 2, 9, 3))
    with pytest.raises(NotDrawable, match=TEN.syntax):
        await read(body)
    await until(lambda: pool.running == 0)


def damaged(sample: Sample, number: int) -> bytes:
    """The file with one frame of nonsense."""
    whole = sample.data
    frame = list(generate_frames(sample.dataset.PixelData, number_of_frames=10))[number - 1]
    return whole.replace(frame, b"\xff" * len(frame))


class Liar(Counting):
    """A pool in which damaged data has taken over. :param lengths: what it says of frames."""

    def __init__(self, lengths: object) -> None:
        super().__init__()
        self.lengths = lengths

    async def run(self, work: Work, inputs: Sequence[Input] = (), *, kind: PixelWork = "render") -> Result:
        return Result({"lengths": self.lengths}, b"12345678")  # type: ignore[dict-item]  # that is the point


@pytest.mark.parametrize("lengths", [None, 8, [], [9], [-1], [8, 0], ["8"], [5, 5]])
async def test_what_a_process_says_is_checked(tmp_path: Path, lengths: object) -> None:
    inner = MemoryBackend()
    await store(inner, RLE.data)
    with pytest.raises(NotDrawable):
        await frames(sources_of(inner, tmp_path), Liar(lengths), PixelLimits(), of_frames(OCTETS, *RLE.uids))


# -- memory, and those who leave


async def test_few_jobs_are_ahead_of_the_socket(ask: Ask, pool: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_of, "TOGETHER", 1)
    body = await ask(OCTETS, TEN.data, TEN.uids, tuple(range(1, 11)) * 3)
    await settle()
    assert len(pool.ran) <= AHEAD + 1
    pieces = body.pieces
    for _ in range(4):
        await anext(pieces)
    assert len(pool.ran) <= AHEAD + 3
    await body.aclose()
    assert pool.most <= AHEAD


async def test_who_leaves_leaves_nothing_open(ask: Ask, pool: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_of, "TOGETHER", 1)
    await read(await ask(OCTETS, TEN.data, TEN.uids))
    before = descriptors()
    for taken in (0, 1, 5):
        body = await ask(OCTETS, TEN.data, TEN.uids, tuple(range(1, 11)))
        for _ in range(taken):
            await anext(body.pieces)
        await body.aclose()
        await until(lambda: pool.running == 0)
        await settle()
        await asyncio.sleep(0.05)  # threads that nobody waits for end by themselves
    assert descriptors() <= before


# -- which form, for those who are asked by viewers

EIGHT = Image("1.2.840.10008.1.2.4.90", 64, 64, 1, "MONOCHROME2", False, 8, 8, 7, False, 10)
SIXTEEN = replace(EIGHT, allocated=16, stored=12, high=11, syntax="1.2.840.10008.1.2.4.80")
COLOUR = replace(EIGHT, samples=3, photometric="YBR_RCT")

EXPLICIT = "1.2.840.10008.1.2.1"
BASELINE, LOSSLESS, JLS, LOSSLESS_J2K, HTJ2K = (f"1.2.840.10008.1.2.4.{number}" for number in (50, 70, 80, 90, 201))


@pytest.mark.parametrize(
    ("text", "image", "media", "syntax"),
    [
        (OCTETS, EIGHT, ONE, EXPLICIT),  # dicomtrolley; dicomweb-client with octet-stream
        ("multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1", SIXTEEN, ONE, EXPLICIT),  # ez-wsi
        ("application/octet-stream", COLOUR, ONE, EXPLICIT),
        ('multipart/related; type="image/jpeg"', EIGHT, "image/jpeg", BASELINE),
        ('multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50', COLOUR, "image/jpeg", BASELINE),  # Google's
        ('multipart/related; type="image/jpeg"', SIXTEEN, "image/jpeg", LOSSLESS),  # its default (PS3.18 table 8.7.3-5)
        ('multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.70', EIGHT, "image/jpeg", LOSSLESS),
        ("image/jpeg", COLOUR, "image/jpeg", BASELINE),
        ("image/jls", EIGHT, "image/jls", JLS),
        ('multipart/related; type="image/jp2"', SIXTEEN, "image/jp2", LOSSLESS_J2K),
        ('multipart/related; type="image/jphc"', EIGHT, "image/jphc", HTJ2K),  # cornerstone, in parts by Range
        ("image/dicom-rle", SIXTEEN, "image/dicom-rle", "1.2.840.10008.1.2.5"),
        ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50, application/octet-stream", SIXTEEN, ONE, EXPLICIT),
        ("image/*", COLOUR, "image/jphc", HTJ2K),
    ],
)
def test_the_form_that_suits_a_client(text: str, image: Image, media: str, syntax: str) -> None:
    offer = chosen(image, parse_accept([text]), 1)
    assert (offer.media_type, offer.transfer_syntax, offer.multipart) == (media, syntax, text.startswith("multipart/"))
    if offer.multipart:
        assert chosen(image, parse_accept([text]), 2) == offer


@pytest.mark.parametrize(
    ("text", "image", "message"),
    [
        ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", SIXTEEN, "12 bits"),
        ("image/jpeg", replace(SIXTEEN, photometric="PALETTE COLOR", allocated=32, stored=32), "32 bits"),
        ("image/png", EIGHT, "cannot be given"),
        ("application/dicom", EIGHT, "cannot be given"),
    ],
)
def test_why_there_is_none(text: str, image: Image, message: str) -> None:
    with pytest.raises(NotAcceptable, match=message) as caught:
        chosen(image, parse_accept([text]), 1)
    assert image.syntax in caught.value.message and "transfer-syntax=*" in caught.value.message


async def test_a_picture_that_is_made_while_somebody_stores_is_no_concern_here(ask: Ask) -> None:
    """Two questions at once share nothing."""
    data = dicom()
    found = await asyncio.gather(*(ask("image/jls", data, ("1.1", "1.1.1", "1.1.1.1")) for _ in range(3)))
    assert len({await read(body) for body in found}) == 1
