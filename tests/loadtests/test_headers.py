from __future__ import annotations

from io import BytesIO

import pydicom
import pytest

from loadtests.headers import template


def read(header: bytes | bytearray) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(header), stop_before_pixels=True)


def test_a_header_ends_where_the_pixels_begin() -> None:
    header = template(4, 16, 1).header
    assert header.endswith(b"\xe0\x7f\x10\x00OW\0\0" + (4 * 16 * 2).to_bytes(4, "little"))


@pytest.mark.parametrize(("frames", "sop_class", "modality"), [(1, "CT Image Storage", "CT"), (3, "Multi-frame Grayscale Word", "OT")])
def test_single_frames_are_ct_and_others_are_not(frames: int, sop_class: str, modality: str) -> None:
    dataset = read(template(4, 16, frames).header)
    assert dataset.SOPClassUID.name.startswith(sop_class)
    assert dataset.Modality == modality
    assert (dataset.Rows, dataset.Columns, dataset.get("NumberOfFrames")) == (4, 16, frames if frames > 1 else None)


def test_a_written_value_is_the_only_change() -> None:
    blank = template(4, 16, 1)
    before, after = read(blank.header), read(blank.written(blank.header, {"patient": "SHORT"}))
    assert after.PatientID == "SHORT"
    assert [element.tag for element in before if after[element.tag] != element] == [before["PatientID"].tag]


def test_every_place_of_a_value_is_written() -> None:
    blank = template(4, 16, 1)
    dataset = read(blank.written(blank.header, {"date": "20210304", "position": "1.5"}))
    assert dataset.StudyDate == dataset.SeriesDate == dataset.ContentDate == dataset.PerformedProcedureStepStartDate == "20210304"
    assert dataset.SliceLocation == dataset.ImagePositionPatient[2] == 1.5


def test_the_header_itself_stays_as_it_is() -> None:
    blank = template(4, 16, 1)
    before = bytes(blank.header)
    blank.written(blank.header, {"patient": "SHORT"})
    assert blank.header == before


def test_a_value_that_is_too_long_is_refused() -> None:
    blank = template(4, 16, 1)
    with pytest.raises(ValueError, match="the date is longer than the 8 characters"):
        blank.written(blank.header, {"date": "2021-03-04"})


def test_what_was_written_can_be_read_back() -> None:
    blank = template(4, 16, 1)
    file = bytes(blank.written(blank.header, {"patient": "SHORT", "date": "20210304"})) + b"pixels"
    assert (blank.read(file, "patient"), blank.read(memoryview(file), "date")) == ("SHORT", "20210304")


def test_a_file_that_is_too_short_reads_as_nothing() -> None:
    assert template(4, 16, 1).read(b"DICM", "patient") == ""
