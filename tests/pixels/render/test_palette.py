"""Palettes, plain and in segments."""

from __future__ import annotations

from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_palette_files, get_testdata_file
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from gateway.pixels.image import Image
from gateway.pixels.render.dataset import PER_FRAME, Attributes
from gateway.pixels.render.palette import palette
from gateway.pixels.work import Undoable
from tests.pixels.render.subject import said, shown, subject

IMAGE = Image("", 1, 3, 1, "PALETTE COLOR", False, 8, 8, 7, False, 1)
TAGS = ("00281101", "00281102", "00281103")


def plain(red: bytes, green: bytes, blue: bytes, descriptor: tuple[int, int, int]) -> dict[str, Any]:
    tables = zip(("00281201", "00281202", "00281203"), (red, green, blue), strict=True)
    return {**dict.fromkeys(TAGS, descriptor), **dict(tables)}


def segmented(code: bytes, descriptor: tuple[int, int, int]) -> Attributes:
    return said({**dict.fromkeys(TAGS, descriptor), **dict.fromkeys(("00281221", "00281222", "00281223"), code)})


def entries(code: list[int], count: int = 0, bits: int = 16) -> list[int]:
    packed = pack(f"<{len(code)}{'H' if bits == 16 else 'B'}", *code)
    return [int(entry[0]) for entry in palette(segmented(packed, (count, 0, bits)), IMAGE).entries]


def test_indices_become_colours_and_those_outside_the_nearest() -> None:
    tags = plain(b"\1\2", b"\3\4", b"\5\6", (2, 1, 8))
    found = shown(np.array([[0, 1, 2, 9]], np.uint8), tags, photometric="PALETTE COLOR")
    assert found.tolist() == [[[1, 3, 5], [1, 3, 5], [2, 4, 6], [2, 4, 6]]]


def test_entries_of_16_bits_give_their_upper_half_unless_all_are_small() -> None:
    wide = plain(pack("<2H", 0x1234, 0xFFFF), pack("<2H", 5, 0), pack("<2H", 0, 0x8000), (2, 0, 16))
    assert palette(said(wide), IMAGE).entries.tolist() == [[0x12, 0, 0], [0xFF, 0, 0x80]]
    narrow = plain(pack("<2H", 1, 255), pack("<2H", 2, 3), pack("<2H", 4, 5), (2, 0, 16))
    assert palette(said(narrow), IMAGE).entries.tolist() == [[1, 2, 4], [255, 3, 5]]


@pytest.mark.parametrize("name", ["OBXXXX1A.dcm", "examples_palette.dcm", "OT-PAL-8-face.dcm", "gdcm-US-ALOKA-16.dcm"])
def test_pydicom_sees_the_same_colours(name: str) -> None:
    """The last one is in segments."""
    path = Path(str(get_testdata_file(name)))
    ds, seen = pydicom.dcmread(path, force=True), subject(path.read_bytes())
    assert seen is not None
    ds.file_meta.TransferSyntaxUID = UID(seen.image.syntax)
    expected = apply_color_lut(ds.pixel_array, ds)
    assert np.array_equal(seen.drawn(), expected >> 8 if expected.max() > 255 else expected)


@pytest.mark.parametrize("path", list(map(str, get_palette_files("*.dcm"))), ids=lambda path: str(path).rsplit("/", 1)[-1])
def test_the_well_known_palettes(path: str) -> None:
    """PS3.6 B; that of spring, summer, fall and winter is segmented."""
    ds = pydicom.dcmread(path)
    expected = apply_color_lut(np.arange(256, dtype=np.uint8), ds)
    found = palette(Attributes(ds.to_json_dict(bulk_data_threshold=1 << 30)), IMAGE).entries
    assert np.array_equal(found, expected if expected.dtype == np.uint8 else expected >> 8)


def test_segments() -> None:
    assert entries([0, 2, 256, 512, 1, 2, 1024, 0, 1, 0]) == [1, 2, 3, 4, 0]
    assert entries([0, 1, 10, 1, 5, 60], bits=8) == [10, 20, 30, 40, 50, 60]
    assert entries([0, 1, 0x100, 1, 1, 0x300, 2, 2, 0, 0]) == [1, 3, 1, 3]
    assert entries([0, 3, 1, 2, 3], count=2, bits=8) == [1, 2]


@pytest.mark.parametrize("code", [[0, 5, 1], [3, 1, 1], [1], [0], [2, 1, 0, 0], [0, 1, 9, 2, 2, 0, 0]])
def test_damaged_segments_are_refused(code: list[int]) -> None:
    with pytest.raises(Undoable, match="palette"):
        entries(code)


def test_segments_make_no_more_than_was_promised() -> None:
    assert len(entries([0, 1, 1, *[1, 65535, 2] * 50])) == 65536
    assert entries([0, 1, 7, *[1, 0, 9] * 9000, *[2, 9000, 6, 0] * 9000]) == [7], "segments without an entry end some time"
    assert len(entries([0, 1, 1, *[2, 1, 0, 0] * 2000], count=100)) == 100


@pytest.mark.parametrize("missing", ["00281101", "00281203"])
def test_a_palette_that_is_not_there_is_an_error(missing: str) -> None:
    tags = plain(b"\1\2", b"\3\4", b"\5\6", (2, 0, 8))
    del tags[missing]
    with pytest.raises(Undoable, match="palette colour"):
        shown(np.zeros((1, 1), np.uint8), tags, photometric="PALETTE COLOR")


def test_grey_values_beyond_the_first_entry_are_colours() -> None:
    """Enhanced CT with perfusion in colour (C.7.6.19)."""
    cells = np.array([[0, 100, 200, 201]], np.uint8)
    tags = plain(b"\x11\x22", b"\x33\x44", b"\x55\x66", (2, 200, 8))
    expected = [[0, 0, 0], [100, 100, 100], [0x11, 0x33, 0x55], [0x22, 0x44, 0x66]]
    assert shown(cells, {**tags, "00089205": "MIXED"}).tolist() == [expected]
    of_frame = {**tags, PER_FRAME: [said(_00189329=[said(_00089205="COLOR")])]}
    assert shown(cells, of_frame).tolist() == [expected]
    assert shown(cells, {**tags, "00089205": "MONOCHROME"}).ndim == 2
