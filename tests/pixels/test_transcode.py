from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import imagecodecs
import numpy as np
import pytest

from gateway.pixels import syntaxes
from gateway.pixels.conversion import converted
from gateway.pixels.decoding import decoded
from gateway.pixels.image import Image
from gateway.pixels.transcode import Transcode
from gateway.pixels.work import Made, Undoable
from tests.pixels.pictures import Picture, named
from tests.pixels.test_decoding import deflate

GREY = Image(syntaxes.EXPLICIT, 5, 7, 1, "MONOCHROME2", False, 16, 12, 11, False, 1)
CELLS = np.arange(35, dtype=np.uint16).tobytes()


@dataclass
class Held:
    """An input that lies in memory."""

    data: bytes

    def __len__(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        return self.data

    def at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def transcoded(image: Image, target: str, frames: Sequence[bytes]) -> list[bytes]:
    made = Transcode(image, target)([Held(frame) for frame in frames])
    assert made.facts == {"lengths": [len(frame) for frame in made.content]}
    return [bytes(frame) for frame in made.content]


def explicit(picture: Picture, number: int = 1) -> bytes:
    return transcoded(picture.image, syntaxes.EXPLICIT, [picture.frame(number)])[0]


@pytest.mark.parametrize(
    ("compressed", "twin"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("SC_rgb_rle_16bit.dcm", "SC_rgb_16bit.dcm"),
        ("MR2_J2KR.dcm", "MR2_UNCR.dcm"),
        ("OBXXXX1A_rle.dcm", "OBXXXX1A.dcm"),
    ],
)
def test_bytes_are_those_of_the_uncompressed_twin(compressed: str, twin: str) -> None:
    picture = named(compressed)
    assert explicit(picture) == named(twin).frame()
    assert len(explicit(picture)) == converted(picture.image, syntaxes.EXPLICIT).frame_bytes


@pytest.mark.parametrize("target", syntaxes.LOSSLESS_TARGETS)
def test_there_and_back(target: str) -> None:
    there = transcoded(GREY, target, [CELLS, CELLS[::-1]])
    if target == syntaxes.EXPLICIT:
        assert there == [CELLS, CELLS[::-1]]
        return
    with_unused_bits = replace(GREY, stored=16, high=15)  # CELLS[::-1] uses all of them
    there = transcoded(with_unused_bits, target, [CELLS, CELLS[::-1]])
    assert transcoded(converted(with_unused_bits, target), syntaxes.EXPLICIT, there) == [CELLS, CELLS[::-1]]


def test_unused_bits_are_dropped_by_codecs_and_kept_by_rle() -> None:
    overlaid = (np.arange(35, dtype=np.uint16) | 0x8000).tobytes()
    packed = converted(GREY, syntaxes.JPEG_LOSSLESS_SV1)
    assert transcoded(packed, syntaxes.EXPLICIT, transcoded(GREY, packed.syntax, [overlaid])) == [CELLS]
    rle = converted(GREY, syntaxes.RLE)
    assert transcoded(rle, syntaxes.EXPLICIT, transcoded(GREY, rle.syntax, [overlaid])) == [overlaid]


def test_bits_that_do_not_begin_at_the_lowest_are_brought_there() -> None:
    shifted = replace(GREY, high=15)
    cells = (np.arange(35, dtype=np.uint16) << 4 | 3).tobytes()
    after = converted(shifted, syntaxes.J2K_LOSSLESS)
    assert transcoded(after, syntaxes.EXPLICIT, transcoded(shifted, after.syntax, [cells])) == [CELLS]


def test_from_one_codec_to_another() -> None:
    frame = transcoded(GREY, syntaxes.JPEG_LS, [CELLS])
    stored = converted(GREY, syntaxes.JPEG_LS)
    there = transcoded(stored, syntaxes.HTJ2K_LOSSLESS, frame)
    assert transcoded(converted(stored, syntaxes.HTJ2K_LOSSLESS), syntaxes.EXPLICIT, there) == [CELLS]


def test_native_frames_and_those_of_the_same_syntax_are_left_alone() -> None:
    for syntax in syntaxes.NATIVE:
        assert transcoded(replace(GREY, syntax=syntax, rows=60000, columns=60000), syntaxes.EXPLICIT, [b"as it is"]) == [b"as it is"]
    assert transcoded(replace(GREY, syntax=syntaxes.RLE), syntaxes.RLE, [b"as it is"]) == [b"as it is"]


def test_padding_of_encapsulated_cells_is_taken_off() -> None:
    image = replace(GREY, syntax=syntaxes.ENCAPSULATED, rows=1, columns=1, allocated=8, stored=8, high=7)
    assert transcoded(image, syntaxes.EXPLICIT, [b"\7\0"]) == [b"\7"]
    assert transcoded(image, syntaxes.RLE, [b"\7\0"])[0][64:] == b"\0\7"


def test_deflated_frames_are_inflated_and_checked() -> None:
    image = replace(GREY, syntax=syntaxes.DEFLATED_FRAMES)
    assert transcoded(image, syntaxes.EXPLICIT, [deflate(CELLS)]) == [CELLS]
    with pytest.raises(Undoable, match="is cut: it has 30 bytes of 70"):
        transcoded(image, syntaxes.EXPLICIT, [deflate(CELLS[:30])])
    with pytest.raises(Undoable, match="more than the 10 allowed"):
        Transcode(image, syntaxes.EXPLICIT, frame_bytes=10)([Held(deflate(CELLS))])


def test_single_bits_stay_packed() -> None:
    image = replace(GREY, allocated=1, stored=1, high=0)
    there = transcoded(image, syntaxes.RLE, [b"\1\2\3\4\5"])
    assert transcoded(converted(image, syntaxes.RLE), syntaxes.EXPLICIT, there) == [b"\1\2\3\4\5"]


def test_colour_of_jpeg_becomes_rgb_pixel_by_pixel() -> None:
    red = np.full((16, 16, 3), (200, 10, 10), np.uint8)
    image = Image(syntaxes.JPEG_BASELINE, 16, 16, 3, "YBR_FULL_422", True, 8, 8, 7, False, 1)
    frame = bytes(imagecodecs.jpeg8_encode(red, 98, colorspace="RGB", outcolorspace="YCBCR", subsampling="422"))
    cells = transcoded(image, syntaxes.EXPLICIT, [frame])[0]
    assert np.abs(np.frombuffer(cells, np.uint8).reshape(-1, 3).astype(int) - (200, 10, 10)).max() < 4


def test_quality_is_that_which_was_asked_for() -> None:
    image = replace(GREY, rows=64, columns=64, allocated=8, stored=8, high=7)
    noise = np.random.default_rng(1).integers(0, 256, 64 * 64).astype(np.uint8).tobytes()
    sizes = [len(Transcode(image, syntaxes.JPEG_BASELINE, quality)([Held(noise)]).content[0]) for quality in (20, None, 99)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2] / 2


def test_targets_that_do_not_fit_are_refused_before_any_frame_is_read() -> None:
    with pytest.raises(Undoable, match=syntaxes.JPEG_BASELINE):
        Transcode(GREY, syntaxes.JPEG_BASELINE)([])


def test_travels_by_pickle() -> None:
    work = pickle.loads(pickle.dumps(Transcode(GREY, syntaxes.RLE, 50, 1000)))  # noqa: S301 - what was just written
    made = work([Held(CELLS)])
    assert isinstance(made, Made) and decoded(bytes(made.content[0]), converted(GREY, syntaxes.RLE)).array[4, 6] == 34


def test_work_and_names_need_no_codecs_to_be_imported() -> None:
    code = "import sys, gateway.pixels.transcode; assert not {'numpy', 'imagecodecs'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
