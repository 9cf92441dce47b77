from __future__ import annotations

from io import BytesIO
from pathlib import Path
from struct import pack, unpack
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, generate_frames

from gateway.dicom.elements import UNDEFINED, Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable, Read, extract_bits, frame_table
from gateway.dicom.part10 import DEFLATED
from gateway.errors import InstanceError, NotFound
from tests import samples
from tests.dicom.archive import inflate, readable
from tests.dicom.handmade import el, file, plain

JPEG = "1.2.840.10008.1.2.4.50"
END = plain(0xFFFEE0DD, b"")


def table_of(data: bytes, read: Read | None = None) -> FrameTable:
    """The table of a file, through its serialised form."""
    walk = Walk(wanted=TABLE_TAGS, record=True)
    walk.feed(data)
    walk.finish()
    table = frame_table(walk, read or reader(data, walk))
    assert FrameTable.from_bytes(table.to_bytes()) == table
    return table


def reader(data: bytes, walk: Walk) -> Read:
    seen = inflate(data, walk)
    return lambda offset, length: seen[offset : offset + length]


def frames_of(data: bytes) -> list[bytes]:
    walk = Walk(record=True)
    walk.feed(data)
    table = table_of(data)
    return [table.frame(number, reader(data, walk)) for number in range(1, table.frames + 1)]


def no_reading(offset: int, length: int) -> bytes:
    raise AssertionError("the table says it all")


def picture(pixels: bytes, rows: int = 2, columns: int = 2, bits: int = 8, frames: bytes = b"", syntax: str = JPEG) -> bytes:
    size = el(0x00280010, "US", pack("<H", rows)) + el(0x00280011, "US", pack("<H", columns))
    return file(el(0x00280008, "IS", frames), size, el(0x00280100, "US", pack("<H", bits)), pixels, syntax=syntax)


def run(*fragments: bytes, table: bytes = b"") -> bytes:
    content = plain(0xFFFEE000, table) + b"".join(plain(0xFFFEE000, fragment) for fragment in fragments)
    return el(0x7FE00010, "OB", content + END, length=UNDEFINED)


# -- native pixel data


def test_native_frames_follow_each_other() -> None:
    data = samples.mr(frames=3)
    assert frames_of(data) == [samples.counted(384)[start : start + 128] for start in (0, 128, 256)]
    table = table_of(data, no_reading)
    assert table.spans(2) == [(len(data) - 256, 128)]
    assert table.as_stored
    assert len(table.to_bytes()) < 64


def test_a_single_frame_needs_no_number_of_frames() -> None:
    assert frames_of(samples.ct()) == frames_of(samples.implicit()) == frames_of(samples.deflated()) == [samples.counted(32)]


def test_big_endian_frames_come_out_as_little_endian() -> None:
    assert frames_of(samples.big_endian(2)) == [samples.counted(64)[:32], samples.counted(64)[32:]]
    assert not table_of(samples.big_endian()).as_stored


def test_big_endian_words_are_swapped_across_frames_of_odd_length() -> None:
    """Two frames of 3 bytes in words of two: the middle word belongs to both."""
    pixels = pack(">HH2s2xL", 0x7FE0, 0x10, b"OW", 6) + bytes([2, 1, 4, 3, 6, 5])
    head = b"".join(
        pack(">HH2sH", group, element, vr, len(value)) + value
        for group, element, vr, value in (
            (0x28, 0x08, b"IS", b"2 "),
            (0x28, 0x10, b"US", b"\0\3"),
            (0x28, 0x11, b"US", b"\0\1"),
            (0x28, 0x100, b"US", b"\0\x08"),
        )
    )
    assert frames_of(file(head, pixels, syntax="1.2.840.10008.1.2.2")) == [b"\1\2\3", b"\4\5\6"]


def test_frames_of_single_bits_begin_inside_bytes() -> None:
    data = samples.segmentation(3, 5, 7)
    packed = pydicom.dcmread(BytesIO(data)).PixelData
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    expected = [np.packbits(bits[35 * n : 35 * n + 35], bitorder="little").tobytes() for n in range(3)]
    assert frames_of(data) == expected
    assert not table_of(data).as_stored
    assert table_of(data).spans(2) == [(len(data) - len(packed) + 4, 5)]


@given(st.binary(min_size=1, max_size=40), st.data())
def test_extracted_bits_are_those_of_the_bytes(data: bytes, draws: st.DataObject) -> None:
    start = draws.draw(st.integers(0, 8 * len(data) - 1))
    count = draws.draw(st.integers(1, 8 * len(data) - start))
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[start : start + count]
    assert extract_bits(data, start, count) == np.packbits(bits, bitorder="little").tobytes()


@pytest.mark.parametrize(("length", "frame"), [(4 * 2 * 2, 8), (4 * 2 * 3, 12)], ids=["subsampled", "only said to be"])
def test_subsampled_colour_is_recognised_by_its_length(length: int, frame: int) -> None:
    colour = el(0x00280002, "US", b"\3\0") + el(0x00280004, "CS", b"YBR_FULL_422")
    size = el(0x00280008, "IS", b"2 ") + el(0x00280010, "US", b"\2\0") + el(0x00280011, "US", b"\2\0") + el(0x00280100, "US", b"\x08\0")
    assert [len(each) for each in frames_of(file(colour, size, el(0x7FE00010, "OB", bytes(length))))] == [frame, frame]


@pytest.mark.parametrize(
    ("declared", "length", "there"),
    [
        (b"1000000 ", 4, 1),
        (b"3 ", 11, 2),
        (b"3 ", 12, 3),
        (b"3 ", 99, 3),
        (b"2 ", 3, 0),
        (b"0 ", 4, 1),
        (b"x ", 4, 1),
        (b"", 4, 1),
        (b"2\\9", 8, 2),
    ],
)
def test_a_frame_exists_when_all_of_it_is_there(declared: bytes, length: int, there: int) -> None:
    table = table_of(picture(el(0x7FE00010, "OB", bytes(length)), frames=declared, syntax="1.2.840.10008.1.2.1"))
    assert table.frames == there
    with pytest.raises(NotFound, match=f"frame {there + 1} is not there: the instance has {there} frame"):
        table.spans(there + 1)


@pytest.mark.parametrize("number", [0, -1, 4, 1 << 70])
def test_frames_are_numbered_from_one(number: int) -> None:
    for data in (samples.mr(3), samples.encapsulated(3), samples.segmentation(3)):
        with pytest.raises(NotFound, match="has 3 frames"):
            table_of(data).spans(number)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (samples.report(), "there is no pixel data"),
        (file(el(0x00280010, "US", b"\2\0"), el(0x7FE00010, "OB", bytes(4))), "(0028,0011): pixel data without this attribute"),
        (picture(el(0x7FE00010, "OB", bytes(4)), rows=0, syntax="1.2.840.10008.1.2.1"), "(0028,0010): a frame has no pixels"),
        (picture(el(0x7FE00010, "OB", bytes(4))), "(7FE0,0010): pixel data of an encapsulated transfer syntax is not in fragments"),
        (picture(run(b"12", b"34", b"56"), frames=b"2 "), "(7FE0,0010): nothing tells which of 3 fragments belong to which of 2 frames"),
    ],
)
def test_pixel_data_that_cannot_be_cut_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InstanceError) as caught:
        table_of(data)
    assert caught.value.message.startswith(message)


# -- encapsulated pixel data


@pytest.mark.parametrize("table", ["bot", "eot", "none"])
def test_a_fragment_a_frame(table: str) -> None:
    padded = [stream + b"\0" * (len(stream) % 2) for stream in samples.codestreams(3)]
    assert frames_of(samples.encapsulated(3, table=table)) == padded


@pytest.mark.parametrize(
    ("lengths", "frames"),
    [((3, 4), [b"123", b"4567"]), ((4, 4), [b"123\0", b"4567"]), ((1, 4), [b"123\0", b"4567"]), ((3,), [b"123\0", b"4567"])],
)
def test_the_extended_offset_table_tells_padding(lengths: tuple[int, ...], frames: list[bytes]) -> None:
    tables = el(0x7FE00001, "OV", pack("<2Q", 0, 12)) + el(0x7FE00002, "OV", pack(f"<{len(lengths)}Q", *lengths))
    assert frames_of(picture(tables + run(b"123\0", b"4567"), frames=b"2 ")) == frames


@pytest.mark.parametrize("table", ["bot", "none"])
def test_several_fragments_a_frame(table: str) -> None:
    data = samples.encapsulated(4, 3, table)
    assert frames_of(data) == frames_of(samples.encapsulated(4, 1))
    assert all(len(table_of(data).spans(number)) == 3 for number in range(1, 5))


def test_the_offset_tables_spare_reading() -> None:
    for table in ("bot", "eot"):
        table_of(samples.encapsulated(3, table=table), no_reading)
    table_of(samples.encapsulated(3, 3), no_reading)


def test_one_frame_is_all_fragments() -> None:
    assert frames_of(picture(run(b"12", b"34", b"56"))) == [b"123456"]


FIRST, MIDDLE, LAST = b"\xff\xd8\xff1", b"ABCD", b"\xff\xd8\xff2"
BY_MARKERS = [FIRST + MIDDLE, LAST]


@pytest.mark.parametrize(
    ("table", "frames"),
    [
        (pack("<2L", 0, 24), [FIRST + MIDDLE, LAST]),
        (pack("<2L", 0, 12), [FIRST, MIDDLE + LAST]),
        (pack("<2L", 12, 24), BY_MARKERS),
        (pack("<2L", 0, 13), BY_MARKERS),
        (pack("<2L", 0, 0), BY_MARKERS),
        (pack("<2L", 24, 0), BY_MARKERS),
        (pack("<2L", 0, 999), BY_MARKERS),
        (pack("<3L", 0, 12, 24), BY_MARKERS),
        (pack("<L", 0), BY_MARKERS),
        (b"\0\0\0", BY_MARKERS),
    ],
)
@pytest.mark.parametrize("extended", [False, True])
def test_offset_tables_are_believed_when_they_hold_together(table: bytes, frames: list[bytes], extended: bool) -> None:
    if extended:
        wide = pack(f"<{len(table) // 4}Q", *unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])) or b"\0"
        data = picture(el(0x7FE00001, "OV", wide) + run(FIRST, MIDDLE, LAST), frames=b"2 ")
    else:
        data = picture(run(FIRST, MIDDLE, LAST, table=table), frames=b"2 ")
    assert frames_of(data) == frames


@pytest.mark.parametrize("start", [b"\xff\xd8\xff\xe0", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a"])
def test_without_a_table_codestreams_tell_by_their_first_bytes(start: bytes) -> None:
    fragments = [start + b"1111", b"22222222", start + b"3333", start + b"4444", b"55"]
    expected = [fragments[0] + fragments[1], fragments[2], fragments[3] + fragments[4]]
    assert frames_of(picture(run(*fragments), frames=b"3 ")) == expected


def test_fewer_fragments_than_frames_are_that_many_frames() -> None:
    assert frames_of(picture(run(b"12", b"34"), frames=b"5 ")) == [b"12", b"34"]
    assert frames_of(picture(run(), frames=b"5 ")) == []


def test_a_video_is_one_stream() -> None:
    assert frames_of(picture(run(b"12", b"34"), frames=b"500 ", syntax="1.2.840.10008.1.2.4.102")) == [b"1234"]


def test_offsets_beyond_4_gib() -> None:
    """The stream is never built: the walk passes over fragments of 3 GiB each."""
    walk = Walk(wanted=TABLE_TAGS)
    walk.feed(picture(b"", frames=b"3 ") + pack("<HH2s2xL", 0x7FE0, 0x10, b"OB", UNDEFINED) + plain(0xFFFEE000, b""))
    starts = []
    for _ in range(3):
        walk.feed(pack("<HHL", 0xFFFE, 0xE000, 3 << 30))
        starts.append(walk.position)
        walk.jump(3 << 30)
    walk.feed(END)
    walk.finish()
    table = FrameTable.from_bytes(frame_table(walk, no_reading).to_bytes())
    assert [table.spans(number) for number in (1, 2, 3)] == [[(start, 3 << 30)] for start in starts]


def test_many_frames_are_few_bytes() -> None:
    frames = 40_000
    data = picture(run(*[b"\xff\xd8\xff\xd9"] * frames), frames=str(frames).encode())
    table = table_of(data, no_reading)
    assert table.frames == frames
    assert len(table.to_bytes()) < 4 * frames + 100
    assert table.spans(frames) == [(len(data) - 8 - 4, 4)]


# -- the serialised form


@pytest.mark.parametrize("data", [samples.mr(), samples.encapsulated(), samples.encapsulated(4, 3), samples.encapsulated(table="eot")])
def test_damaged_tables_are_none(data: bytes) -> None:
    raw = table_of(data).to_bytes()
    for damaged in (b"", raw[:-1], raw + b"\0", raw[:20], b"FT02" + raw[4:]):
        with pytest.raises(ValueError, match="not a frame table"):
            FrameTable.from_bytes(damaged)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(1, 4), st.booleans())
def test_any_encapsulation_gives_its_frames_back(lengths: list[int], pieces: int, table: bool) -> None:
    streams = [b"\xff\xd8\xff" + bytes([number]) * (2 * length + 5) for number, length in enumerate(lengths)]
    ds = samples.pictured(samples.identified(), encapsulate(streams, pieces, has_bot=table), bits=8, frames=len(streams))
    ds["PixelData"].is_undefined_length = True
    assert frames_of(samples.written(ds, JPEG)) == streams


# -- files that other people made


@pytest.mark.parametrize("path", readable(), ids=lambda path: path.name)
def test_frames_are_those_of_pydicom(path: Path) -> None:
    data = path.read_bytes()
    walk = Walk(wanted=TABLE_TAGS, record=True)
    walk.feed(data)
    walk.finish()
    if walk.pixels is None or 0x00280010 not in walk.values:
        return
    table, read = table_of(data), reader(data, walk)
    frames = [table.frame(number, read) for number in range(1, table.frames + 1)]
    try:
        ds = pydicom.dcmread(path, force=True)
        expected = by_pydicom(ds, walk)
    except (OSError, ValueError, NotImplementedError, AttributeError):
        return  # pydicom cannot tell
    if expected is not None:
        assert frames == expected


def by_pydicom(ds: Any, walk: Walk) -> list[bytes] | None:
    """The frames as pydicom has them, None where it changes pixels on the way."""
    assert walk.pixels is not None
    count = int(ds.get("NumberOfFrames", 1) or 1)
    if walk.pixels.length == UNDEFINED:
        if walk.syntax.startswith("1.2.840.10008.1.2.4.10"):
            return None  # a video
        extended = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths) if "ExtendedOffsetTable" in ds else None
        return list(generate_frames(ds.PixelData, number_of_frames=count, extended_offsets=extended))
    if ds.get("SamplesPerPixel", 1) != 1 or ds.BitsStored != ds.BitsAllocated or walk.syntax in DEFLATED:
        return None
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(walk.syntax)
    pixels = ds.pixel_array.reshape(count, -1)
    little = pixels.astype(pixels.dtype.newbyteorder("<"))
    return [np.packbits(frame, bitorder="little").tobytes() if ds.BitsAllocated == 1 else frame.tobytes() for frame in little]
