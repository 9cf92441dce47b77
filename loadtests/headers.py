"""Encoded headers in which single values can be written over: one for each shape of image, made with pydicom.

The fields in which instances differ stand in a header as placeholders, and their offsets are looked up once. A value is
padded to the length of its placeholder with what its VR allows, so no length in the file ever changes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import PYDICOM_ROOT_UID, CTImageStorage, ExplicitVRLittleEndian, MultiFrameGrayscaleWordSecondaryCaptureImageStorage

# What stands in the header where instances differ; none of them may occur anywhere else in it. A UID needs every character of
# its placeholder (PS3.5 9.1 knows no padding but one NUL); PN, LO, SH, IS and DS may end in spaces.
_PLACEHOLDERS: Final = {
    "study": PYDICOM_ROOT_UID + "9" * 23 + "1",
    "series": PYDICOM_ROOT_UID + "9" * 23 + "2",
    "sop": PYDICOM_ROOT_UID + "9" * 23 + "3",
    "patient": "LOAD" + "8" * 18,
    "name": "SURNAME^GIVENNAME",
    "date": "17991231",
    "accession": "A77777777",
    "instance": "666666",
    "position": "-555555.55",
}

_COMMON: Final[Mapping[str, Any]] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "StudyTime": "081530",
    "SeriesTime": "081702.25",
    "AcquisitionTime": "081709.5",
    "ContentTime": "081711",
    "Manufacturer": "Made Up Imaging",
    "InstitutionName": "Load Test Hospital",
    "InstitutionalDepartmentName": "Radiology",
    "ReferringPhysicianName": "Referrer^Rita",
    "OperatorsName": "Operator^Olga",
    "StationName": "LOADCT1",
    "StudyDescription": "CT chest with contrast",
    "SeriesDescription": "Axial 1.25 soft tissue",
    "ManufacturerModelName": "Imaginary 64",
    "DeviceSerialNumber": "0000042",
    "SoftwareVersions": ["1.0", "load"],
    "ProtocolName": "Chest routine",
    "PatientBirthDate": "19610405",
    "PatientSex": "O",
    "PatientAge": "060Y",
    "PatientSize": "1.72",
    "PatientWeight": "71.5",
    "BodyPartExamined": "CHEST",
    "ContrastBolusAgent": "Water",
    "StudyID": "1",
    "SeriesNumber": 3,
    "AcquisitionNumber": 1,
    "PatientPosition": "HFS",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "WindowCenter": ["1040", "1500"],
    "WindowWidth": ["400", "1800"],
    "WindowCenterWidthExplanation": ["Soft tissue", "Bone"],
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
    "PerformedProcedureStepStartTime": "081500",
    "PerformedProcedureStepID": "PPS1",
    "PerformedProcedureStepDescription": "CT chest",
}

_CT: Final[Mapping[str, Any]] = {
    "SOPClassUID": CTImageStorage,
    "Modality": "CT",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "ScanOptions": "HELICAL MODE",
    "SliceThickness": "1.25",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "360",
    "DistanceSourceToDetector": "950",
    "DistanceSourceToPatient": "540",
    "GantryDetectorTilt": "0",
    "TableHeight": "151.5",
    "RotationDirection": "CW",
    "ExposureTime": 500,
    "XRayTubeCurrent": 300,
    "Exposure": 150,
    "FilterType": "BODY",
    "GeneratorPower": 36000,
    "FocalSpots": "1.2",
    "ConvolutionKernel": "SOFT",
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 40.0,
    "TableSpeed": 55.0,
    "TableFeedPerRotation": 27.5,
    "SpiralPitchFactor": 0.984,
    "CTDIvol": 8.25,
    "ImagePositionPatient": ["-180", "-180", _PLACEHOLDERS["position"]],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PositionReferenceIndicator": "SN",
    "SliceLocation": _PLACEHOLDERS["position"],
    "PixelSpacing": ["0.703125", "0.703125"],
}

_MULTIFRAME: Final[Mapping[str, Any]] = {
    "SOPClassUID": MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    "Modality": "OT",
    "ImageType": ["DERIVED", "SECONDARY"],
    "ConversionType": "SYN",
    "BurnedInAnnotation": "NO",
    "PresentationLUTShape": "IDENTITY",
    "FrameTime": "40",
    "FrameIncrementPointer": 0x00181063,
}


class Template:
    """An encoded header, up to the first pixel, and where its placeholders stand."""

    def __init__(self, header: bytes) -> None:
        self.header = header
        self._offsets = {field: _find_all(header, text.encode()) for field, text in _PLACEHOLDERS.items()}

    def read(self, data: bytes | memoryview, field: str) -> str:
        """What stands in place of a field's placeholder in a file that was written from this header."""
        offset = self._offsets[field][0]
        return bytes(data[offset : offset + len(_PLACEHOLDERS[field])]).decode("ascii", "replace").rstrip(" ")

    def written(self, header: bytes | bytearray, values: Mapping[str, str]) -> bytearray:
        """A copy of `header`, which is `self.header` or came from here, with some placeholders written over.

        :raises ValueError: for a value that is longer than its placeholder.
        """
        copy = bytearray(header)
        for field, value in values.items():
            width = len(_PLACEHOLDERS[field])
            padded = value.ljust(width).encode("ascii")
            if len(padded) != width:
                raise ValueError(f"the {field} is longer than the {width} characters that are kept for it")
            for offset in self._offsets[field]:
                copy[offset : offset + width] = padded
        return copy


def _find_all(data: bytes, text: bytes) -> list[int]:
    found = []
    offset = data.find(text)
    while offset >= 0:
        found.append(offset)
        offset = data.find(text, offset + 1)
    return found


@lru_cache
def template(rows: int, columns: int, frames: int) -> Template:
    """The header of a CT slice, or of a multi-frame secondary capture, with 16-bit pixels in Explicit VR Little Endian."""
    pixel_data = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 2 * rows * columns * frames)
    return Template(_encode(_dataset(rows, columns, frames)) + pixel_data)


def _encode(dataset: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def _dataset(rows: int, columns: int, frames: int) -> Dataset:
    dataset = _filled({**_COMMON, **(_CT if frames == 1 else _MULTIFRAME)})
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = rows, columns
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _PLACEHOLDERS["study"], _PLACEHOLDERS["series"]
    dataset.SOPInstanceUID = _PLACEHOLDERS["sop"]
    dataset.FrameOfReferenceUID = _PLACEHOLDERS["series"]
    dataset.PatientID, dataset.PatientName = _PLACEHOLDERS["patient"], _PLACEHOLDERS["name"]
    dataset.AccessionNumber, dataset.InstanceNumber = _PLACEHOLDERS["accession"], _PLACEHOLDERS["instance"]
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "PerformedProcedureStepStartDate"):
        setattr(dataset, keyword, _PLACEHOLDERS["date"])
    code = {"CodeValue": "241541005", "CodingSchemeDesignator": "SCT", "CodeMeaning": "High resolution CT of lungs"}
    dataset.ProcedureCodeSequence = [_filled(code)]
    dataset.RequestAttributesSequence = [_filled({"ScheduledProcedureStepID": "SPS1", "RequestedProcedureID": "RP1"})]
    block = dataset.private_block(0x0043, "MADE UP PARAMETERS", create=True)
    for number in range(12):
        block.add_new(number, "DS", [str(number), "0.5", "100"])
    return dataset


def _filled(values: Mapping[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset
