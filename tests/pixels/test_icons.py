"""Compressed icons become plain ones, whatever holds them; what cannot be decoded is left out, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from gateway.pixels import syntaxes
from gateway.pixels.image import Image
from gateway.pixels.recoding import Recoding
from tests.backends.made import dicom
from tests.pixels.whole import noise, parsed, transcoded, written

PIXELS = noise(5, 3, bits=8)


def rle(pixels: np.ndarray[Any, Any]) -> bytes:
    """A codestream."""
    before = Image(syntaxes.EXPLICIT, len(pixels), len(pixels[0]), 1, "MONOCHROME2", False, 8, 8, 7, False, 1)
    (made,) = Recoding(before, replace(before, syntax=syntaxes.RLE), None, 1 << 20).coded([pixels.tobytes()])
    return bytes(made)


def icon(codestream: bytes, fragments: int = 1, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.Rows, ds.Columns = PIXELS.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = encapsulate([codestream], fragments_per_frame=fragments)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def instance(sequence: str, item: Dataset, *, defined: bool) -> bytes:
    """A picture in RLE with something in a sequence."""
    ds = parsed(dicom(Rows=5, Columns=3, BitsAllocated=8, BitsStored=8, HighBit=7))
    ds.PixelData = encapsulate([rle(PIXELS)])
    ds["PixelData"].VR = "OB"
    setattr(ds, sequence, [item])
    _extents(ds, defined)
    return written(ds, syntaxes.RLE)


def _extents(ds: Dataset, defined: bool) -> None:
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = not defined
            for item in element.value:
                item.is_undefined_length_sequence_item = not defined
                _extents(item, defined)


@pytest.mark.parametrize("target", [syntaxes.EXPLICIT, syntaxes.JPEG_LS])
@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("fragments", [1, 2])
def test_an_icon_is_decoded(target: str, defined: bool, fragments: int) -> None:
    data = instance("IconImageSequence", icon(rle(PIXELS), fragments, PlanarConfiguration=1), defined=defined)
    found = parsed(transcoded(data, target))
    made = found.IconImageSequence[0]
    assert made.PixelData == PIXELS.tobytes() + b"\0"
    assert (made["PixelData"].VR, made.PlanarConfiguration, made.Rows) == ("OB", 1, 5)
    assert found.file_meta.TransferSyntaxUID == target
    assert (found.pixel_array == PIXELS).all()


@pytest.mark.parametrize("defined", [True, False])
def test_a_picture_deep_inside_is_decoded(defined: bool) -> None:
    outer = Dataset()
    outer.ReferencedSOPInstanceUID = "1.2"
    outer.IconImageSequence = [icon(rle(PIXELS))]
    found = parsed(transcoded(instance("ReferencedImageSequence", outer, defined=defined), syntaxes.EXPLICIT))
    (item,) = found.ReferencedImageSequence
    assert item.ReferencedSOPInstanceUID == "1.2"
    assert item.IconImageSequence[0].PixelData == PIXELS.tobytes() + b"\0"
    assert found.PatientName == "Doe^Jane"


@pytest.mark.parametrize("defined", [True, False])
def test_an_icon_that_cannot_be_decoded_is_left_out(defined: bool) -> None:
    data = instance("IconImageSequence", icon(b"\xff\xd8\xff no RLE"), defined=defined)
    found, old = parsed(transcoded(data, syntaxes.EXPLICIT)), parsed(data)
    del old.IconImageSequence
    assert {element.tag for element in found} == {element.tag for element in old}
    assert (found.pixel_array == PIXELS).all()


@pytest.mark.parametrize("good_first", [True, False])
def test_several_icons_are_left_out_together(good_first: bool) -> None:
    ds = parsed(instance("IconImageSequence", icon(rle(PIXELS)), defined=True))
    bad = icon(b"no RLE at all!")
    ds.IconImageSequence = [icon(rle(PIXELS)), bad] if good_first else [bad, icon(rle(PIXELS))]
    found = parsed(transcoded(written(ds, syntaxes.RLE), syntaxes.EXPLICIT))
    assert "IconImageSequence" not in found
    assert (found.PatientName, (found.pixel_array == PIXELS).all()) == ("Doe^Jane", True)


def test_elsewhere_only_the_pixels_are_left_out() -> None:
    outer = Dataset()
    outer.IconImageSequence = [icon(b"no RLE at all!")]
    found = parsed(transcoded(instance("ReferencedImageSequence", outer, defined=True), syntaxes.EXPLICIT))
    item = found.ReferencedImageSequence[0].IconImageSequence[0]
    assert "PixelData" not in item
    assert item.Rows == 5


def test_a_size_that_is_missing_or_a_bomb_is_no_icon() -> None:
    for given in ({"Rows": None}, {"Rows": 65535, "Columns": 65535, "SamplesPerPixel": 3}):
        data = instance("IconImageSequence", icon(rle(PIXELS), **given), defined=True)
        assert "IconImageSequence" not in parsed(transcoded(data, syntaxes.EXPLICIT))


def test_a_plain_icon_stays_as_it_is() -> None:
    plain = icon(b"any")
    plain.PixelData = PIXELS.tobytes() + b"\0"
    plain["PixelData"].is_undefined_length = False
    data = instance("IconImageSequence", plain, defined=True)
    assert parsed(transcoded(data, syntaxes.EXPLICIT)).IconImageSequence[0].PixelData == PIXELS.tobytes() + b"\0"
