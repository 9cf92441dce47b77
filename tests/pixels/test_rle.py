from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.decoders.rle import _rle_decode_frame

from gateway.pixels import native, rle, syntaxes
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable
from tests.pixels.test_codestreams import runs

GREY = Image(syntaxes.RLE, 3, 4, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)

images = st.builds(
    lambda rows, columns, samples, allocated, signed: replace(
        GREY, rows=rows, columns=columns, samples=samples, allocated=allocated, stored=allocated, signed=signed
    ),
    st.integers(1, 20),
    st.integers(1, 300),
    st.sampled_from([1, 3]),
    st.sampled_from([8, 16, 32]),
    st.booleans(),
)


@given(images, st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 2**31]))
def test_what_was_packed_comes_back_here_and_elsewhere(image: Image, seed: int, variety: int) -> None:
    made = np.random.default_rng(seed).integers(0, variety, (image.rows, image.columns, image.samples))
    pixels = (made if image.samples > 1 else made[..., 0]).astype(native.dtype(image))
    frame = rle.encoded(pixels, image)
    assert rle.decoded(frame, image).tolist() == pixels.tolist()
    assert len(frame) % 2 == 0
    planes = _rle_decode_frame(frame, image.rows, image.columns, image.samples, image.allocated)
    assert native.array(bytes(planes), replace(image, planar=True))[0].tolist() == pixels.tolist()


def test_no_run_goes_over_the_end_of_a_row() -> None:
    frame = rle.encoded(np.zeros((3, 4), np.uint8), GREY)
    assert frame[64:] == b"\xfd\0" * 3


def test_most_significant_bytes_come_first() -> None:
    frame = rle.encoded(np.full((3, 4), 0x0102, np.uint16), replace(GREY, allocated=16))
    assert frame[64:66] == b"\xfd\x01"


def test_single_bits_are_one_packed_segment() -> None:
    image = replace(GREY, rows=3, columns=3, allocated=1, stored=1)
    pixels = np.eye(3, dtype=np.uint8)
    frame = rle.encoded(pixels, image)
    assert frame[64:] == b"\x01\x11\x01\0"
    assert rle.decoded(frame, image).tolist() == pixels.tolist()


def test_padding_runs_are_left_out() -> None:
    assert rle.decoded(runs(b"\xf5\x07" + b"\0\0\0\0"), GREY).tolist() == [[7] * 4] * 3


@pytest.mark.parametrize("segment", [b"\xf6\x07", b"\x05ab", b"\x81\1" * 40, b"\x80\x80"], ids=["short", "cut", "endless", "nothing"])
def test_segments_of_another_length_are_refused(segment: bytes) -> None:
    with pytest.raises(Undoable, match=syntaxes.RLE):
        rle.decoded(runs(segment), GREY)


def test_runs_that_go_beyond_what_is_there_are_refused() -> None:
    """A decoder written in Rust panics over these 16 x 16 pixels."""
    with pytest.raises(Undoable):
        rle.decoded(runs(b"\x7f" * 20), replace(GREY, rows=16, columns=16))
