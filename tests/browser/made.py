"""Data sets with what every instance has, and their pixels."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

Array = np.ndarray[Any, np.dtype[Any]]


def identified(sop_class: str, study: str, words: str, modality: str, series: int = 1, number: int = 1, **more: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.StudyInstanceUID = sop_class, study
    ds.SeriesInstanceUID, ds.SOPInstanceUID = f"{study}.{series}", f"{study}.{series}.{number}"
    ds.PatientName, ds.PatientID, ds.PatientSex, ds.PatientBirthDate = "Phantom^Perspex", "PHANTOM-1", "O", ""
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "20260105", "101112", "1", "", ""
    ds.StudyDescription, ds.SeriesDescription, ds.Modality = words, words, modality
    ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDate = series, number, "20260105"
    ds.Manufacturer, ds.BodyPartExamined = "Perspex & Sons", ""
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def written(ds: Dataset) -> bytes:
    syntax = getattr(ds, "syntax", ExplicitVRLittleEndian)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def gray(ds: Dataset, pixels: Array, frames: int = 0) -> Dataset:
    """Pixels of one sample, native."""
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", int(pixels.dtype.kind == "i")
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    if frames:
        ds.NumberOfFrames = frames
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    return ds


def in_colour(ds: Dataset, pictures: list[Array]) -> Dataset:
    """RGB pictures as JPEG."""
    ds.Rows, ds.Columns = pictures[0].shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "YBR_FULL_422", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.LossyImageCompression, ds.LossyImageCompressionRatio, ds.LossyImageCompressionMethod = "01", "10", "ISO_10918_1"
    ds.NumberOfFrames = len(pictures)
    frames = [imagecodecs.jpeg8_encode(one, level=85, subsampling="422") for one in pictures]
    ds.PixelData = encapsulate([bytes(frame) + b"\0" * (len(frame) % 2) for frame in frames])
    ds["PixelData"].VR = "OB"
    ds.syntax = JPEGBaseline8Bit
    return ds


def placed(ds: Dataset, z: float, spacing: float) -> Dataset:
    """An axial slice of a volume around the origin."""
    half = -spacing * 128
    ds.FrameOfReferenceUID = f"{ds.StudyInstanceUID}.0"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [half, half, z], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = [spacing, spacing], 5, 5
    ds.PatientPosition, ds.PositionReferenceIndicator, ds.ImageType = "HFS", "", ["ORIGINAL", "PRIMARY", "AXIAL"]
    return ds


Y, X = np.mgrid[-1:1:256j, -1:1:256j]


def ball(x: float, y: float, width: float, height: float) -> Array:
    """Where an ellipse is."""
    found: Array = ((X - x) / width) ** 2 + ((Y - y) / height) ** 2 < 1
    return found


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds
