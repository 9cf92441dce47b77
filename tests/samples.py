"""Whole DICOM files built in memory by pydicom: one of each kind that the gateway has to cope with.

Nothing here is read from a disk or belongs to a patient. `ALL` names one file of every kind.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise
from struct import pack
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedSRStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MRImageStorage,
    SegmentationStorage,
)

STUDY, SERIES, SOP = "1.2.3", "1.2.3.4", "1.2.3.4.5"


def identified(sop_class: str = CTImageStorage, study: str = STUDY, series: str = SERIES, sop: str = SOP) -> Dataset:
    """A data set with the attributes that every instance has."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = sop_class, sop, study, series
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20240131", "101112", "A1", "1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", "P1", "19700101", "F"
    ds.ReferringPhysicianName, ds.SeriesNumber, ds.InstanceNumber = "", "1", "1"
    return ds


def pictured(ds: Dataset, pixels: bytes, rows: int = 4, columns: int = 4, bits: int = 16, frames: int = 1) -> Dataset:
    """`ds` with pixel data of one sample a pixel."""
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.PixelData = pixels
    ds["PixelData"].VR = "OW" if bits > 8 else "OB"
    return ds


def written(ds: Dataset, syntax: str = ExplicitVRLittleEndian, **meta: Any) -> bytes:
    """A Part 10 file; `meta` overrides elements of the file meta information."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    for keyword, value in meta.items():
        setattr(ds.file_meta, keyword, value)
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def counted(length: int) -> bytes:
    """Bytes of which no two neighbours are equal."""
    return bytes(index % 251 for index in range(length))


def ct(**uids: str) -> bytes:
    """A picture of 4 x 4 pixels, Explicit VR Little Endian."""
    ds = pictured(identified(**uids), counted(32))
    ds.Modality, ds.RescaleSlope, ds.RescaleIntercept = "CT", "1", "-1024"
    return written(ds)


def mr(frames: int = 3) -> bytes:
    """Frames of 8 x 8 pixels with a sequence of references before and a private group in the middle."""
    ds = pictured(identified(MRImageStorage), counted(128 * frames), 8, 8, frames=frames)
    ds.Modality, ds.ReferencedImageSequence = "MR", Items([reference("1.2.3.9"), reference("1.2.3.10")])
    block = ds.private_block(0x0019, "GATEWAY TEST", create=True)
    block.add_new(0x01, "OB", b"\x01\x02\x03\x04")
    block.add_new(0x02, "SQ", Items([reference("1.2.3.11")]))
    return written(ds)


def implicit() -> bytes:
    """Implicit VR Little Endian, with a sequence."""
    ds = pictured(identified(), counted(32))
    ds.ReferencedImageSequence = Items([reference("1.2.3.9")])
    return written(ds, ImplicitVRLittleEndian)


def big_endian(frames: int = 2) -> bytes:
    """Explicit VR Big Endian; the pixels are those of `counted`, each word reversed."""
    words = array("H", counted(32 * frames))
    words.byteswap()  # pydicom writes pixel data as it is
    ds = pictured(identified(), words.tobytes(), frames=frames)
    ds.ReferencedImageSequence = Items([reference("1.2.3.9")])
    return written(ds, ExplicitVRBigEndian)


def deflated(frames: int = 1) -> bytes:
    """Deflated Explicit VR Little Endian."""
    return written(pictured(identified(), counted(32 * frames), frames=frames), DeflatedExplicitVRLittleEndian)


def codestreams(frames: int, length: int = 30) -> list[bytes]:
    """What looks like a JPEG from outside, one a frame; lengths differ and some are odd."""
    return [b"\xff\xd8\xff\xe0" + counted(length + number) + b"\xff\xd9" for number in range(frames)]


def encapsulated(frames: int = 3, pieces: int = 1, table: str = "bot") -> bytes:
    """JPEG pixel data in fragments.

    :param pieces: fragments of a frame.
    :param table: ``bot``, ``eot`` or ``none``.
    """
    ds = pictured(identified(), b"", bits=8, frames=frames)
    streams = codestreams(frames)
    if table == "eot":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(streams)
    else:
        ds.PixelData = encapsulate(streams, pieces, has_bot=table == "bot")
    ds["PixelData"].is_undefined_length = True
    return written(ds, JPEGBaseline8Bit)


def segmentation(frames: int = 3, rows: int = 5, columns: int = 7) -> bytes:
    """Single bits whose frames begin in the middle of bytes."""
    bits = "".join("01"[(index * index) % 7 < 3] for index in range(frames * rows * columns))
    packed = bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))
    return written(pictured(identified(SegmentationStorage), packed + b"\0" * (len(packed) % 2), rows, columns, 1, frames))


def report(depth: int = 8, undefined: bool = True) -> bytes:
    """A report without pixels: sequences inside each other."""
    ds = identified(EnhancedSRStorage)
    ds.ContentSequence = nested(depth, undefined)
    ds["ContentSequence"].is_undefined_length = undefined
    return written(ds)


def nested(depth: int, undefined: bool) -> Items:
    """`depth` sequences inside each other, two items each."""
    item, last = Dataset(), Dataset()
    item.ValueType, last.ValueType, last.TextValue = "CONTAINER", "TEXT", "end"
    if depth > 1:
        item.ContentSequence = nested(depth - 1, undefined)
        item["ContentSequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = last.is_undefined_length_sequence_item = undefined
    return Items([item, last])


def reference(sop: str) -> Dataset:
    """An item that refers to another instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, sop
    return item


def without_preamble(data: bytes | None = None) -> bytes:
    """File meta information from the first byte on."""
    return (ct() if data is None else data)[132:]


def without_meta(data: bytes | None = None) -> bytes:
    """A bare data set."""
    data = ct() if data is None else data
    return data[132 + 12 + int.from_bytes(data[140:144], "little") :]


def padded() -> bytes:
    """Elements behind the pixel data: a private one and Data Set Trailing Padding."""
    return ct() + pack("<HH2sH", 0x7FE1, 0x0010, b"LO", 4) + b"TEST" + pack("<HH2s2xL", 0xFFFC, 0xFFFC, b"OB", 10) + bytes(10)


ALL: dict[str, Callable[[], bytes]] = {
    "ct": ct,
    "mr": mr,
    "implicit": implicit,
    "big endian": big_endian,
    "deflated": deflated,
    "basic offset table": encapsulated,
    "extended offset table": lambda: encapsulated(table="eot"),
    "no offset table": lambda: encapsulated(table="none"),
    "fragments": lambda: encapsulated(4, 3),
    "bits": segmentation,
    "report": report,
    "report of defined lengths": lambda: report(undefined=False),
    "no preamble": without_preamble,
    "no meta": without_meta,
    "padded": padded,
}


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """`data` cut at each of `cuts`, which may lie anywhere and in any order."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(places)]
