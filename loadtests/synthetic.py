"""Made-up studies, cheap enough that a load client is not slowed by making them.

pydicom encodes one header for each shape of image. The fields in which instances differ stand in it as placeholders of a
fixed length, and their offsets are looked up once. An instance is then a copy of the header with its own values written over
the placeholders, followed by pictures that all instances share, so it costs some ten microseconds whatever its size.

1. The same arguments give the same bytes. Whoever knows (seed, number, slices, shape) knows every byte that was sent, so
   nothing has to be remembered to check what comes back.
2. No two instances and no two frames are alike: the first row of each frame carries their numbers as pixels.
3. Values are padded to the length of their placeholder with the padding that their VR allows, so no length ever changes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from math import isqrt
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import PYDICOM_ROOT_UID, CTImageStorage, ExplicitVRLittleEndian, MultiFrameGrayscaleWordSecondaryCaptureImageStorage

Piece = bytes | bytearray | memoryview

PICTURES = 8  # different pictures a shape: enough that neighbours differ, few enough to stay in memory (4 MiB for CT)
STAMP_PIXELS = 16  # six digits of the study, five of the slice, five of the frame
MAX_PIXEL_BYTES = 0xFFFFFFFE  # PS3.5 7.1: a defined length is even and below FFFFFFFF

_SURNAMES = ("Almond", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Gorse", "Hazel", "Ivy", "Juniper", "Larch", "Maple", "Oak")
_GIVEN_NAMES = ("Ada", "Boris", "Clara", "David", "Emmy", "Felix", "Grace", "Henri", "Irene", "James", "Karen")
_DIGIT_TO_PIXEL = bytes.maketrans(b"0123456789", bytes(range(10)))


@dataclass(frozen=True, slots=True)
class Shape:
    """The picture of an instance: 16 bits allocated, 12 stored, one sample a pixel.

    :raises ValueError: when a side is too small for the stamp, or the pixels do not fit into one element.
    """

    rows: int
    columns: int
    frames: int = 1

    def __post_init__(self) -> None:
        if self.rows < 1 or self.frames < 1 or self.columns < STAMP_PIXELS or max(self.rows, self.columns) > 0xFFFF:
            raise ValueError(f"an image needs 1 to 65535 rows, {STAMP_PIXELS} to 65535 columns and a frame")
        if self.frame_bytes * self.frames > MAX_PIXEL_BYTES:
            raise ValueError(f"{self.frames} frames of {self.frame_bytes} bytes are more than one Pixel Data element can hold")

    @property
    def frame_bytes(self) -> int:
        """The length of one frame in bytes."""
        return self.rows * self.columns * 2

    @classmethod
    def parse(cls, text: str) -> Shape:
        """A name of `SIZES`, or ``ROWSxCOLUMNS`` or ``ROWSxCOLUMNSxFRAMES``.

        :raises ValueError: for anything else.
        """
        if text in SIZES:
            return SIZES[text]
        numbers = text.split("x")
        if len(numbers) not in (2, 3) or not all(number.isascii() and number.isdigit() for number in numbers):
            raise ValueError(f"a size is one of {', '.join(SIZES)}, or ROWSxCOLUMNS, or ROWSxCOLUMNSxFRAMES")
        return cls(*map(int, numbers))


SIZES: Final[Mapping[str, Shape]] = {
    "small": Shape(16, 16),  # 512 bytes of pixels: what an instance costs apart from its size
    "ct": Shape(512, 512),  # 0.5 MiB: a CT slice
    "multiframe": Shape(512, 512, 20),  # 10 MiB: a short cine loop
}


@dataclass(frozen=True, slots=True)
class Study:
    """One study of one series, all of it computed from four values.

    :param seed: 0 to 9,999,999,999; tells runs apart.
    :param number: 0 to 99,999,999; tells the studies of a run apart.
    :param slices: how many instances it has, 1 to 99,999. They are counted from 0.
    :raises ValueError: when a number is out of its range: it would change the length of a UID.
    """

    seed: int
    number: int
    slices: int
    shape: Shape

    def __post_init__(self) -> None:
        if not (0 <= self.seed < 10**10 and 0 <= self.number < 10**8 and 0 < self.slices < 10**5):
            raise ValueError("the seed has 10 digits at most, the number of a study 8, and that of its slices 5")

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return self._uid(1)

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""
        return self._uid(2)

    @property
    def patient_id(self) -> str:
        """PatientID; every study has its own patient."""
        return f"LOAD{self.seed:010d}{self.number:08d}"

    @property
    def patient_name(self) -> str:
        """PatientName; many patients share one."""
        return f"{_SURNAMES[self.number % len(_SURNAMES)]}^{_GIVEN_NAMES[self.number % len(_GIVEN_NAMES)]}"

    @property
    def date(self) -> str:
        """StudyDate, YYYYMMDD, spread over the five years from 2020."""
        return f"{2020 + self.number // 336 % 5}{1 + self.number // 28 % 12:02d}{1 + self.number % 28:02d}"

    def sop_uid(self, index: int) -> str:
        """SOP Instance UID of the slice `index`, 0 to slices - 1.

        :raises IndexError: for any other.
        """
        if not 0 <= index < self.slices:
            raise IndexError(f"slice {index} of {self.slices}")
        return self._uid(3, index)

    def sop_uids(self) -> list[str]:
        """All of them, in the order of the slices."""
        return [self._uid(3, index) for index in range(self.slices)]

    def pieces(self, index: int) -> list[Piece]:
        """A Part 10 file as pieces that follow each other, so that a request body is joined with a single copy."""
        pieces: list[Piece] = [_template(self.shape).written(_study_header(self), _slice_values(self, index))]
        for frame in range(1, self.shape.frames + 1):
            pieces += self._frame(index, frame)
        return pieces

    def instance(self, index: int) -> bytes:
        """The Part 10 file of one slice."""
        return b"".join(self.pieces(index))

    def frame(self, index: int, frame: int) -> bytes:
        """The pixels of one frame, counted from 1 as in a URL: 16-bit little endian, row by row."""
        if not 1 <= frame <= self.shape.frames:
            raise IndexError(f"frame {frame} of {self.shape.frames}")
        return b"".join(self._frame(index, frame))

    def _uid(self, kind: int, index: int = 0) -> str:
        return f"{PYDICOM_ROOT_UID}{kind}{self.seed:010d}{self.number:08d}{index:05d}"

    def _frame(self, index: int, frame: int) -> list[Piece]:
        digits = f"{self.number % 10**6:06d}{index:05d}{frame % 10**5:05d}".encode()
        stamp = bytearray(2 * STAMP_PIXELS)
        stamp[1::2] = digits.translate(_DIGIT_TO_PIXEL)  # a digit d is the pixel 256 * d: within 12 bits, and visible
        picture = _pictures(self.shape.rows, self.shape.columns)[(index + frame) % PICTURES]
        return [stamp, memoryview(picture)[len(stamp) :]]


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


class _Template:
    """An encoded header, up to the first pixel, and where its placeholders stand."""

    def __init__(self, header: bytes) -> None:
        self.blank = header
        self._offsets = {field: _find_all(header, text.encode()) for field, text in _PLACEHOLDERS.items()}

    def written(self, header: bytes | bytearray, values: Mapping[str, str]) -> bytearray:
        """A copy of `header`, which is `blank` or came from here, with some placeholders written over."""
        copy = bytearray(header)
        for field, value in values.items():
            width = len(_PLACEHOLDERS[field])
            padded = value.ljust(width).encode("ascii")
            if len(padded) != width:
                raise ValueError(f"the {field} is longer than the {width} characters that are kept for it")
            for offset in self._offsets[field]:
                copy[offset : offset + width] = padded
        return copy


@lru_cache(maxsize=256)
def _study_header(study: Study) -> bytearray:
    """What all slices of a study share. Never changed once it is here."""
    template = _template(study.shape)
    return template.written(
        template.blank,
        {
            "study": study.uid,
            "series": study.series_uid,
            "patient": study.patient_id,
            "name": study.patient_name,
            "date": study.date,
            "accession": f"A{study.number:08d}",
        },
    )


def _slice_values(study: Study, index: int) -> dict[str, str]:
    return {"sop": study.sop_uid(index), "instance": str(index + 1), "position": f"{-1.25 * index:.2f}"}


def _find_all(data: bytes, text: bytes) -> list[int]:
    found = []
    offset = data.find(text)
    while offset >= 0:
        found.append(offset)
        offset = data.find(text, offset + 1)
    return found


@lru_cache
def _template(shape: Shape) -> _Template:
    element = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, shape.frame_bytes * shape.frames)
    return _Template(_encode(_dataset(shape)) + element)


def _encode(dataset: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def _dataset(shape: Shape) -> Dataset:
    dataset = _filled({**_COMMON, **(_CT if shape.frames == 1 else _MULTIFRAME)})
    if shape.frames > 1:
        dataset.NumberOfFrames = shape.frames
    dataset.Rows, dataset.Columns = shape.rows, shape.columns
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


@lru_cache
def _pictures(rows: int, columns: int) -> list[bytes]:
    """A bright ellipse on a dark ground, wider from picture to picture, under noise that no compression removes.

    A pixel is ``256 * level + noise``: the low bytes are the noise, the high ones the picture.
    """
    pictures = []
    for number in range(PICTURES):
        pixels = bytearray(2 * rows * columns)
        pixels[0::2] = random.Random(number).randbytes(rows * columns)
        pixels[1::2] = b"".join(_row(row, rows, columns, number) for row in range(rows))
        pictures.append(bytes(pixels))
    return pictures


def _row(row: int, rows: int, columns: int, number: int) -> bytes:
    height = 2 * row + 1 - rows  # twice the distance from the middle row
    half = isqrt(rows * rows - height * height) * (columns * (PICTURES + number)) // (4 * PICTURES * rows)
    return (b"\x04" * 2 * half).center(columns, b"\x00")
