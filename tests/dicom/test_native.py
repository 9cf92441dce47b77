"""Native files written again as Explicit VR Little Endian, with pydicom as the judge."""

from __future__ import annotations

import io
import logging
import tracemalloc
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from gateway.dicom.elements import Limits, Walk
from gateway.dicom.native import HELD, LARGE, Transcoder, frame_bytes, inflated, meta_end
from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from gateway.errors import InstanceError
from tests import samples
from tests.dicom.archive import readable, walk_of
from tests.dicom.handmade import big, el, file, implicit, item, open_item, open_sq, plain, sq

DEFLATE = "1.2.840.10008.1.2.1.99"
NATIVE = {IMPLICIT, BIG_ENDIAN, EXPLICIT, *DEFLATED}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def transcoded(data: bytes, size: int = 1 << 30, limits: Limits = Limits()) -> bytes:
    transcoder = Transcoder(limits=limits)
    out = [piece for start in range(0, len(data), size) for piece in transcoder.feed(data[start : start + size])]
    return b"".join(out + transcoder.finish())


def elements(data: bytes, unusual: bool = False) -> bytes:
    """What follows the file meta information."""
    walk = walk_of(data)
    assert walk is not None
    assert walk.unusual == unusual
    assert walk.syntax == EXPLICIT
    return data[meta_end(walk.events) :]


# -- the judge ---------------------------------------------------------------------------------------------------------

FILES = {
    "no_preamble_dicm_in_data.dcm": "pydicom takes DICM inside a value for the magic",
    "trailing_garbage.dcm": "pydicom takes garbage for an element; it is dropped",
    "GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm": "pydicom cannot read it",
    "DICOMDIR-nooffset": "holds a sequence of nothing but a delimiter; never stored",
    "Tag-0040-A170-VR-CS.dcm": "pydicom reads text as a sequence",
}


def native(path: Path) -> bool:
    walk = walk_of(path.read_bytes())
    return walk is not None and walk.syntax in NATIVE and path.name not in FILES


def values(dataset: Dataset, big_endian: bool) -> dict[int, Any]:
    """Tag to VR and value; UN of big endian files aside, which pydicom does not read as the standard says."""
    found: dict[int, Any] = {}
    for tag in list(dataset.keys()):
        if tag.element == 0 or tag.group in (0, 2, 0xFFFE):
            continue
        un = big_endian and dataset.get_item(tag).VR == "UN"
        element = dataset[tag]
        if element.VR == "SQ":
            found[tag] = [values(one, big_endian) for one in element.value]
        elif isinstance(element.value, bytes):
            swaps = big_endian and element.VR != "OB"
            vr = "OW" if " or " in element.VR else str(element.VR)  # pydicom leaves VRs of retired elements open
            found[tag] = (vr, len(element.value) if swaps else element.value.rstrip(b"\0"))
        elif not un:
            found[tag] = (element.VR, repr(element.value))
    return found


@pytest.mark.parametrize("path", [path for path in readable() if native(path)], ids=lambda path: path.name)
def test_pydicom_finds_the_same_values(path: Path) -> None:
    data = path.read_bytes()
    out = transcoded(data)
    again, before = pydicom.dcmread(io.BytesIO(out)), pydicom.dcmread(path, force=True)
    big_endian = not before.original_encoding[1]
    assert again.file_meta.TransferSyntaxUID == EXPLICIT
    found, expected = values(again, big_endian), values(before, big_endian)
    assert {tag: value for tag, value in found.items() if tag in expected} == expected
    elements(out)


@pytest.mark.parametrize(
    ("little", "big_endian"),
    [
        ("MR_small.dcm", "MR_small_expb.dcm"),
        ("rtdose.dcm", "rtdose_expb.dcm"),
        ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
        ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
        ("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm"),
        ("OBXXXX1A_2frame.dcm", "OBXXXX1A_expb_2frame.dcm"),
    ],
)
def test_pixels_of_twins_are_equal(little: str, big_endian: str) -> None:
    """16 and 32 bits, single bits, and bytes in words."""
    paths = [get_testdata_file(name, download=False) for name in (little, big_endian)]
    data = [Path(path).read_bytes() for path in paths if isinstance(path, str)]
    expected = pydicom.dcmread(io.BytesIO(data[0])).PixelData
    found = pydicom.dcmread(io.BytesIO(transcoded(data[1]))).PixelData
    assert expected.startswith(found.rstrip(b"\0"))
    assert abs(len(expected) - len(found)) <= 1


# -- the invariant -----------------------------------------------------------------------------------------------------

WAVE = bytes(range(256)) * 600
assert len(WAVE) > 2 * LARGE

SHAPES = {
    "implicit": samples.implicit(),
    "big endian": samples.big_endian(),
    "deflated": samples.deflated(),
    "no meta": samples.without_meta(samples.implicit()),
    "large value in a sequence of defined length": implicit(
        plain(0x54000100, item(plain(0x54001010, WAVE), plain(0x54000101, b"ab"))), plain(0x7FE00010, b"xy")
    ),
    "large value in a sequence of undefined length": big(
        open_sq(0x54000100, open_item(el(0x54001010, "OW", WAVE + b"z", False), little=False), little=False)
    ),
}


@pytest.mark.parametrize("data", SHAPES.values(), ids=list(SHAPES))
@given(cuts=st.lists(st.integers(1, 400_000), max_size=6))
def test_any_cut_gives_the_same_file(data: bytes, cuts: list[int]) -> None:
    transcoder = Transcoder()
    out = [piece for part in samples.pieces(data, cuts) for piece in transcoder.feed(part)]
    assert b"".join(out + transcoder.finish()) == transcoded(data)


@pytest.mark.parametrize("name", ["implicit", "big endian", "deflated", "no meta"])
def test_byte_by_byte(name: str) -> None:
    assert transcoded(SHAPES[name], 1) == transcoded(SHAPES[name])


# -- the rules ---------------------------------------------------------------------------------------------------------


def test_preamble_and_meta_stay() -> None:
    data = b"TIFF" + samples.implicit()[4:]
    out = transcoded(data)
    assert out[:132] == data[:132]
    assert pydicom.dcmread(io.BytesIO(out)).file_meta.MediaStorageSOPInstanceUID == samples.SOP


def test_a_file_without_meta_gets_one() -> None:
    out = pydicom.dcmread(io.BytesIO(transcoded(samples.without_meta(samples.implicit()))))
    assert out.file_meta.MediaStorageSOPInstanceUID == samples.SOP
    assert out.file_meta.TransferSyntaxUID == EXPLICIT


def test_what_no_dictionary_knows_is_un() -> None:
    data = implicit(plain(0x00080002, b"ab"), plain(0x00090010, b"ME"), plain(0x00091001, b"cd"))
    assert elements(transcoded(data)) == el(0x00080002, "UN", b"ab") + el(0x00090010, "LO", b"ME") + el(0x00091001, "UN", b"cd")


def test_a_long_table_in_a_short_vr_is_un() -> None:
    table = b"\1\0" * 0x8000
    inner = item(plain(0x00283002, b"\1\0\0\0\x10\0"), plain(0x00283006, table))
    found = elements(transcoded(implicit(plain(0x00283000, inner))))
    assert found == open_sq(0x00283000, open_item(el(0x00283002, "US", b"\1\0\0\0\x10\0"), el(0x00283006, "UN", table)))


def test_vrs_are_chosen_with_what_comes_later() -> None:
    data = implicit(plain(0x00189810, b"\xff\xff"), plain(0x00280103, b"\1\0"), plain(0x7FE00010, bytes(2 * LARGE)))
    assert elements(transcoded(data, 100)).startswith(el(0x00189810, "SS", b"\xff\xff"))


def test_group_lengths_are_dropped() -> None:
    assert elements(transcoded(implicit(plain(0x00080000, bytes(4)), plain(0x00080060, b"CT")))) == el(0x00080060, "CS", b"CT")


def test_a_sequence_that_holds_no_items_is_one_value() -> None:
    data = implicit(plain(0x00081115, b"no items"), plain(0x00100010, b"AB"))
    assert elements(transcoded(data), unusual=True) == el(0x00081115, "UN", b"no items") + el(0x00100010, "PN", b"AB")


def test_a_sequence_that_goes_wrong_behind_a_large_value_is_one_value() -> None:
    value = item(plain(0x54001010, WAVE)) + b"no items"
    out = transcoded(implicit(plain(0x54000100, value), plain(0x7FE00010, b"xy")), 10_000)
    assert elements(out, unusual=True) == el(0x54000100, "UN", value) + el(0x7FE00010, "OW", b"xy")


def test_a_little_endian_sequence_among_big_endian_elements() -> None:
    inner = item(plain(0x00280010, b"\1\2")) + plain(0xFFFEE0DD, b"")
    data = big(el(0x00081115, "UN", inner, False, 0xFFFFFFFF), el(0x00280010, "US", b"\1\2", False))
    expected = open_sq(0x00081115, open_item(el(0x00280010, "US", b"\1\2"))) + el(0x00280010, "US", b"\2\1")
    assert elements(transcoded(data)) == expected


def test_an_item_that_is_no_data_set_is_refused() -> None:
    with pytest.raises(InstanceError, match="item"):
        transcoded(implicit(plain(0x00081115, item(b"\1"))))


def test_fragments_are_refused() -> None:
    pixels = plain(0x7FE00010, plain(0xFFFEE000, b"") + plain(0xFFFEE000, b"ab") + plain(0xFFFEE0DD, b""), length=0xFFFFFFFF)
    with pytest.raises(InstanceError, match="fragments"):
        transcoded(implicit(pixels))


@pytest.mark.parametrize("name", ["implicit", "big endian", "deflated"])
def test_what_is_cut_off_is_refused(name: str) -> None:
    with pytest.raises(InstanceError):
        transcoded(SHAPES[name][:-5])


def test_damage_in_a_deflated_file_is_refused() -> None:
    data = bytearray(SHAPES["deflated"])
    data[-40:] = bytes(40)
    with pytest.raises(InstanceError):
        transcoded(bytes(data))


@given(st.sampled_from([*SHAPES][:4]), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8))
def test_damage_is_refused_or_written_as_a_whole_file(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SHAPES[name])
    for place, value in changes:
        data[place % len(data)] = value
    try:
        out = transcoded(bytes(data))
    except InstanceError:
        return
    if walk_of(bytes(data)) is None:
        assert name == "deflated"  # it is not walked a second time
    else:
        assert walk_of(out) is not None


# -- memory ------------------------------------------------------------------------------------------------------------


def peak(transcoder: Transcoder, parts: Iterator[bytes]) -> int:
    tracemalloc.start()
    try:
        for part in parts:
            transcoder.feed(part)
        transcoder.finish()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("big_endian", [True, False])
def test_large_values_pass_in_pieces(big_endian: bool) -> None:
    size = 64 << 20
    head = el(0x7FE00010, "OW", b"", False, size) if big_endian else plain(0x7FE00010, b"", length=size)
    rows = el(0x00280010, "US", b"\0\1", False) if big_endian else plain(0x00280010, b"\1\0")
    chunk = bytes(1 << 20)
    parts = iter([big(rows, head) if big_endian else implicit(rows, head), *[chunk] * 64])
    assert peak(Transcoder(), parts) < 8 << 20


def test_a_large_value_inside_a_sequence_of_defined_length_is_held_only_so_far() -> None:
    size = 8 * HELD
    head = plain(0x54000100, plain(0xFFFEE000, plain(0x54001010, b"", length=size), length=size + 8), length=size + 16)
    assert peak(Transcoder(), iter([implicit(head), *[bytes(1 << 20)] * (size >> 20)])) < 4 * HELD


def test_a_sequence_that_goes_wrong_after_that_fails() -> None:
    size = HELD + (2 << 20)
    first = plain(0xFFFEE000, plain(0x54001010, b"", length=size), length=size + 8)
    head = plain(0x54000100, first, length=size + 16 + 8)
    transcoder = Transcoder()
    transcoder.feed(implicit(head))
    for _ in range(size >> 20):
        transcoder.feed(bytes(1 << 20))
    with pytest.raises(InstanceError):
        transcoder.feed(b"no items" + plain(0x00100010, b"AB"))


def test_a_deflate_bomb_is_refused() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(el(0x00420011, "OB", bytes(1 << 20))) + packer.flush()
    with pytest.raises(InstanceError, match="inflates"):
        transcoded(file(body, syntax=DEFLATE), 100, Limits(inflated=1 << 19))


# -- small things ------------------------------------------------------------------------------------------------------


def test_inflated_is_what_events_count_in() -> None:
    data = samples.deflated()
    whole = inflated(data)
    walk = Walk(record=True)
    walk.feed(data)
    walk.finish()
    offset, length = next((offset, length) for tag, _, offset, length, _ in walk.events if tag == 0x00100010)
    assert whole[offset : offset + length] == b"Doe^Jane"
    with pytest.raises(InstanceError):
        inflated(data[:-3])


@pytest.mark.parametrize(
    ("vr", "bits", "expected"), [("OW", 16, b"badcfehg"), ("OW", 8, b"badcfehg"), ("OW", 32, b"dcbahgfe"), ("OB", 8, b"abcdefgh")]
)
def test_frames_come_in_little_endian(vr: str, bits: int, expected: bytes) -> None:
    assert frame_bytes(b"abcdefgh", vr, bits, True) == expected
    assert frame_bytes(b"abcdefgh", vr, bits, False) == b"abcdefgh"


def test_explicit_little_endian_stays_what_it_is() -> None:
    data = file(el(0x00080060, "CS", b"CT"), sq(0x00081115, item(el(0x00081150, "UI", b"1\0"))))
    expected = el(0x00080060, "CS", b"CT") + open_sq(0x00081115, open_item(el(0x00081150, "UI", b"1\0")))
    assert elements(transcoded(data)) == expected
