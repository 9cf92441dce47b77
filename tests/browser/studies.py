"""A study of each kind that a viewer shows, built in memory: phantoms, nobody's pictures."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from tests.browser import h264
from tests.browser.made import Array, X, Y, ball, coded, gray, identified, in_colour, written
from tests.browser.volumes import abdomen, head

H264 = "1.2.840.10008.1.2.4.102"

US, PDF, ECG, SR = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("3.1", "104.1", "9.1.1", "88.33"))
VIDEO, SLIDE, SC = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("77.1.1.1", "77.1.6", "7"))


@dataclass(frozen=True)
class Study:
    """:param words: its description, by which the study list is searched."""

    uid: str
    words: str
    files: tuple[bytes, ...]


COLLECTED = {
    "series/mr20_adc/*.dcm": "viewer",
    "series/ct3_liver_seg/*.dcm": "viewer",
    "series/qin_sr/*.dcm": "viewer",
    "series/sm_tiled/sm_image_dots.dcm": "microscopy",  # those without an Optical Path Sequence are no slides to OHIF
    "modality/examples_ybr_color.dcm": "viewer",
    "modality/encapsulated_pdf.dcm": "viewer",
    "modality/waveform_ecg.dcm": "viewer",
    "ts/video_h264*.dcm": "viewer",
}
"""What a collection of real files may hold, and in which mode of the viewer it is opened."""


def collected(folder: Path | None) -> dict[str, Study]:
    """Studies of a collection by the pattern of their files; none without one."""
    found = {}
    for pattern in COLLECTED if folder else ():
        files = sorted(folder.glob(pattern)) if folder else []
        if files:
            uid = str(pydicom.dcmread(files[0], stop_before_pixels=True, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
            found[pattern] = Study(uid, "", tuple(one.read_bytes() for one in files))
    return found


def everything() -> dict[str, Study]:
    """All of them by a short name."""
    makers: dict[str, Callable[[str, str], Iterator[Dataset]]] = {
        "mr": head,
        "ct": abdomen,
        "us": echo,
        "pdf": report,
        "ecg": heart,
        "video": film,
        "sr": findings,
        "wsi": slide,
    }
    studies = {}
    for number, (name, make) in enumerate(makers.items(), 1):
        uid, words = f"2.25.500.{number}", f"Phantom {name.upper()}"
        studies[name] = Study(uid, words, tuple(written(ds) for ds in make(uid, words)))
    return studies


# -- moving pictures

FRAMES = 30


def echo(study: str, words: str) -> Iterator[Dataset]:
    """US, 30 frames in colour: a fan in which something beats."""
    noise = np.random.default_rng(9)
    fan = (np.hypot(X, Y + 1) < 1.9) & (np.abs(np.arctan2(X, Y + 1)) < 0.6)
    speckle = noise.gamma(2, 28, (256, 256))
    pictures = []
    for number in range(FRAMES):
        beat = 0.22 + 0.08 * np.sin(2 * np.pi * number / 15)
        values = np.where(fan, speckle + noise.normal(0, 6, speckle.shape), 0)
        values[ball(0.05, 0.1, beat, beat * 1.3) & fan] *= 0.25
        picture = np.repeat(values.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
        picture[ball(0.05, -0.05, 0.06, 0.1) & fan] = (200, 60 + 4 * number, 40)
        pictures.append(picture)
    ds = identified(US, study, words, "US", FrameTime=40, FrameIncrementPointer=0x00181063, RecommendedDisplayFrameRate=25)
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    yield in_colour(ds, pictures)


def film(study: str, words: str) -> Iterator[Dataset]:
    """H.264, 2 seconds: a bar that wanders over coloured stripes."""
    rows, columns, count = 144, 192, 50
    cb, cr = (np.tile(np.linspace(60, 200, columns // 2)[::step], (rows // 2, 1)).astype(np.uint8) for step in (1, -1))
    pictures = []
    for number in range(count):
        luma = np.full((rows, columns), 120, np.uint8)
        luma[:, 3 * number : 3 * number + 24] = 230
        pictures.append((luma, cb, cr))
    data = h264.mp4(pictures, 25)
    ds = identified(VIDEO, study, words, "ES", FrameTime=40, FrameIncrementPointer=0x00181063, CineRate=25, NumberOfFrames=count)
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = rows, columns, 3, "YBR_PARTIAL_420", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation, ds.LossyImageCompression = 8, 8, 7, 0, "01"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.PixelData = encapsulate([data + b"\0" * (len(data) % 2)], has_bot=False)
    ds["PixelData"].VR = "OB"
    ds.syntax = H264
    yield ds


# -- documents


def report(study: str, words: str) -> Iterator[Dataset]:
    """A PDF of one page."""
    lines = b"BT /F1 28 Tf 72 700 Td (Phantom report) Tj 0 -44 Td /F1 16 Tf (Perspex is well, as it always was.) Tj ET"
    lines += b" 0.1 0.5 0.7 rg 72 560 300 40 re f"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(lines), lines),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj%b endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"xref\n0 6\n0000000000 65535 f \n%btrailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (table, len(data))
    ds = identified(PDF, study, words, "DOC", DocumentTitle="Phantom report", MIMETypeOfEncapsulatedDocument="application/pdf")
    ds.BurnedInAnnotation, ds.ConversionType, ds.ConceptNameCodeSequence = "YES", "WSD", Sequence()
    ds.EncapsulatedDocumentLength, ds.EncapsulatedDocument = len(data), data + b"\0" * (len(data) % 2)
    yield ds


LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def heart(study: str, words: str) -> Iterator[Dataset]:
    """A 12-lead ECG of ten seconds, 500 samples a second."""
    beat = np.arange(5000) / 500 % 0.85
    waves = ((0.12, 0.2, 0.025), (-0.1, 0.33, 0.01), (1.1, 0.36, 0.012), (-0.25, 0.39, 0.012), (0.3, 0.6, 0.05))
    trace = sum(height * np.exp(-(((beat - at) / width) ** 2) / 2) for height, at, width in waves)
    ds = identified(ECG, study, words, "ECG", AcquisitionDateTime="20260105101112", AcquisitionContextSequence=Sequence())
    wave = Dataset()
    wave.WaveformOriginality, wave.NumberOfWaveformChannels, wave.NumberOfWaveformSamples, wave.SamplingFrequency = (
        "ORIGINAL",
        12,
        5000,
        500,
    )
    wave.MultiplexGroupLabel, wave.MultiplexGroupTimeOffset, wave.TriggerTimeOffset = "RHYTHM", 0, 0
    wave.ChannelDefinitionSequence = Sequence([_lead(number, name) for number, name in enumerate(LEADS, 1)])
    scale = np.array([0.6, 1, 0.5, -0.8, 0.3, 0.7, -0.5, 0.4, 0.9, 1.2, 1.1, 0.9])
    wave.WaveformBitsAllocated, wave.WaveformSampleInterpretation = 16, "SS"
    wave.WaveformData = (np.outer(trace, scale) * 1000).astype("<i2").tobytes()
    wave["WaveformData"].VR = "OW"
    ds.WaveformSequence = Sequence([wave])
    yield ds


def _lead(number: int, name: str) -> Dataset:
    ds = Dataset()
    ds.WaveformChannelNumber, ds.ChannelLabel, ds.WaveformBitsStored = number, name, 16
    ds.ChannelSourceSequence = Sequence([coded(f"2:{number}", "MDC", f"Lead {name}")])
    ds.ChannelSensitivity, ds.ChannelSensitivityCorrectionFactor, ds.ChannelBaseline, ds.ChannelSampleSkew = 1, 1, 0, 0
    ds.ChannelSensitivityUnitsSequence = Sequence([coded("uV", "UCUM", "microvolt")])
    return ds


def findings(study: str, words: str) -> Iterator[Dataset]:
    """A structured report of a few sentences."""
    ds = identified(SR, study, words, "SR", ContentDate="20260105", ContentTime="101112", CompletionFlag="COMPLETE")
    ds.VerificationFlag, ds.ReferencedPerformedProcedureStepSequence, ds.PerformedProcedureCodeSequence = (
        "UNVERIFIED",
        Sequence(),
        Sequence(),
    )
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = Sequence([coded("18748-4", "LN", "Diagnostic Imaging Report")])
    told = {
        "121071": ("Finding", "A sphere of water, 10 cm"),
        "121073": ("Impression", "Perspex is well"),
        "121077": ("Conclusion", "None needed"),
    }
    ds.ContentSequence = Sequence([_said(code, *texts) for code, texts in told.items()])
    yield ds


def _said(code: str, name: str, text: str) -> Dataset:
    ds = Dataset()
    ds.RelationshipType, ds.ValueType, ds.TextValue = "CONTAINS", "TEXT", text
    ds.ConceptNameCodeSequence = Sequence([coded(code, "DCM", name)])
    return ds


# -- whole slides

TILE = 256


def slide(study: str, words: str) -> Iterator[Dataset]:
    """A slide of 2048 x 1536 in three sizes, as tiles."""
    rows, columns = np.mgrid[0:1536, 0:2048]
    noise = np.random.default_rng(10)
    tissue = np.hypot((columns - 1000) / 900, (rows - 760) / 650) < 1
    cells = (np.sin(columns / 17) * np.sin(rows / 19) > 0.72) & tissue
    whole = np.full((1536, 2048, 3), 243, np.uint8)
    whole[tissue] = (232, 170, 205)
    whole[cells] = (110, 60, 150)
    whole = (whole.astype(int) + noise.integers(-9, 10, whole.shape)).clip(0, 255).astype(np.uint8)
    for number, step in enumerate((1, 2, 4), 1):
        yield _level(study, words, np.ascontiguousarray(whole[::step, ::step]), number, step)


def _level(study: str, words: str, picture: Array, number: int, step: int) -> Dataset:
    rows, columns = picture.shape[:2]
    tiles = [picture[y : y + TILE, x : x + TILE] for y in range(0, rows, TILE) for x in range(0, columns, TILE)]
    padded = [np.pad(one, ((0, TILE - one.shape[0]), (0, TILE - one.shape[1]), (0, 0)), constant_values=243) for one in tiles]
    ds = in_colour(identified(SLIDE, study, words, "SM", number=number), [np.ascontiguousarray(one) for one in padded])
    ds.ImageType = ["ORIGINAL" if step == 1 else "DERIVED", "PRIMARY", "VOLUME", "NONE" if step == 1 else "RESAMPLED"]
    ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows, ds.DimensionOrganizationType = columns, rows, "TILED_FULL"
    ds.ImagedVolumeWidth, ds.ImagedVolumeHeight, ds.ImagedVolumeDepth = 2048 * 0.0005, 1536 * 0.0005, 0.001
    ds.ImageOrientationSlide, ds.NumberOfOpticalPaths, ds.TotalPixelMatrixFocalPlanes = [0, -1, 0, -1, 0, 0], 1, 1
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = f"{study}.0", "SLIDE_CORNER"
    ds.VolumetricProperties, ds.SpecimenLabelInImage, ds.FocusMethod, ds.ExtendedDepthOfField = "VOLUME", "NO", "AUTO", "NO"
    ds.ContainerIdentifier, ds.IssuerOfTheContainerIdentifierSequence, ds.SpecimenDescriptionSequence = (
        "S1",
        Sequence(),
        Sequence([_specimen(study)]),
    )
    ds.ContainerTypeCodeSequence = Sequence([coded("433466003", "SCT", "Microscope slide")])
    ds.AcquisitionDateTime, ds.BurnedInAnnotation, ds.ContentDate, ds.ContentTime = "20260105101112", "NO", "20260105", "101112"
    ds.PyramidUID, ds.AcquisitionContextSequence = f"{study}.7", Sequence()
    origin, path, shared, measures = (Dataset() for _ in range(4))
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20, 40
    ds.TotalPixelMatrixOriginSequence = Sequence([origin])
    path.OpticalPathIdentifier, path.OpticalPathDescription = "1", "brightfield"
    path.IlluminationTypeCodeSequence = Sequence([coded("111744", "DCM", "Brightfield illumination")])
    path.IlluminationColorCodeSequence = Sequence([coded("371251000", "SCT", "White")])
    ds.OpticalPathSequence = Sequence([path])
    measures.PixelSpacing, measures.SliceThickness = [0.0005 * step, 0.0005 * step], 0.001
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.DimensionOrganizationSequence = Sequence([Dataset()])
    ds.DimensionOrganizationSequence[0].DimensionOrganizationUID = f"{study}.8"
    return ds


def _specimen(study: str) -> Dataset:
    ds = Dataset()
    ds.SpecimenIdentifier, ds.SpecimenUID, ds.IssuerOfTheSpecimenIdentifierSequence = "S1", f"{study}.6", Sequence()
    ds.SpecimenPreparationSequence = Sequence()
    return ds


# -- what is sent by hand


def snapshot() -> tuple[str, bytes]:
    """The description and the bytes of one picture of a study of its own, for an upload."""
    study, words = f"2.25.{secrets.randbelow(10**30)}", "Phantom sent by hand"
    ds = gray(identified(SC, study, words, "OT"), (ball(0, 0, 0.6, 0.6) * 200 + 30).astype(np.uint8))
    return words, written(ds)
