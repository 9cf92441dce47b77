"""Frames as bodies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGBaseline8Bit

from gateway.backends.base import Body, FileSlice
from gateway.backends.parts import SMALL
from gateway.backends.representations import OCTETS, close_pieces
from gateway.backends.views import CODEC_TYPES, frame_offers, frames_body
from gateway.dicom.elements import Limits
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, parse_accept
from gateway.errors import NotAcceptable, NotFound
from tests import samples
from tests.backends.made import FRAME, FRAMES, dicom, parts, read
from tests.backends.resting import open_below, resting, tabled

LARGE = SMALL + 4
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
    assert (body.media_type, body.length, body.weak, body.modified) == (OCTETS, 128, False, 1000.0)
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


async def test_a_codestream_in_fragments_has_ranges_of_its_own(tmp_path: Path) -> None:
    (frame,) = samples.codestreams(1)
    accept = parse_accept(["image/jpeg"])
    body = frames_of(tmp_path, samples.encapsulated(1, 3), [1], accept)
    assert body.media_type == f"image/jpeg; transfer-syntax={JPEGBaseline8Bit}"
    assert (await read(body)).rstrip(b"\0") == frame
    body = frames_of(tmp_path, samples.encapsulated(1, 3), [1], accept)
    assert body.select is not None
    assert await read(body.select(5, 25)) == frame[5:25]


async def test_each_form_of_frames_has_a_tag_of_its_own(tmp_path: Path) -> None:
    data = samples.mr()
    asked = [([1], FRAME), ([1], FRAMES), ([2], FRAME), ([1, 2], FRAMES), ([2, 1], FRAMES), ([1, 1], FRAMES)]
    (blob,) = resting(tmp_path, data)
    tags = []
    for one in (blob, replace(blob, version="v1")):
        for numbers, accept in asked:
            body = frames_body(one, tabled(data), numbers, accept, asyncio.to_thread, Limits())
            assert body.weak == (accept is FRAMES)
            tags.append(body.etag)
            await body.aclose()
    assert None not in tags and len(set(tags)) == len(tags) == 12
    body = frames_of(tmp_path, data, [1])
    assert body.etag == tags[1]
    await body.aclose()
