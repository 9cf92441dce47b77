"""The files of a made-up hospital, read by pydicom."""

from __future__ import annotations

import io

import pydicom
import pytest

from loadtests.scale.hospital import Hospital, Study
from loadtests.scale.written import SIDE, WITHOUT_PICTURES, series_files, sop_class

STUDIES = list(Hospital(4000).studies())


def study_with(modality: str) -> tuple[Study, int]:
    return next((study, index) for study in STUDIES for index, (other, _) in enumerate(study.series) if other == modality)


@pytest.mark.parametrize("modality", ["CR", "DX", "US", "CT", "MR", "MG", "SR", "PR"])
def test_files_say_what_the_hospital_says(modality: str) -> None:
    study, index = study_with(modality)
    files = list(series_files(study, index))
    assert len(files) == study.series[index][1]
    for number, (sop, data) in enumerate(files):
        read = pydicom.dcmread(io.BytesIO(data))
        assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID == sop == study.sop_uid(index, number)
        assert read.SOPClassUID == read.file_meta.MediaStorageSOPClassUID == sop_class(modality)
        assert (read.StudyInstanceUID, read.SeriesInstanceUID, read.Modality) == (study.uid, study.series_uid(index), modality)
        assert (str(read.PatientName), read.PatientID, read.PatientSex) == (study.patient.name, study.patient.id, study.patient.sex)
        assert (read.StudyDate, read.StudyDescription) == (f"{study.day:%Y%m%d}", study.description)
        assert (int(read.InstanceNumber), int(read.SeriesNumber)) == (number + 1, index + 1)
        assert ("PixelData" in read) == (modality not in WITHOUT_PICTURES)
        assert [element.tag for element in read] == sorted(element.tag for element in read)


def test_a_file_ends_with_its_picture_and_is_small() -> None:
    study, index = study_with("CT")
    for _, data in series_files(study, index):
        read = pydicom.dcmread(io.BytesIO(data))
        assert len(read.PixelData) == SIDE * SIDE == read.Rows * read.Columns and data.endswith(read.PixelData)
        assert 1000 < len(data) < 3000


def test_no_two_files_are_alike() -> None:
    study, index = study_with("MR")
    assert len({data for _, data in series_files(study, index)}) == study.series[index][1]
