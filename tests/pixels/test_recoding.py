"""Frames as they lie in a file: cells without gaps, or a fragment each; and how many of them one job takes."""

from __future__ import annotations

from dataclasses import replace
from struct import pack

import numpy as np
import pytest
from pydicom.encaps import generate_frames

from gateway.pixels import recoding, syntaxes
from gateway.pixels.image import Image
from gateway.pixels.recoding import BATCH, FRAMES, Recoding
from gateway.pixels.work import Undoable
from tests.pixels.whole import noise

GREY = Image(syntaxes.RLE, 5, 3, 1, "MONOCHROME2", False, 8, 8, 7, False, 3)


def moving(before: Image = GREY, target: str = syntaxes.EXPLICIT, **after: object) -> Recoding:
    return Recoding(before, replace(before, syntax=target, **after), None, 1 << 20)  # type: ignore[arg-type]  # fields by name


def test_native_pixel_data_says_how_long_it_is_and_is_padded() -> None:
    three = moving()
    assert three.native
    assert three.head == pack("<HH2s2xL", 0x7FE0, 0x0010, b"OB", 46)
    assert three.tail == b"\0"
    assert three.length(3) == 45
    two = moving(replace(GREY, frames=2, allocated=16))
    assert (two.head, two.tail) == (pack("<HH2s2xL", 0x7FE0, 0x0010, b"OW", 60), b"")


def test_fragments_follow_an_empty_offset_table() -> None:
    made = moving(target=syntaxes.JPEG_LS)
    frames = [b"odd", b"even"]
    value = b"".join([made.head, *map(bytes, made.laid(frames)), made.tail])
    assert value[:12] == pack("<HH2s2xL", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
    assert value[12:20] == pack("<HHL", 0xFFFE, 0xE000, 0)
    assert value.endswith(pack("<HHL", 0xFFFE, 0xE0DD, 0))
    assert list(generate_frames(value[12:], number_of_frames=2)) == [b"odd\0", b"even"]


def test_single_bits_have_no_gaps_between_frames() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 15), dtype="u1")
    frames = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    made = moving(replace(GREY, allocated=1, stored=1, high=0))
    assert made.length(3) == 6
    (value,) = made.laid(frames)
    assert (np.unpackbits(np.frombuffer(value, "u1"), bitorder="little")[:45] == bits.reshape(-1)).all()


@pytest.mark.parametrize("allocated", [1, 8])
@pytest.mark.parametrize("frames", [1, 7, 40_000])
@pytest.mark.parametrize("size", [1, 3, 1000, 4000])
def test_a_job_takes_a_bounded_share_and_all_together_take_everything(allocated: int, frames: int, size: int) -> None:
    made = moving(replace(GREY, rows=size, columns=size, allocated=allocated, frames=frames))
    first = 1
    while first <= frames:
        count = made.count(first)
        assert 1 <= count <= FRAMES
        assert count <= 8 or made.length(count) <= 2 * BATCH
        assert made.bits * count % 8 == 0 or first + count > frames
        first += count
    assert first == frames + 1


def test_frames_are_coded_there_and_back() -> None:
    pixels = noise(3, 5, 3, bits=8)
    native = replace(GREY, syntax=syntaxes.EXPLICIT)
    coded = moving(native, syntaxes.RLE).coded([frame.tobytes() for frame in pixels])
    assert [bytes(frame) for frame in moving().coded([bytes(frame) for frame in coded])] == [frame.tobytes() for frame in pixels]


def test_a_frame_beyond_the_limit_is_refused() -> None:
    before = replace(GREY, rows=5000, columns=5000)
    with pytest.raises(Undoable):
        moving(before).coded([bytes(100)])


def test_the_gateway_needs_no_numpy_for_it() -> None:
    assert "np" not in vars(recoding)
