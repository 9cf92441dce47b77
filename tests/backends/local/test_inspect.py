"""What the store learns from a file's own bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from gateway.backends.local.files import Files
from gateway.backends.local.inspect import WINDOW, describe, modelled, reread, walked
from gateway.dicom.attributes import INDEX_TAGS
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable
from gateway.dicom.metadata import instance_metadata
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
from gateway.errors import InstanceError
from tests import samples
from tests.backends.made import dicom

every_form = pytest.mark.parametrize("make", samples.ALL.values(), ids=list(samples.ALL))
LARGE = dicom(Rows=2048, Columns=1024, PixelData=samples.counted(4 << 20))


@contextmanager
def opened(folder: Path, data: bytes) -> Iterator[int]:
    path = folder / "file"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each read."""
    lengths: list[int] = []
    pread = os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        data = pread(descriptor, length, offset)
        lengths.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    return lengths


def whole_walk(data: bytes, pieces: int = 1 << 30) -> Walk:
    walk = Walk(wanted=INDEX_TAGS | TABLE_TAGS)
    for start in range(0, len(data), pieces):
        walk.feed(data[start : start + pieces])
    walk.finish()
    return walk


# -- index attributes


@every_form
def test_a_stored_file_tells_the_same_as_it_did_when_it_came(make: Callable[[], bytes], tmp_path: Path) -> None:
    with opened(tmp_path, make()) as descriptor:
        assert describe(walked(descriptor, Limits()), descriptor) == describe(whole_walk(make()), descriptor)
        assert describe(whole_walk(make(), 1), descriptor) == describe(whole_walk(make()), descriptor)


def sequenced(undefined: bool, nested: bool) -> bytes:
    step = Dataset()
    step.ScheduledProcedureStepID, step.RequestedProcedureID = "S" * 16, "R7"
    if nested:
        code = Dataset()
        code.CodeValue = "C1"
        step.ScheduledProtocolCodeSequence = [code]
        step["ScheduledProtocolCodeSequence"].is_undefined_length = True
    ds = samples.pictured(samples.identified(), samples.counted(32))
    ds.ProcedureCodeSequence, ds.RequestAttributesSequence = [], [step, Dataset()]
    ds["RequestAttributesSequence"].is_undefined_length = undefined
    step.is_undefined_length_sequence_item = undefined
    return samples.written(ds)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 50, 1000, 1 << 20])
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_identifiers_inside_sequences_are_found_however_the_bytes_came(piece: int, undefined: bool, nested: bool, tmp_path: Path) -> None:
    data = sequenced(undefined, nested)
    with opened(tmp_path, data) as descriptor:
        attributes, _ = describe(whole_walk(data, piece), descriptor)
    first, second = attributes.series["00400275"]["Value"]
    assert first["00400009"] == {"vr": "SH", "Value": ["S" * 16]} and first["00401001"] == {"vr": "SH", "Value": ["R7"]}
    assert ("00400008" in first) is nested and second == {}
    assert attributes.study["00081032"] == {"vr": "SQ"}


def test_a_long_value_inside_a_sequence_is_looked_at_although_it_could_be_passed_over(tmp_path: Path) -> None:
    step = Dataset()
    step.RequestedProcedureComments, step.RequestedProcedureID = "x" * 3000, "R7"
    with opened(tmp_path, dicom(RequestAttributesSequence=[step])) as descriptor:
        attributes, _ = describe(walked(descriptor, Limits()), descriptor)
    assert attributes.series["00400275"]["Value"][0]["00401001"]["Value"] == ["R7"]


def test_a_sequence_beyond_the_limit_costs_itself_only(tmp_path: Path) -> None:
    step = Dataset()
    step.add_new(0x00091010, "UN", bytes(70_000))
    with opened(tmp_path, dicom(RequestAttributesSequence=[step])) as descriptor:
        attributes, pixels = describe(walked(descriptor, Limits()), descriptor)
    assert "00400275" not in attributes.series and attributes.study["00100020"]["Value"] == ["P1"] and pixels is not None


def test_pixels_that_nothing_can_be_cut_out_of_are_stored_without_a_table(tmp_path: Path) -> None:
    data = dicom(BitsAllocated=None)
    with opened(tmp_path, data) as descriptor:
        _, pixels = describe(walked(descriptor, Limits()), descriptor)
    assert pixels is not None and pixels.frames is None and pixels.end == len(data)


def test_the_table_that_is_kept_can_be_read_again(tmp_path: Path) -> None:
    with opened(tmp_path, samples.encapsulated(3, 2, table="none")) as descriptor:
        _, pixels = describe(walked(descriptor, Limits()), descriptor)
    assert pixels is not None and pixels.frames is not None
    assert FrameTable.from_bytes(pixels.frames).frames == 3


def test_pixels_are_passed_over(tmp_path: Path, reads: list[int]) -> None:
    with opened(tmp_path, LARGE) as descriptor:
        walked(descriptor, Limits())
    assert sum(reads) <= 2 * WINDOW


# -- again


def test_a_stored_generation_is_read_again_or_it_is_not(root: Path) -> None:
    files = Files(root)
    path = files.incoming()
    Path(path).write_bytes(dicom(PatientID="P7"))
    files.publish([(path, 3)])
    found = reread(files, Limits(), 3)
    assert found is not None and found.study["00100020"]["Value"] == ["P7"]
    assert reread(files, Limits(elements=3), 3) is None
    assert reread(files, Limits(), 4) is None
    Path(files.path(3)).write_bytes(dicom()[:-1])
    assert reread(files, Limits(), 3) is None
    files.close()


# -- the model


@every_form
@pytest.mark.parametrize("first", [1, 200, WINDOW])
def test_the_model_of_a_file_is_that_of_its_bytes(make: Callable[[], bytes], first: int, tmp_path: Path) -> None:
    data = make()
    with opened(tmp_path, data) as descriptor:
        found, walk = modelled(descriptor, Limits(), first)
    plain = Walk(record=True)
    plain.feed(data)
    plain.finish()
    assert walk.events == plain.events
    whole = inflated(data) if walk.syntax in DEFLATED else data
    expected = instance_metadata(whole, plain.events, syntax=plain.syntax, bulk_prefix="@")
    assert instance_metadata(found, walk.events, syntax=walk.syntax, bulk_prefix="@") == expected


def test_values_that_the_model_does_not_show_are_holes(tmp_path: Path, reads: list[int]) -> None:
    lut = Dataset()
    lut.LUTData = samples.counted(1 << 20)
    lut["LUTData"].VR = "OW"
    ds = samples.pictured(samples.identified(), samples.counted(4 << 20), 2048, 1024)
    ds.ModalityLUTSequence = [lut]
    ds.TextValue = "found"
    with opened(tmp_path, samples.written(ds)) as descriptor:
        data, walk = modelled(descriptor, Limits())
    assert isinstance(data, mmap) and sum(reads) <= 4 * WINDOW
    text = instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix="@")
    assert b'"found"' in text and b'"@/bulkdata/00283000/0/00283006"' in text and b'"@/bulkdata/7FE00010"' in text


def test_a_header_of_usual_size_is_one_read(tmp_path: Path, reads: list[int]) -> None:
    with opened(tmp_path, LARGE) as descriptor:
        data, _ = modelled(descriptor, Limits(), LARGE.index(b"\xe0\x7f\x10\x00OW") + 16)
    assert len(reads) == 1 and isinstance(data, bytes) and len(data) < 2000


def test_a_damaged_file_has_no_model(tmp_path: Path) -> None:
    with opened(tmp_path, samples.report()[:-20]) as descriptor, pytest.raises(InstanceError):
        modelled(descriptor, Limits())


def test_fragments_are_neither_read_nor_held(tmp_path: Path, reads: list[int]) -> None:
    """A slide has a hundred thousand of them: once its model took as much memory as the file."""
    ds = samples.pictured(samples.identified(), b"", bits=8, frames=200)
    ds.PixelData = encapsulate([samples.counted(20_000)] * 200)
    ds["PixelData"].is_undefined_length = True
    ds.DataSetTrailingPadding = bytes(8)
    ds.add_new(0x7FE30010, "LO", "AFTER")
    data = samples.written(ds, JPEGBaseline8Bit)
    with opened(tmp_path, data) as descriptor:
        found, walk = modelled(descriptor, Limits())
    assert sum(reads) < len(data) // 3
    assert isinstance(found, mmap)
    plain = whole_walk(data).pixels
    assert plain is not None and bytes(found[plain.offset + WINDOW : plain.end - 8]).strip(b"\0") == b""
    text = instance_metadata(found, walk.events, syntax=walk.syntax, bulk_prefix="@")
    assert b'"AFTER"' in text and b'"@/bulkdata/7FE00010"' in text
