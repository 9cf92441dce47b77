from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pixels import native, syntaxes
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

GREY = Image(syntaxes.EXPLICIT, 2, 3, 1, "MONOCHROME2", False, 16, 12, 11, False, 1)
COLOUR = replace(GREY, samples=3, photometric="RGB", allocated=8, stored=8, high=7)


def test_cells_are_little_endian() -> None:
    array, photometric = native.array(bytes([1, 0, 2, 0, 3, 0, 0, 1, 0, 2, 0, 3]), GREY)
    assert array.tolist() == [[1, 2, 3], [256, 512, 768]]
    assert photometric == "MONOCHROME2"


def test_planes_come_pixel_by_pixel() -> None:
    planes = bytes(range(18))
    array, _ = native.array(planes, replace(COLOUR, planar=True))
    assert array[0, 0].tolist() == [0, 6, 12] and array[1, 2].tolist() == [5, 11, 17]
    assert bytes(native.cells(array, COLOUR)) == bytes([0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 16, 5, 11, 17])


@given(st.integers(1, 9), st.integers(1, 9), st.binary(min_size=11, max_size=11))
def test_single_bits_come_and_go_packed(rows: int, columns: int, data: bytes) -> None:
    image = replace(GREY, rows=rows, columns=columns, allocated=1, stored=1, high=0)
    array, _ = native.array(data, image)
    assert array.shape == (rows, columns) and array[0, 0] == data[0] & 1
    packed = bytes(native.cells(array, image))
    assert len(packed) == image.frame_bytes
    assert native.array(packed, image)[0].tolist() == array.tolist()


def test_twelve_bits_in_a_row() -> None:
    image = replace(GREY, rows=1, columns=2, allocated=12)
    assert native.array(b"\xbc\x3a\x12", image)[0].tolist() == [[0xABC, 0x123]]


def test_shared_chrominance_is_given_to_both_pixels() -> None:
    image = replace(COLOUR, rows=1, columns=2, photometric="YBR_FULL_422")
    array, photometric = native.array(b"\x0a\x0b\x50\x60", image)
    assert (array.tolist(), photometric) == ([[[10, 80, 96], [11, 80, 96]]], "YBR_FULL")
    whole, photometric = native.array(b"\1\2\3\4\5\6", image)  # claimed, and not so
    assert (whole.tolist(), photometric) == ([[[1, 2, 3], [4, 5, 6]]], "YBR_FULL")
    partial, photometric = native.array(b"\x0a\x0b\x50\x60", replace(image, photometric="YBR_PARTIAL_422"))
    assert (partial.tolist(), photometric) == (array.tolist(), "YBR_PARTIAL_422")


def test_floating_point_numbers_stay() -> None:
    for allocated, kind in ((32, "<f4"), (64, "<f8")):
        image = replace(GREY, allocated=allocated, floating=True)
        numbers = np.linspace(-1, 1, 6).astype(kind)
        array, _ = native.array(numbers.tobytes(), image)
        assert array.dtype == kind and bytes(native.cells(array, image)) == numbers.tobytes()
        assert native.values(array, image) is array


@pytest.mark.parametrize("allocated", [1, 8, 12, 16, 32])
def test_too_few_bytes_are_refused(allocated: int) -> None:
    image = replace(GREY, rows=30, allocated=allocated)
    with pytest.raises(Undoable, match=f"of {image.frame_bytes}"):
        native.array(bytes(image.frame_bytes - 1), image)


@pytest.mark.parametrize("allocated", [20, 128])
def test_cells_that_nothing_has_are_refused(allocated: int) -> None:
    with pytest.raises(Undoable, match=str(allocated)):
        native.array(bytes(1000), replace(GREY, allocated=allocated))


@pytest.mark.parametrize(
    ("stored", "high", "signed", "cell", "value"),
    [
        (12, 11, False, 0xF123, 0x123),  # an overlay above
        (12, 11, True, 0x0FFF, -1),
        (12, 11, True, 0xF7FF, 0x7FF),
        (12, 15, False, 0x123F, 0x123),
        (12, 15, True, 0xFFF0, -1),
        (16, 15, True, 0x8000, -32768),
        (12, 3, False, 0x1234, 0x1234),  # nonsense is left alone
    ],
)
def test_values_are_the_stored_bits_with_their_sign(stored: int, high: int, signed: bool, cell: int, value: int) -> None:
    image = replace(GREY, rows=1, columns=1, stored=stored, high=high, signed=signed)
    array, _ = native.array(cell.to_bytes(2, "little"), image)
    assert native.values(array, image).tolist() == [[value]]
