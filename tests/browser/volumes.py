"""Phantoms in slices: MR, and CT with a segmentation and contours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.browser.made import Array, ball, coded, gray, identified, placed

CT, MR, SEG, RTSTRUCT = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "4", "66.4", "481.3"))


def head(study: str, words: str) -> Iterator[Dataset]:
    """MR, 20 slices: a skull, two halves, and something that moves from slice to slice."""
    noise = np.random.default_rng(7)
    for number in range(20):
        z = number / 19 * 2 - 1
        size = np.sqrt(1 - 0.6 * z**2)
        values = np.zeros((256, 256))
        values[ball(0, 0, 0.75 * size, 0.9 * size)] = 900
        values[ball(0, 0, 0.68 * size, 0.83 * size)] = 250
        values[ball(0, 0, 0.64 * size, 0.79 * size)] = 520
        values[ball(0.3 * size, -0.1, 0.2 * size, 0.35 * size)] = 700
        values[ball(-0.3 * size, -0.1, 0.2 * size, 0.35 * size)] = 640
        values[ball(0.3 * z * size, 0.4 * size, 0.08, 0.08)] = 1000
        values += noise.normal(0, 18, values.shape) * (values > 0)
        ds = identified(MR, study, words, "MR", number=number + 1, ScanningSequence="SE", SequenceVariant="NONE", ScanOptions="")
        ds = gray(placed(ds, 5.0 * number, 0.9), values.clip(0, 1200).astype(np.uint16))
        ds.WindowCenter, ds.WindowWidth, ds.MRAcquisitionType, ds.EchoTime, ds.RepetitionTime = 520, 1040, "2D", 90, 4000
        yield ds


SLICES = 12


def abdomen(study: str, words: str) -> Iterator[Dataset]:
    """CT with two organs, a segmentation of them, and contours of one."""
    noise = np.random.default_rng(8)
    slices, liver, kidney = [], [], []
    for number in range(SLICES):
        size = 1 - abs(number - 6) / 14
        values = np.full((256, 256), -1000.0)
        values[ball(0, 0, 0.92, 0.72)] = -90
        values[ball(0, 0, 0.85, 0.65)] = 40
        liver.append(ball(-0.35, -0.1, 0.38 * size, 0.36 * size))
        kidney.append(ball(0.4, 0.15, 0.14 * size, 0.2 * size))
        values[liver[-1]], values[kidney[-1]] = 110, 180
        values[ball(0, 0.45, 0.1, 0.1)] = 700
        values += noise.normal(0, 9, values.shape)
        ds = identified(CT, study, words, "CT", number=number + 1)
        ds = gray(placed(ds, 5.0 * number, 1.5), (values + 1024).clip(0, 4095).astype(np.uint16))
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
        ds.WindowCenter, ds.WindowWidth, ds.KVP = 60, 400, 120
        slices.append(ds)
    yield from slices
    yield segmented(study, slices, {"Liver": liver, "Kidney": kidney})
    yield outlined(study, slices, liver)


def named(instance: Dataset) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    return ds


def segmented(study: str, slices: list[Dataset], organs: dict[str, list[Array]]) -> Dataset:
    """A binary segmentation (PS3.3 A.51): a frame for each organ and slice."""
    ds = identified(SEG, study, "Organs", "SEG", series=2, ContentLabel="ORGANS", ContentDescription="", ContentCreatorName="")
    ds.ImageType, ds.InstanceCreationDate, ds.ContentDate, ds.ContentTime = ["DERIVED", "PRIMARY"], "20260105", "20260105", "101112"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = slices[0].FrameOfReferenceUID, ""
    ds.SegmentationType, ds.LossyImageCompression, ds.SoftwareVersions, ds.DeviceSerialNumber, ds.ManufacturerModelName = (
        "BINARY",
        "00",
        "1",
        "1",
        "1",
    )
    ds.SegmentSequence = Sequence([_segment(number, name) for number, name in enumerate(organs, 1)])
    referenced = Dataset()
    referenced.SeriesInstanceUID, referenced.ReferencedInstanceSequence = slices[0].SeriesInstanceUID, Sequence(map(named, slices))
    ds.ReferencedSeriesSequence = Sequence([referenced])
    ds.DimensionOrganizationSequence = Sequence([Dataset()])
    ds.DimensionOrganizationSequence[0].DimensionOrganizationUID = f"{study}.8"
    ds.DimensionIndexSequence = Sequence([_dimension(study, 0x0062000B, 0x0062000A), _dimension(study, 0x00200032, 0x00209113)])
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing, shared.PixelMeasuresSequence[0].SliceThickness = slices[0].PixelSpacing, 5
    shared.PixelMeasuresSequence[0].SpacingBetweenSlices = 5
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = slices[0].ImageOrientationPatient
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = [(number, at) for number in range(1, len(organs) + 1) for at in range(len(slices))]
    ds.PerFrameFunctionalGroupsSequence = Sequence([_frame(slices[at], number, at + 1) for number, at in frames])
    masks = np.stack([one for masks in organs.values() for one in masks])
    ds = gray(ds, masks.astype(np.uint8), len(frames))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = np.packbits(masks.ravel(), bitorder="little").tobytes()
    return ds


def _segment(number: int, name: str) -> Dataset:
    ds = Dataset()
    ds.SegmentNumber, ds.SegmentLabel, ds.SegmentAlgorithmType, ds.SegmentAlgorithmName = number, name, "AUTOMATIC", "drawn"
    ds.SegmentedPropertyCategoryCodeSequence = Sequence([coded("123037004", "SCT", "Anatomical Structure")])
    ds.SegmentedPropertyTypeCodeSequence = Sequence([coded("10200004" if name == "Liver" else "64033007", "SCT", name)])
    ds.RecommendedDisplayCIELabValue = [[34885, 53485, 50171], [40000, 20000, 50000]][number - 1]
    return ds


def _dimension(study: str, pointer: int, group: int) -> Dataset:
    ds = Dataset()
    ds.DimensionIndexPointer, ds.FunctionalGroupPointer, ds.DimensionOrganizationUID = pointer, group, f"{study}.8"
    return ds


def _frame(source: Dataset, segment: int, at: int) -> Dataset:
    ds, content, image, position, number = (Dataset() for _ in range(5))
    content.DimensionIndexValues = [segment, at]
    derived = named(source)
    derived.PurposeOfReferenceCodeSequence = Sequence([coded("121322", "DCM", "Source image for image processing operation")])
    image.SourceImageSequence = Sequence([derived])
    image.DerivationCodeSequence = Sequence([coded("113076", "DCM", "Segmentation")])
    position.ImagePositionPatient, number.ReferencedSegmentNumber = source.ImagePositionPatient, segment
    ds.FrameContentSequence, ds.DerivationImageSequence = Sequence([content]), Sequence([image])
    ds.PlanePositionSequence, ds.SegmentIdentificationSequence = Sequence([position]), Sequence([number])
    return ds


def outlined(study: str, slices: list[Dataset], masks: list[Array]) -> Dataset:
    """An RT structure set (PS3.3 A.19) with one region: a ring of points around the first organ in each slice."""
    ds = identified(RTSTRUCT, study, "Structures", "RTSTRUCT", series=3, StructureSetLabel="STRUCTURES", OperatorsName="")
    ds.StructureSetDate, ds.StructureSetTime, ds.ApprovalStatus = "20260105", "101112", "UNAPPROVED"
    series, examined, frame, region, contours, observed = (Dataset() for _ in range(6))
    series.SeriesInstanceUID, series.ContourImageSequence = slices[0].SeriesInstanceUID, Sequence(map(named, slices))
    examined.ReferencedSOPClassUID, examined.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", study
    examined.RTReferencedSeriesSequence = Sequence([series])
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = slices[0].FrameOfReferenceUID, Sequence([examined])
    ds.ReferencedFrameOfReferenceSequence, ds.FrameOfReferenceUID = Sequence([frame]), slices[0].FrameOfReferenceUID
    region.ROINumber, region.ReferencedFrameOfReferenceUID, region.ROIName = 1, slices[0].FrameOfReferenceUID, "Liver"
    region.ROIGenerationAlgorithm = "MANUAL"
    contours.ROIDisplayColor, contours.ReferencedROINumber = [255, 200, 0], 1
    contours.ContourSequence = Sequence([_ring(one, mask) for one, mask in zip(slices, masks, strict=True)])
    observed.ObservationNumber, observed.ReferencedROINumber, observed.RTROIInterpretedType, observed.ROIInterpreter = 1, 1, "ORGAN", ""
    ds.StructureSetROISequence, ds.ROIContourSequence = Sequence([region]), Sequence([contours])
    ds.RTROIObservationsSequence = Sequence([observed])
    return ds


def _ring(image: Dataset, mask: Array) -> Dataset:
    rows, columns = np.nonzero(mask)
    (y, x), (height, width) = (rows.mean(), columns.mean()), (np.ptp(rows) / 2, np.ptp(columns) / 2)
    left, top, z = map(float, image.ImagePositionPatient)
    spacing = float(image.PixelSpacing[0])
    turns = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points = [(left + (x + width * np.cos(t)) * spacing, top + (y + height * np.sin(t)) * spacing, z) for t in turns]
    ds = Dataset()
    ds.ContourImageSequence, ds.ContourGeometricType, ds.NumberOfContourPoints = Sequence([named(image)]), "CLOSED_PLANAR", len(points)
    ds.ContourData = [f"{value:.3f}" for point in points for value in point]
    return ds
