"""The data set around pixels in another transfer syntax: what has to change does, and everything else stays byte for byte."""

from __future__ import annotations

import io
from dataclasses import replace
from struct import pack
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS
from gateway.pixels import headers, syntaxes
from gateway.pixels.headers import IMAGE_TAGS, Change, Header, header_of, image_of, rewritten
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable
from tests.backends.made import dicom
from tests.pixels.whole import noise, parsed, picture

LIMITS = Limits()
GREY = Image(syntaxes.JPEG_BASELINE, 4, 4, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)


def walked(data: bytes) -> Walk:
    walk = Walk(record=True, wanted=IMAGE_TAGS | TABLE_TAGS)
    walk.feed(data)
    walk.finish()
    return walk


def header(data: bytes) -> Header:
    walk = walked(data)
    return header_of(lambda offset, length: data[offset : offset + length], walk, len(data) - walk.trailing, LIMITS)


def made(data: bytes, change: Change) -> Any:
    """The new data set, without pixel data."""
    return parsed(b"".join(rewritten(header(data), change)))


def change(before: Image = GREY, target: str = syntaxes.EXPLICIT, ratio: float | None = None, **after: Any) -> Change:
    return Change(before, replace(before, syntax=target, **after), target, ratio)


# -- what the pixels are


@pytest.mark.parametrize("syntax", [syntaxes.IMPLICIT, syntaxes.EXPLICIT, syntaxes.BIG_ENDIAN])
def test_the_pixels_are_read_in_any_byte_order(syntax: str) -> None:
    data = picture(noise(2, 3, 5, 3, bits=8), syntax=syntax, PlanarConfiguration=1)
    assert image_of(walked(data)) == Image(syntax, 3, 5, 3, "RGB", True, 8, 8, 7, False, 2)


def test_floating_point_pixels_are_told_from_others() -> None:
    ds = parsed(picture(noise(4, 4)))
    del ds.PixelData
    ds.FloatPixelData = bytes(64)
    ds.BitsAllocated = 32
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds)
    found = image_of(walked(out.getvalue()))
    assert found is not None
    assert found.floating


def test_without_pixel_data_or_rows_there_is_no_image() -> None:
    ds = parsed(dicom())
    del ds.PixelData
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds)
    assert image_of(walked(out.getvalue())) is None
    assert image_of(walked(dicom(Rows=None))) is None


# -- what changes


def test_only_what_differs_is_changed() -> None:
    data = dicom(BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(16)).replace(b"MONOCHROME2 ", b"monochrome2 ")
    head, tail = rewritten(header(data), change(replace(GREY, syntax=syntaxes.JPEG_LS)))
    assert head.endswith(data[data.index(b"\x08\0\x16\0") : data.index(pack("<HH", 0x7FE0, 0x0010))])
    assert tail == b""


def test_the_image_pixel_module_follows_the_pixels() -> None:
    before = replace(GREY, samples=3, photometric="YBR_FULL_422", planar=True, allocated=16, stored=12, high=11, signed=True)
    data = dicom(SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=1, PixelRepresentation=1)
    found = made(
        data, Change(before, replace(before, photometric="RGB", planar=False, high=15, stored=16, signed=False), syntaxes.EXPLICIT)
    )
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == ("RGB", 0)
    assert (found.HighBit, found.BitsStored, found.BitsAllocated, found.PixelRepresentation) == (15, 16, 16, 0)


def test_planar_configuration_is_there_where_colour_is_and_left_alone_where_none_is() -> None:
    before = replace(GREY, samples=3, photometric="RGB")
    assert made(dicom(SamplesPerPixel=3), change(before)).PlanarConfiguration == 0
    assert "PlanarConfiguration" not in made(dicom(), change())
    assert made(dicom(PlanarConfiguration=1), change(replace(GREY, planar=True), planar=False)).PlanarConfiguration == 1


def test_offset_tables_go() -> None:
    data = dicom(ExtendedOffsetTable=bytes(8), ExtendedOffsetTableLengths=bytes(8))
    assert "ExtendedOffsetTable" in parsed(data)
    found = made(data, change())
    assert "ExtendedOffsetTable" not in found
    assert "ExtendedOffsetTableLengths" not in found


@pytest.mark.parametrize(
    ("source", "said", "told"),
    [
        (syntaxes.JPEG_BASELINE, None, "01"),
        (syntaxes.JPEG_BASELINE, "00", "01"),  # nothing is lossless there
        (syntaxes.J2K, None, "01"),
        (syntaxes.J2K, "00", "00"),  # may be reversible, and its writer says so
        (syntaxes.JPEG_LS, None, None),
        (syntaxes.JPEG_LS, "01", "01"),  # from before it was compressed like this
        (syntaxes.RLE, "00", "00"),
    ],
)
def test_what_was_lost_is_never_forgotten(source: str, said: str | None, told: str | None) -> None:
    given = {} if said is None else {"LossyImageCompression": said}
    found = made(dicom(**given), change(replace(GREY, syntax=source)))
    assert found.get("LossyImageCompression") == told
    assert "LossyImageCompressionRatio" not in found


def test_a_lossy_encoding_of_ours_is_written_into_the_history() -> None:
    before = replace(GREY, syntax=syntaxes.EXPLICIT)
    found = made(dicom(LossyImageCompression="00"), change(before, syntaxes.JPEG_BASELINE, 11.347))
    assert found.LossyImageCompression == "01"
    assert (found.LossyImageCompressionRatio, found.LossyImageCompressionMethod) == (11.35, "ISO_10918_1")
    again = dicom(LossyImageCompression="01", LossyImageCompressionRatio="9.5", LossyImageCompressionMethod="ISO_15444_1")
    found = made(again, change(before, syntaxes.JPEG_BASELINE, 11.0))
    assert found.LossyImageCompressionRatio == [9.5, 11]
    assert found.LossyImageCompressionMethod == ["ISO_15444_1", "ISO_10918_1"]


def test_each_lossy_target_has_a_method() -> None:
    assert set(headers.METHODS) == set(syntaxes.LOSSY_TARGETS)


# -- what stays


def test_everything_else_stays_byte_for_byte() -> None:
    """Private elements, a wrong VR, an odd length, sequences of both kinds, and what follows the pixel data."""
    odd = [
        pack("<HH2sH", 0x0008, 0x103E, b"XX", 3) + b"odd",
        pack("<HH2s2xL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF) + pack("<HHL", 0xFFFE, 0xE000, 0) + pack("<HHL", 0xFFFE, 0xE0DD, 0),
        pack("<HH2sH", 0x0009, 0x0010, b"LO", 6) + b"MAKER ",
        pack("<HH2s2xL", 0x0009, 0x1001, b"UN", 5) + b"\0\1\2\3\4",
        pack("<HH2sH", 0x0010, 0x0010, b"PN", 8) + b"Doe^Jane",
        pack("<HH2sH", 0x0028, 0x0010, b"US", 2) + b"\4\0",
        pack("<HH2sH", 0x0028, 0x0011, b"US", 2) + b"\4\0",
    ]
    pixels = pack("<HH2s2xL", 0x7FE0, 0x0010, b"OW", 32) + bytes(32)
    after = pack("<HH2sH", 0x7FE1, 0x0010, b"LO", 6) + b"MAKER " + pack("<HH2s2xL", 0xFFFC, 0xFFFC, b"OB", 2) + bytes(2)
    meta = dicom()[: dicom().index(b"\x08\0\x16\0")]
    head, tail = rewritten(header(meta + b"".join(odd) + pixels + after), change())
    assert head[len(meta) :] == b"".join(odd) + pack("<HH2sH", 0x0028, 0x2110, b"CS", 2) + b"01"
    assert tail == after


def test_the_file_meta_information_keeps_all_but_the_transfer_syntax() -> None:
    data = dicom()
    head, _ = rewritten(header(data), change(target=syntaxes.JPEG_LS_NEAR, ratio=2.0))
    old, new = parsed(data).file_meta, parsed(head).file_meta
    assert new.TransferSyntaxUID == syntaxes.JPEG_LS_NEAR
    new.TransferSyntaxUID = old.TransferSyntaxUID
    assert [element for element in new if element.tag.element] == [element for element in old if element.tag.element]
    assert new.FileMetaInformationGroupLength - old.FileMetaInformationGroupLength == 22 - 20  # of the padded UIDs


@pytest.mark.parametrize(("begins", "stays"), [(b"anything", True), (b"II*\0\x80", False), (b"MM\0*", False)])
def test_a_preamble_stays_unless_it_points_into_the_old_file(begins: bytes, stays: bool) -> None:
    preamble = begins.ljust(128, b"\1")
    head, _ = rewritten(header(preamble + dicom()[128:]), change())
    assert head[:128] == (preamble if stays else bytes(128))


def test_what_trails_behind_the_data_set_is_dropped() -> None:
    head, tail = rewritten(header(dicom() + b"garbage that is no element"), change())
    assert tail == b""
    assert b"garbage" not in head


@pytest.mark.parametrize("syntax", [syntaxes.IMPLICIT, syntaxes.BIG_ENDIAN])
def test_other_native_data_sets_are_written_anew(syntax: str) -> None:
    data = picture(noise(4, 4), syntax=syntax, ReferencedImageSequence=[Dataset()], WindowCenter="40")
    before = image_of(walked(data))
    assert before is not None
    head, tail = rewritten(header(data), change(before, syntaxes.JPEG_LS))
    found, old = parsed(head + tail), parsed(data)
    del old.PixelData
    assert {each.tag: (each.VR, each.value) for each in found} == {each.tag: (each.VR, each.value) for each in old}


def test_a_data_set_of_any_size_is_not_taken_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "LARGEST", 300)
    with pytest.raises(Undoable, match="beside the pixel data"):
        header(dicom(PatientComments="x" * 500))
