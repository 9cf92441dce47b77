from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pixels import codestreams, syntaxes
from gateway.pixels.codestreams import check, header
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.work import Undoable
from tests.pixels.pictures import named

LIMIT = PixelLimits().frame_bytes
GREY = Image(syntaxes.JPEG_BASELINE, 24, 40, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)
RAMP = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40)
SHADES = (RAMP // 4).astype(np.uint8)


def bomb(rows: int, columns: int) -> bytes:
    """A JPEG of a few bytes whose header promises many pixels."""
    frame = struct.pack(">HBHHB3B", 11, 8, rows, columns, 1, 1, 0x11, 0)
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + b"\0" * 300 + b"\xff\xd9"


ENCODED = {
    "JPEG": bytes(imagecodecs.jpeg8_encode(SHADES)),
    "JPEG-LS": bytes(imagecodecs.jpegls_encode(SHADES)),
    "JPEG 2000": bytes(imagecodecs.jpeg2k_encode(SHADES, codecformat="j2k", reversible=True)),
    "JPEG XL": bytes(imagecodecs.jpegxl_encode(SHADES, lossless=True)),
}
SYNTAXES = {
    "JPEG": syntaxes.JPEG_BASELINE,
    "JPEG-LS": syntaxes.JPEG_LS,
    "JPEG 2000": syntaxes.J2K_LOSSLESS,
    "JPEG XL": syntaxes.JPEG_XL_LOSSLESS,
}


@pytest.mark.parametrize("kind", ENCODED)
def test_headers_say_what_was_encoded(kind: str) -> None:
    found = header(ENCODED[kind])
    assert found is not None
    assert (found.kind, found.rows, found.columns) == (kind, 24, 40)
    assert (found.samples, found.precision) == ((0, 0) if kind == "JPEG XL" else (1, 8))


def test_a_jp2_file_and_htj2k_are_jpeg_2000() -> None:
    boxed = header(bytes(imagecodecs.jpeg2k_encode(RAMP.astype(np.int16), codecformat="jp2", reversible=True)))
    quick = header(bytes(imagecodecs.htj2k_encode(RAMP, reversible=True)))
    assert boxed is not None and (boxed.rows, boxed.columns, boxed.precision, boxed.signed) == (24, 40, 16, True)
    assert quick is not None and (quick.kind, quick.precision, quick.signed) == ("JPEG 2000", 16, False)


@pytest.mark.parametrize("shape", [(8, 8), (256, 256), (300, 200), (200, 300), (96, 128), (1, 2000), (708, 1016)])
@pytest.mark.parametrize("boxed", [False, True])
def test_sizes_of_jpeg_xl(shape: tuple[int, int], boxed: bool) -> None:
    found = header(bytes(imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), lossless=True, usecontainer=boxed)))
    assert found is not None and (found.rows, found.columns) == shape


def test_colour_marks_of_jpeg() -> None:
    colour = np.dstack([SHADES] * 3)
    adobe = header(bytes(imagecodecs.jpeg8_encode(colour, colorspace="RGB", outcolorspace="RGB")))
    jfif = header(bytes(imagecodecs.jpeg8_encode(colour, colorspace="RGB", outcolorspace="YCBCR", subsampling="422")))
    assert adobe is not None and (adobe.transform, adobe.jfif, adobe.identifiers) == (0, False, b"RGB")
    assert jfif is not None and (jfif.transform, jfif.jfif, jfif.identifiers) == (None, True, b"\1\2\3")


def test_fill_bytes_between_markers_are_skipped() -> None:
    data = ENCODED["JPEG"]
    assert header(data[:2] + b"\xff\xff" + data[2:]) == header(data)


@given(st.sampled_from(sorted(ENCODED)), st.integers(0, 200), st.integers(0, 255))
def test_damaged_headers_raise_nothing_but_undoable(kind: str, place: int, value: int) -> None:
    data = bytearray(ENCODED[kind])
    data[place % len(data)] = value
    with suppress(Undoable):
        check(bytes(data), replace(GREY, syntax=SYNTAXES[kind]), LIMIT)
    header(bytes(data[: place % len(data)]))


@pytest.mark.parametrize("kind", ENCODED)
def test_another_size_is_refused_naming_both(kind: str) -> None:
    image = replace(GREY, syntax=SYNTAXES[kind])
    assert check(ENCODED[kind], image, LIMIT) is not None
    with pytest.raises(Undoable, match=r"24 x 40 pixels of 1 sample, and its data set says 24 x 41"):
        check(ENCODED[kind], replace(image, columns=41), LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG-LS", "JPEG 2000"])
def test_another_number_of_samples_is_refused(kind: str) -> None:
    with pytest.raises(Undoable, match="says 24 x 40 pixels of 3 samples"):
        check(ENCODED[kind], replace(GREY, syntax=SYNTAXES[kind], samples=3), LIMIT)


@pytest.mark.parametrize("kind", ENCODED)
def test_a_codestream_of_another_kind_is_refused(kind: str) -> None:
    other = next(syntax for name, syntax in SYNTAXES.items() if name != kind)
    with pytest.raises(Undoable, match=other):
        check(ENCODED[kind], replace(GREY, syntax=other), LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG-LS", "JPEG 2000"])
def test_a_codestream_without_its_end_is_cut(kind: str) -> None:
    image = replace(GREY, syntax=SYNTAXES[kind])
    assert check(ENCODED[kind] + b"\0", image, LIMIT) is not None  # padding
    with pytest.raises(Undoable, match="cut"):
        check(ENCODED[kind][:-2], image, LIMIT)


def test_a_frame_beyond_the_limit_is_refused_whatever_it_holds() -> None:
    huge = replace(GREY, rows=65000, columns=65000)
    for syntax in sorted(syntaxes.DECODABLE):
        with pytest.raises(Undoable, match=f"4225000000 bytes decoded: more than the {LIMIT}"):
            check(bomb(65000, 65000), replace(huge, syntax=syntax), LIMIT)


def test_a_header_that_promises_more_than_the_data_set_is_refused() -> None:
    with pytest.raises(Undoable, match="65000 x 65000"):
        check(bomb(65000, 65000), replace(GREY, rows=512, columns=512), LIMIT)


def test_pixels_that_a_frame_has_no_room_for_are_refused() -> None:
    with pytest.raises(Undoable, match="is cut: 3"):
        check(bomb(12000, 12000), replace(GREY, rows=12000, columns=12000), LIMIT)


def test_more_bits_than_allocated_are_refused_and_more_than_stored_are_not() -> None:
    deep = bytes(imagecodecs.jpegls_encode(RAMP))
    assert check(deep, replace(GREY, syntax=syntaxes.JPEG_LS, allocated=16, stored=12, high=11), LIMIT) is not None
    with pytest.raises(Undoable, match="16 bits a sample for 8 allocated"):
        check(deep, replace(GREY, syntax=syntaxes.JPEG_LS), LIMIT)


# -- RLE ---------------------------------------------------------------------------------------------------------------


def runs(*segments: bytes, offsets: tuple[int, ...] = ()) -> bytes:
    starts = offsets or tuple(64 + sum(map(len, segments[:index])) for index in range(len(segments)))
    return struct.pack("<16L", len(starts), *starts, *[0] * (15 - len(starts))) + b"".join(segments)


RLE = replace(GREY, syntax=syntaxes.RLE, rows=2, columns=4, allocated=16)


def test_segments_lie_behind_each_other() -> None:
    assert codestreams.segments(runs(b"\xf9\1", b"\xf9\2"), RLE) == [(64, 66), (66, 68)]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\2", "no RLE header"),
        (runs(b"\xf9\1"), "1 segments; 2 x 4 pixels of 1 sample have 2"),
        (runs(b"\xf9\1", b"\xf9\2", offsets=(64, 4000)), "outside"),
        (runs(b"\xf9\1", b"\xf9\2", offsets=(66, 64)), "outside"),
        (runs(b"\xf9\1", b"\xf9\2", offsets=(0, 64)), "outside"),
        (runs(b"", b"\xf9\2"), "cut"),
        (struct.pack("<16L", 0xFFFFFFFF, *[64] * 15), "4294967295 segments"),
    ],
)
def test_segments_that_are_not_there_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(Undoable, match=why):
        codestreams.segments(data, RLE)


def test_headers_of_files_of_others() -> None:
    boxed = header(named("693_J2KI.dcm").frame())
    assert boxed is not None and (boxed.rows, boxed.columns, boxed.samples) == (512, 512, 1)
