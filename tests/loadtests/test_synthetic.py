from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.synthetic import SIZES, Shape, Study

SMALL = SIZES["small"]
CINE = Shape(8, 16, 3)


def read(study: Study, index: int = 0) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(study.instance(index)))


def test_same_arguments_give_the_same_bytes() -> None:
    first, second = Study(7, 3, 4, CINE), Study(7, 3, 4, CINE)
    assert [first.instance(i) for i in range(4)] == [second.instance(i) for i in range(4)]


@pytest.mark.parametrize("other", [Study(8, 3, 4, CINE), Study(7, 4, 4, CINE), Study(7, 3, 4, SMALL)])
def test_other_arguments_give_other_bytes(other: Study) -> None:
    assert Study(7, 3, 4, CINE).instance(0) != other.instance(0)


@pytest.mark.parametrize("shape", [SMALL, CINE])
def test_pydicom_reads_every_element(shape: Shape) -> None:
    elements = list(read(Study(7, 3, 4, shape), 2).iterall())
    assert len(elements) > 70
    assert all(element.value is not None for element in elements)


def test_values_are_those_that_the_study_names() -> None:
    study = Study(123, 45, 6, SMALL)
    dataset = read(study, 5)
    assert dataset.StudyInstanceUID == study.uid
    assert dataset.SeriesInstanceUID == study.series_uid
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == study.sop_uid(5)
    assert dataset.PatientID == study.patient_id == "LOAD000000012300000045"
    assert dataset.PatientName == study.patient_name == "Gorse^Boris"
    assert {dataset[keyword].value for keyword in dataset.dir("Date") if keyword != "PatientBirthDate"} == {study.date}
    assert dataset.AccessionNumber == "A00000045"
    assert dataset.InstanceNumber == 6
    assert dataset.SliceLocation == dataset.ImagePositionPatient[2] == -6.25


@given(
    seed=st.integers(0, 10**10 - 1),
    number=st.integers(0, 10**8 - 1),
    slices=st.integers(1, 10**5 - 1),
    data=st.data(),
)
@settings(max_examples=60)
def test_any_numbers_fit_into_the_same_length(seed: int, number: int, slices: int, data: st.DataObject) -> None:
    study = Study(seed, number, slices, SMALL)
    index = data.draw(st.integers(0, slices - 1))
    dataset = read(study, index)
    assert len(study.instance(index)) == len(Study(0, 0, 1, SMALL).instance(0))
    assert (dataset.StudyInstanceUID, dataset.SOPInstanceUID) == (study.uid, study.sop_uid(index))
    assert all(uid.is_valid for uid in (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID))
    assert dataset.InstanceNumber == index + 1
    assert float(dataset.SliceLocation) == -1.25 * index
    assert dataset.StudyDate == study.date


@pytest.mark.parametrize(("seed", "number", "slices"), [(10**10, 0, 1), (0, 10**8, 1), (0, 0, 10**5), (0, 0, 0), (-1, 0, 1), (0, -1, 1)])
def test_numbers_that_would_change_a_length_are_refused(seed: int, number: int, slices: int) -> None:
    with pytest.raises(ValueError, match="digits"):
        Study(seed, number, slices, SMALL)


def test_uids_are_all_different() -> None:
    studies = [Study(seed, number, 50, SMALL) for seed in (1, 2) for number in range(20)]
    uids = [uid for study in studies for uid in (study.uid, study.series_uid, *study.sop_uids())]
    assert len(set(uids)) == len(uids) == 40 * 52


@pytest.mark.parametrize(("name", "pixels"), [("small", 512), ("ct", 524_288), ("multiframe", 10_485_760)])
def test_sizes_are_as_promised(name: str, pixels: int) -> None:
    study = Study(1, 1, 1, SIZES[name])
    dataset = read(study)
    assert len(dataset.PixelData) == pixels
    assert pixels + 1500 < len(study.instance(0)) < pixels + 3000
    assert (dataset.Rows, dataset.Columns, dataset.get("NumberOfFrames", 1)) == (study.shape.rows, study.shape.columns, study.shape.frames)


def test_frames_lie_in_the_pixel_data_one_after_the_other() -> None:
    study = Study(1, 2, 3, CINE)
    frames = [study.frame(1, number) for number in (1, 2, 3)]
    assert {len(frame) for frame in frames} == {CINE.frame_bytes}
    assert read(study, 1).PixelData == b"".join(frames)


def test_no_two_frames_are_alike() -> None:
    studies = [Study(1, number, 20, Shape(1, 16, 20)) for number in (7, 1_000_007)]  # the numbers of two worker processes
    frames = {study.frame(index, number) for study in studies for index in range(20) for number in range(1, 21)}
    assert len(frames) == 2 * 20 * 20


def test_pixels_stay_within_the_stored_bits() -> None:
    pixels = memoryview(Study(1, 99_999_999, 3, Shape(64, 64, 9)).frame(2, 9)).cast("H")
    assert max(pixels) < 1 << 12


def test_pieces_make_up_the_instance() -> None:
    study = Study(1, 2, 3, CINE)
    assert b"".join(study.pieces(2)) == study.instance(2)
    assert len(study.pieces(2)) == 1 + 2 * CINE.frames  # the header, then a stamp and a picture for each frame


@pytest.mark.parametrize("index", [-1, 3])
def test_slices_beyond_the_last_are_refused(index: int) -> None:
    with pytest.raises(IndexError):
        Study(1, 2, 3, SMALL).instance(index)


@pytest.mark.parametrize("frame", [0, 4])
def test_frames_are_counted_from_one(frame: int) -> None:
    with pytest.raises(IndexError):
        Study(1, 2, 3, CINE).frame(0, frame)


@pytest.mark.parametrize(("text", "shape"), [("ct", Shape(512, 512)), ("16x32", Shape(16, 32)), ("16x32x4", Shape(16, 32, 4))])
def test_sizes_are_named_or_spelled_out(text: str, shape: Shape) -> None:
    assert Shape.parse(text) == shape


@pytest.mark.parametrize("text", ["", "mr", "512", "512x", "1x2x3x4", "-1x16", "0x16", "16x15", "16x16x0", "16x70000", "65535x65535"])
def test_impossible_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a size is|an image needs|more than one Pixel Data"):
        Shape.parse(text)


def test_a_file_is_known_by_its_uid() -> None:
    study = Study(1, 2, 12, CINE)
    assert [study.index_of(study.instance(index)) for index in (0, 7, 11)] == [0, 7, 11]


@pytest.mark.parametrize(
    "file",
    [
        Study(1, 3, 12, CINE).instance(0),
        Study(2, 2, 12, CINE).instance(0),
        Study(1, 2, 13, CINE).instance(12),
        b"",
        bytes(2000),
        b"\xff" * 2000,
    ],
)
def test_a_file_of_another_study_is_not(file: bytes) -> None:
    assert Study(1, 2, 12, CINE).index_of(file) is None
