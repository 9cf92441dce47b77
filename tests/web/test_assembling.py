"""One instance out of metadata and parts: transfer syntaxes, frames, and what does not fit together."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames

from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError
from gateway.pixels import syntaxes
from gateway.web import assembling
from gateway.web.assembling import Assembler
from gateway.web.bulkparts import BulkArea, BulkPart, Labels, Spool

SHADES = np.arange(64, dtype=np.uint8).reshape(8, 8)
JPEG = bytes(imagecodecs.jpeg8_encode(SHADES))
JPEG += b"\0" * (len(JPEG) % 2 == 0)  # an odd length
JP2 = bytes(imagecodecs.jpeg2k_encode(SHADES, codecformat="jp2", reversible=True))
OCTETS = "application/octet-stream"
NATIVE = bytes(range(64))
SHAPE = {"00280002": 1, "00280010": 8, "00280011": 8, "00280100": 8, "00280101": 8, "00280102": 7, "00280103": 0}
DESCRIBED: dict[str, Any] = {key: {"vr": "US", "Value": [number]} for key, number in SHAPE.items()}
DESCRIBED["00280004"] = {"vr": "CS", "Value": ["MONOCHROME2"]}
PIXELS: dict[str, Any] = {"7FE00010": {"vr": "OW", "BulkDataURI": "pixels"}}

Part = tuple[str, str, bytes]
"""Label, Content-Type with a transfer-syntax behind a blank, bytes."""


def metadata(syntax: str | None = None, sop: str = "1.1.1.1", **more: Any) -> dict[str, Any]:
    uids = {"00080016": "1.2.840.10008.5.1.4.1.1.7", "00080018": sop, "0020000D": "1.1", "0020000E": "1.1.1", "00020010": syntax}
    return {key: {"vr": "UI", "Value": [uid]} for key, uid in uids.items() if uid} | more


class Request:
    """Parts that have come."""

    def __init__(self, *parts: Part) -> None:
        self.labels = Labels()
        self.spool = Spool(BulkArea())
        self._memory = bytearray()
        for number, (label, media, data) in enumerate(parts, 2):
            kind, _, syntax = media.partition(" ")
            self.labels.add(label, BulkPart(number, kind, syntax or None, len(self._memory), len(data)))
            self._memory += data
        self.spool._memory = bytes(self._memory)
        self.assembler = Assembler(self.labels, self.spool, 1 << 30, alone=False)

    def file(self, dataset: dict[str, Any]) -> bytes:
        pieces = self.assembler.assemble(json.dumps(dataset).encode()).pieces
        return b"".join(piece if isinstance(piece, bytes) else self.spool.read(piece.offset, piece.length) for piece in pieces)

    def read(self, dataset: dict[str, Any]) -> pydicom.Dataset:
        return pydicom.dcmread(io.BytesIO(self.file(dataset)))

    def refused(self, dataset: dict[str, Any]) -> InstanceError:
        with pytest.raises(InstanceError) as caught:
            self.file(dataset)
        return caught.value


def frames(ds: pydicom.Dataset) -> list[bytes]:
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))


@pytest.mark.parametrize("said", [syntaxes.JPEG_BASELINE, None])
@pytest.mark.parametrize("media", ["image/jpeg", f"image/jpeg {syntaxes.JPEG_BASELINE}", "image/jpeg *"])
def test_a_jpeg_is_a_fragment_behind_an_empty_offset_table(said: str | None, media: str) -> None:
    ds = Request(("pixels", media, JPEG)).read(metadata(said) | PIXELS)
    assert ds.file_meta.TransferSyntaxUID == syntaxes.JPEG_BASELINE and ds["PixelData"].VR == "OB"
    assert ds.PixelData[:8] == b"\xfe\xff\x00\xe0\0\0\0\0" and frames(ds) == [JPEG + b"\0"]
    assert (ds.Rows, ds.Columns, ds.PhotometricInterpretation, ds.LossyImageCompression) == (8, 8, "MONOCHROME2", "01")
    assert "NumberOfFrames" not in ds


def test_parts_of_one_label_are_frames() -> None:
    ds = Request(*[("pixels", "image/jpeg", JPEG)] * 3).read(metadata() | PIXELS)
    assert ds.NumberOfFrames == 3 and frames(ds) == [JPEG + b"\0"] * 3


def test_of_a_jp2_file_the_codestream_is_stored() -> None:
    ds = Request(("pixels", "image/jp2", JP2)).read(metadata() | PIXELS)
    assert ds.file_meta.TransferSyntaxUID == syntaxes.J2K_LOSSLESS
    assert frames(ds)[0].startswith(b"\xff\x4f\xff\x51") and np.array_equal(imagecodecs.jpeg2k_decode(frames(ds)[0]), SHADES)


@pytest.mark.parametrize("said", [None, syntaxes.EXPLICIT, syntaxes.IMPLICIT, syntaxes.BIG_ENDIAN, syntaxes.DEFLATED])
@pytest.mark.parametrize("media", [OCTETS, f"{OCTETS} {syntaxes.EXPLICIT}"])
def test_octets_are_explicit_little_endian(said: str | None, media: str) -> None:
    ds = Request(("pixels", media, NATIVE)).read(metadata(said) | DESCRIBED | PIXELS)
    assert (ds.file_meta.TransferSyntaxUID, ds.PixelData) == (syntaxes.EXPLICIT, NATIVE)


def test_native_frames_in_several_parts_are_one_value() -> None:
    ds = Request(("pixels", OCTETS, NATIVE), ("pixels", OCTETS, NATIVE)).read(metadata() | DESCRIBED | PIXELS)
    assert (ds.NumberOfFrames, ds.PixelData) == (2, NATIVE * 2)


@pytest.mark.parametrize("inside", [JPEG, encapsulate([JPEG])])
def test_pixels_in_the_metadata(inside: bytes) -> None:
    pixels = {"7FE00010": {"vr": "OB", "InlineBinary": b64encode(inside).decode()}}
    ds = Request().read(metadata(syntaxes.JPEG_BASELINE) | DESCRIBED | pixels)
    assert frames(ds) == [JPEG + b"\0"]
    native = {"7FE00010": {"vr": "OB", "InlineBinary": b64encode(NATIVE).decode()}}
    assert Request().read(metadata() | DESCRIBED | native).PixelData == NATIVE
    assert Request().read(metadata() | {"7FE00010": {"vr": "OB"}}).PixelData in (None, b"")


def test_other_values_and_those_in_items() -> None:
    icon = {"00880200": {"vr": "SQ", "Value": [{"7FE00010": {"vr": "OW", "BulkDataURI": "icon"}}]}}
    overlay = {"60003000": {"vr": "OW", "BulkDataURI": "overlay"}}
    request = Request(("pixels", "image/jpeg", JPEG), ("icon", "image/jpeg", JPEG), ("overlay", OCTETS, b"abc"))
    ds = request.read(metadata() | icon | overlay | PIXELS)
    assert ds[0x60003000].value == b"abc\0" and frames(ds.IconImageSequence[0]) == frames(ds) == [JPEG + b"\0"]
    assert Request(("icon", OCTETS, b"abcd")).read(metadata() | icon).IconImageSequence[0].PixelData == b"abcd"


def test_a_video_is_one_fragment_whatever_its_frames() -> None:
    video = "1.2.840.10008.1.2.4.102"
    count = {"00280008": {"vr": "IS", "Value": [25]}}
    ds = Request(("pixels", "video/mp4", b"\0\0\0\x18ftypmp42")).read(metadata(video) | DESCRIBED | count | PIXELS)
    assert ds.NumberOfFrames == 25 and ds.PixelData.endswith(b"ftypmp42")


@pytest.mark.parametrize(
    ("parts", "dataset", "reason", "tag"),
    [
        ([], PIXELS, Reason.CANNOT_UNDERSTAND, 0x7FE00010),
        ([("other", OCTETS, b"")], PIXELS, Reason.CANNOT_UNDERSTAND, 0x7FE00010),
        ([("pixels", OCTETS, NATIVE)], PIXELS, Reason.CANNOT_UNDERSTAND, 0x00280002),
        ([("pixels", "image/jpeg", b"no")], PIXELS, Reason.CANNOT_UNDERSTAND, 0x00020010),
        ([("pixels", "image/jpeg", JP2)], metadata(syntaxes.JPEG_BASELINE) | PIXELS, Reason.DOES_NOT_MATCH_SOP_CLASS, 0x7FE00010),
        ([("pixels", "image/jpeg", JPEG)], metadata(syntaxes.EXPLICIT) | PIXELS, Reason.DOES_NOT_MATCH_SOP_CLASS, 0x00020010),
        ([("pixels", "image/jpeg", JPEG)], metadata(syntaxes.J2K) | PIXELS, Reason.DOES_NOT_MATCH_SOP_CLASS, 0x00020010),
        ([("pixels", f"image/jpeg {syntaxes.J2K}", JPEG)], PIXELS, Reason.DOES_NOT_MATCH_SOP_CLASS, 0x00020010),
        ([("pixels", "image/jpeg Doe^Jane", JPEG)], PIXELS, Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, 0x7FE00010),
        ([("pixels", f"{OCTETS} {syntaxes.BIG_ENDIAN}", NATIVE)], PIXELS, Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, 0x7FE00010),
        ([("pixels", OCTETS, NATIVE)], metadata(syntaxes.J2K) | PIXELS, Reason.DOES_NOT_MATCH_SOP_CLASS, 0x00020010),
        ([("pixels", OCTETS, NATIVE)], metadata("1.2.3") | PIXELS, Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, 0x00020010),
        ([("pixels", OCTETS, NATIVE)], metadata("Doe^Jane") | PIXELS, Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, 0x00020010),
        ([], metadata("1.2.840.10008.1.2.4.95"), Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, 0x00020010),
        ([("pixels", "image/jpeg", JPEG), ("pixels", "image/jp2", JP2)], PIXELS, Reason.CANNOT_UNDERSTAND, 0x7FE00010),
        ([("pixels", "image/png", NATIVE)], DESCRIBED | PIXELS, Reason.CANNOT_UNDERSTAND, 0x7FE00010),
        ([("pixels", "video/webm", NATIVE)], DESCRIBED | PIXELS, Reason.CANNOT_UNDERSTAND, 0x7FE00010),
        (
            [("pixels", "image/jpeg", JPEG)],
            {"00280008": {"vr": "IS", "Value": [2]}} | PIXELS,
            Reason.DOES_NOT_MATCH_SOP_CLASS,
            0x00280008,
        ),
        (
            [("lut", OCTETS, b"ab"), ("lut", OCTETS, b"cd")],
            {"00281201": {"vr": "OW", "BulkDataURI": "lut"}},
            Reason.CANNOT_UNDERSTAND,
            0x00281201,
        ),
    ],
)
def test_what_does_not_fit_together_fails_the_instance(parts: list[Part], dataset: dict[str, Any], reason: Reason, tag: int) -> None:
    error = Request(*parts).refused(metadata() | dataset)
    assert (error.reason, error.tag) == (reason, tag), error.message
    assert (error.sop, error.sop_class) == ("1.1.1.1", "1.2.840.10008.5.1.4.1.1.7") and "Doe" not in error.message


def test_a_part_that_is_broken_says_why() -> None:
    request = Request(("pixels", OCTETS, NATIVE))
    request.labels.parts["pixels"][0].fault = (Reason.OUT_OF_RESOURCES, "too much")
    assert request.refused(metadata() | DESCRIBED | PIXELS).message == "(7FE0,0010): too much"
    assert request.labels.parts["pixels"][0].wanted


def test_what_is_shared_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembling, "SHARED", 100)
    request = Request(("pixels", OCTETS, NATIVE))
    for sop in ("1.1.1.1", "1.1.1.2"):
        assert request.read(metadata(sop=sop) | DESCRIBED | PIXELS).PixelData == NATIVE
    assert request.refused(metadata(sop="1.1.1.3") | DESCRIBED | PIXELS).reason is Reason.OUT_OF_RESOURCES


def test_an_instance_is_bounded() -> None:
    request = Request(("pixels", OCTETS, NATIVE))
    request.assembler._largest = len(request.file(metadata() | DESCRIBED | PIXELS))
    request.file(metadata() | DESCRIBED | PIXELS)
    request.assembler._largest -= 1
    assert "limits.instance_bytes" in request.refused(metadata() | DESCRIBED | PIXELS).message
