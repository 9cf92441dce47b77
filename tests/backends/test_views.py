"""Metadata, frames and bulk data as bodies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGBaseline8Bit, RLELossless

from gateway.backends import views
from gateway.backends.base import Body, FileSlice
from gateway.backends.representations import OCTETS, close_pieces
from gateway.backends.views import CODEC_TYPES, bulk_body, frame_offers, frames_body
from gateway.dicom.elements import Limits
from gateway.dicom.metadata import instance_metadata
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, parse_accept
from gateway.errors import NotAcceptable, NotFound
from tests import samples
from tests.backends.made import FRAME, FRAMES, dicom, parts, read
from tests.backends.resting import open_below, resting, tabled, walked

ANY = parse_accept(["*/*"])
LARGE = views.SMALL + 4
"""Bytes of a frame that is not read into memory."""


def frames_of(folder: Path, data: bytes, numbers: list[int], accept: Accept = FRAMES) -> Body:
    (blob,) = resting(folder, data)
    return frames_body(blob, tabled(data), numbers, accept, asyncio.to_thread, Limits())


# -- frames


@pytest.mark.parametrize(("syntax", "media"), [*CODEC_TYPES.items(), ("1.2.3.4.5", OCTETS)])
def test_frames_go_out_under_the_type_of_their_codec(syntax: str, media: str) -> None:
    single = frame_offers(syntax, 1)
    assert [(offer.media_type, offer.transfer_syntax, offer.multipart) for offer in single] == [
        (media, syntax, True),
        (media, syntax, False),
    ]
    assert [offer.multipart for offer in frame_offers(syntax, 2)] == [True]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, EXPLICIT_LITTLE_ENDIAN])
def test_native_frames_are_little_endian_octets(syntax: str) -> None:
    assert {(offer.media_type, offer.transfer_syntax) for offer in frame_offers(syntax, 1)} == {(OCTETS, EXPLICIT_LITTLE_ENDIAN)}


FORMS = {
    "words": (samples.mr(), [samples.counted(384)[start : start + 128] for start in (0, 128, 256)], OCTETS),
    "big endian": (samples.big_endian(3), [samples.counted(96)[start : start + 32] for start in (0, 32, 64)], OCTETS),
    "deflated": (samples.deflated(3), [samples.counted(96)[start : start + 32] for start in (0, 32, 64)], OCTETS),
    "basic offset table": (samples.encapsulated(3, 2), samples.codestreams(3), "image/jpeg"),
    "extended offset table": (samples.encapsulated(3, table="eot"), samples.codestreams(3), "image/jpeg"),
    "no offset table": (samples.encapsulated(3, table="none"), samples.codestreams(3), "image/jpeg"),
    "no offset table, several fragments": (samples.encapsulated(3, 2, table="none"), samples.codestreams(3), "image/jpeg"),
}


@pytest.mark.parametrize("form", FORMS)
async def test_frames_in_every_form_that_they_rest_in(form: str, tmp_path: Path) -> None:
    data, expected, media = FORMS[form]
    found = await parts(frames_of(tmp_path, data, [3, 1, 3]))
    assert [name.partition(";")[0] for name, _ in found] == [media] * 3
    for (_, content), frame in zip(found, [expected[2], expected[0], expected[2]], strict=True):
        # Padding to an even length is part of a codestream as it rests, unless an Extended Offset Table says better.
        assert content in (frame, frame + b"\0")
    assert open_below(tmp_path) == 0


async def test_single_bits_begin_at_the_first_bit_of_each_frame(tmp_path: Path) -> None:
    bits = ["01"[(index * index) % 7 < 3] for index in range(105)]
    for number in (1, 2, 3):
        found = await read(frames_of(tmp_path, samples.segmentation(), [number], FRAME))
        assert [f"{byte:08b}"[::-1] for byte in found] == [
            "".join(bits[35 * number - 35 : 35 * number])[start : start + 8].ljust(8, "0") for start in range(0, 35, 8)
        ]


async def test_one_frame_may_be_a_body_of_its_own(tmp_path: Path) -> None:
    body = frames_of(tmp_path, samples.mr(), [2], FRAME)
    assert (body.media_type, body.length, body.etag) == (OCTETS, 128, "v0")
    assert body.select is not None
    assert await read(body.select(1, 4)) == samples.counted(384)[129:132]


async def test_small_frames_are_read_and_large_ones_sliced(tmp_path: Path) -> None:
    small = [piece async for piece in frames_of(tmp_path, samples.mr(), [1, 2]).pieces]
    assert not any(isinstance(piece, FileSlice) for piece in small)
    pixels = samples.counted(2 * LARGE)
    data = dicom(PixelData=pixels, Rows=2, Columns=LARGE // 4, NumberOfFrames=2)
    large = frames_of(tmp_path, data, [1, 2])
    found = [piece async for piece in large.pieces]
    slices = [piece for piece in found if isinstance(piece, FileSlice)]
    assert [one.length for one in slices] == [LARGE] * 2
    close_pieces(slices)
    assert [content for _, content in await parts(frames_of(tmp_path, data, [2, 1]))] == [
        pixels[LARGE:],
        pixels[:LARGE],
    ]


async def test_a_reader_that_leaves_between_large_frames_leaves_none_open(tmp_path: Path) -> None:
    data = dicom(PixelData=bytes(4 * LARGE), Rows=2, Columns=LARGE // 4, NumberOfFrames=4)
    for taken in range(7):
        body = frames_of(tmp_path, data, [1, 2, 3, 4])
        for _ in range(taken):
            piece = await anext(body.pieces)
            if isinstance(piece, FileSlice):
                close_pieces([piece])
        await body.aclose()
        await body.aclose()
        assert open_below(tmp_path) == 0, taken


async def test_frames_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="has 3 frames"):
        frames_of(tmp_path, samples.mr(), [1, 4])
    (blob,) = resting(tmp_path, samples.report())
    with pytest.raises(NotFound, match="no pixel data"):
        frames_body(blob, None, [1], FRAMES, asyncio.to_thread, Limits())
    assert open_below(tmp_path) == 0


@pytest.mark.parametrize("accept", ["image/png", 'multipart/related; type="application/octet-stream"', "application/octet-stream"])
def test_compressed_frames_that_nobody_can_decode_name_their_syntax(accept: str, tmp_path: Path) -> None:
    with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
        frames_of(tmp_path, samples.encapsulated(), [1], parse_accept([accept]))


def test_several_frames_do_not_fit_a_single_part(tmp_path: Path) -> None:
    with pytest.raises(NotAcceptable):
        frames_of(tmp_path, samples.mr(), [1, 2], FRAME)


# -- bulk data


def bulk_of(folder: Path, data: bytes, path: str, accept: Accept = FRAME, limits: Limits = Limits()) -> Body:
    (blob,) = resting(folder, data)
    walk = walked(data)
    model = inflated(data) if walk.syntax in DEFLATED else data
    table = tabled(data) if walk.pixels is not None else None
    return bulk_body(blob, table, model, walk, path, accept, asyncio.to_thread, limits)


@pytest.mark.parametrize("make", [samples.ct, samples.implicit, samples.deflated], ids=lambda make: make.__name__)
async def test_native_pixel_data_is_one_value(make: Callable[[], bytes], tmp_path: Path) -> None:
    body = bulk_of(tmp_path, make(), "7FE00010")
    assert (body.media_type, body.length) == (OCTETS, 32)
    assert await read(body) == samples.counted(32)
    assert await parts(bulk_of(tmp_path, make(), "7FE00010", FRAMES)) == [(OCTETS, samples.counted(32))]


async def test_words_are_turned_into_little_endian(tmp_path: Path) -> None:
    assert await read(bulk_of(tmp_path, samples.big_endian(1), "7FE00010")) == samples.counted(32)


async def test_a_value_inside_an_item(tmp_path: Path) -> None:
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTExplanation, lut.LUTData = [4, 0, 16], "x", samples.counted(8)
    lut["LUTData"].VR = "OW"
    data = dicom(ModalityLUTSequence=[Dataset(), lut])
    assert await read(bulk_of(tmp_path, data, "00283000/1/00283006")) == samples.counted(8)
    for path in ("00283000/0/00283006", "00283000/2/00283006", "00283006", "7FE00010/0", "", "../7FE00010", "7fe00010x"):
        with pytest.raises(NotFound):
            bulk_of(tmp_path, data, path)


async def test_compressed_pixel_data_is_its_frames(tmp_path: Path) -> None:
    found = await parts(bulk_of(tmp_path, samples.encapsulated(2), "7FE00010", ANY))
    assert [media for media, _ in found] == [f"image/jpeg; transfer-syntax={JPEGBaseline8Bit}"] * 2
    assert [content.rstrip(b"\0") for _, content in found] == samples.codestreams(2)


def iconed(syntax: str) -> bytes:
    icon = Dataset()
    icon.Rows = icon.Columns = 8
    icon.BitsAllocated, icon.SamplesPerPixel = 8, 1
    icon.PixelData = encapsulate(samples.codestreams(1), 2, has_bot=False)
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", True
    ds = samples.pictured(samples.identified(), encapsulate(samples.codestreams(1)), bits=8)
    ds["PixelData"].is_undefined_length = True
    ds.IconImageSequence = [icon]
    return samples.written(ds, syntax)


async def test_a_compressed_icon_is_one_picture(tmp_path: Path) -> None:
    body = bulk_of(tmp_path, iconed(JPEG2000), "00880200/0/7FE00010", ANY)
    ((media, content),) = await parts(body)
    assert media == f"image/jp2; transfer-syntax={JPEG2000}"
    assert content.rstrip(b"\0") == samples.codestreams(1)[0]
    with pytest.raises(NotAcceptable, match=RLELossless):
        bulk_of(tmp_path, iconed(RLELossless), "00880200/0/7FE00010", parse_accept(["image/jpeg"]))


async def test_an_icon_of_absurd_size_is_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "ICON", 20)
    with pytest.raises(NotFound, match="larger than an icon"):
        bulk_of(tmp_path, iconed(JPEG2000), "00880200/0/7FE00010", ANY)


def test_bulk_data_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(NotAcceptable):
        bulk_of(tmp_path, samples.ct(), "7FE00010", parse_accept(["image/jpeg"]))


async def test_every_uri_of_the_model_leads_to_bytes(tmp_path: Path) -> None:
    """What metadata promises, bulk data keeps."""
    for name, make in samples.ALL.items():
        data = make()
        walk = walked(data)
        model = inflated(data) if walk.syntax in DEFLATED else data
        text = instance_metadata(model, walk.events, syntax=walk.syntax, bulk_prefix="@")
        for path in uris(json.loads(text)):
            assert await read(bulk_of(tmp_path, data, path.removeprefix("@/bulkdata/"), ANY)), (name, path)


def uris(model: dict[str, dict[str, object]]) -> list[str]:
    found = [attribute["BulkDataURI"] for attribute in model.values() if "BulkDataURI" in attribute]
    for attribute in model.values():
        values = attribute.get("Value")
        if attribute["vr"] == "SQ" and isinstance(values, list):
            found += [uri for item in values for uri in uris(item)]
    return [str(uri) for uri in found]
