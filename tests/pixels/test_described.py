"""What codestreams say of their pixels; encoders of others made them."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy as np
import pytest

from gateway.backends.views import CODEC_TYPES
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError
from gateway.pixels import syntaxes
from gateway.pixels.described import FAMILIES, codestream_in, described, family_of, holds, is_codestream, syntax_of

GREY = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40)
SHADES = (GREY // 4).astype(np.uint8)
COLOUR = np.dstack([SHADES, SHADES[::-1], SHADES])

STREAMS: dict[str, tuple[str, str, bytes, int, str]] = {
    "baseline": ("image/jpeg", syntaxes.JPEG_BASELINE, bytes(imagecodecs.jpeg8_encode(SHADES)), 8, "MONOCHROME2"),
    "colour": (
        "image/jpeg",
        syntaxes.JPEG_BASELINE,
        bytes(imagecodecs.jpeg8_encode(COLOUR, colorspace="RGB", outcolorspace="YCBCR", subsampling="422")),
        8,
        "YBR_FULL_422",
    ),
    "colour as it is": (
        "image/jpeg",
        syntaxes.JPEG_BASELINE,
        bytes(imagecodecs.jpeg8_encode(COLOUR, colorspace="RGB", outcolorspace="YCBCR", subsampling="444")),
        8,
        "YBR_FULL",
    ),
    "RGB": (
        "image/jpeg",
        syntaxes.JPEG_BASELINE,
        bytes(imagecodecs.jpeg8_encode(COLOUR, colorspace="RGB", outcolorspace="RGB")),
        8,
        "RGB",
    ),
    "lossless": (
        "image/jpeg",
        syntaxes.JPEG_LOSSLESS_SV1,
        bytes(imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1, bitspersample=12)),
        12,
        "MONOCHROME2",
    ),
    "lossless by another predictor": (
        "image/jpeg",
        syntaxes.JPEG_LOSSLESS,
        bytes(imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=4, bitspersample=16)),
        16,
        "MONOCHROME2",
    ),
    "extended": ("image/jpeg", syntaxes.JPEG_EXTENDED, bytes(imagecodecs.jpeg8_encode(GREY, bitspersample=12)), 12, "MONOCHROME2"),
    "JPEG-LS": ("image/jls", syntaxes.JPEG_LS, bytes(imagecodecs.jpegls_encode(GREY)), 16, "MONOCHROME2"),
    "near": ("image/jls", syntaxes.JPEG_LS_NEAR, bytes(imagecodecs.jpegls_encode(COLOUR, 3)), 8, "RGB"),
    "J2K": (
        "image/j2c",
        syntaxes.J2K_LOSSLESS,
        bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="j2k", reversible=True)),
        16,
        "MONOCHROME2",
    ),
    "J2K lossy": (
        "image/jp2",
        syntaxes.J2K,
        bytes(imagecodecs.jpeg2k_encode(COLOUR, level=40, codecformat="j2k", mct=True)),
        8,
        "YBR_ICT",
    ),
    "J2K mixed": (
        "image/jp2",
        syntaxes.J2K_LOSSLESS,
        bytes(imagecodecs.jpeg2k_encode(COLOUR, codecformat="j2k", reversible=True, mct=True)),
        8,
        "YBR_RCT",
    ),
    "J2K apart": (
        "image/jp2",
        syntaxes.J2K_LOSSLESS,
        bytes(imagecodecs.jpeg2k_encode(COLOUR, codecformat="j2k", reversible=True, mct=False)),
        8,
        "RGB",
    ),
    "HTJ2K": ("image/jphc", syntaxes.HTJ2K_LOSSLESS, bytes(imagecodecs.htj2k_encode(GREY, reversible=True)), 16, "MONOCHROME2"),
    "HTJ2K lossy": ("image/jphc", syntaxes.HTJ2K, bytes(imagecodecs.htj2k_encode(SHADES, 0.01, reversible=False)), 8, "MONOCHROME2"),
}


def value(attributes: Any, tag: int) -> Any:
    return attributes[f"{tag:08X}"]["Value"][0]


@pytest.mark.parametrize("name", STREAMS)
def test_all_that_is_missing_is_derived(name: str) -> None:
    media, syntax, data, bits, colours = STREAMS[name]
    assert syntax_of(media, data) in {syntax, syntaxes.HTJ2K_LOSSLESS_RPCL if "HT" in name and "lossy" not in name else syntax}
    found = described({}, syntax, data, 3)
    assert (value(found, 0x00280010), value(found, 0x00280011), value(found, 0x00280004)) == (24, 40, colours)
    samples = 1 if colours == "MONOCHROME2" else 3
    assert (value(found, 0x00280002), "00280006" in found) == (samples, samples == 3)
    numbers = [value(found, tag) for tag in (0x00280100, 0x00280101, 0x00280102, 0x00280103)]
    assert numbers == [8 if bits <= 8 else 16, bits, bits - 1, 0]
    assert value(found, 0x00280008) == 3
    assert ("00282110" in found) == syntaxes.is_lossy(syntax)


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_cut_never_raises_anything_else(name: str) -> None:
    media, syntax, data, _, _ = STREAMS[name]
    for end in range(min(len(data), 700)):
        syntax_of(media, data[:end])
        with suppress(InstanceError):
            described({}, syntax, data[:end], 1)


def test_what_is_said_stays_and_one_frame_needs_no_number() -> None:
    _, syntax, data, _, _ = STREAMS["colour"]
    said = {"00280004": {"vr": "CS", "Value": ["RGB"]}, "00280010": {"vr": "US", "Value": ["24"]}, "00280101": {"vr": "US", "Value": [7]}}
    found = described(said, syntax, data, 1)
    assert not found.keys() & (said.keys() | {"00280008"})
    assert "00280011" in found


@pytest.mark.parametrize("tag", [0x00280010, 0x00280011, 0x00280002])
def test_what_contradicts_the_pixels_is_refused(tag: int) -> None:
    _, syntax, data, _, _ = STREAMS["baseline"]
    with pytest.raises(InstanceError) as caught:
        described({f"{tag:08X}": {"vr": "US", "Value": [4711]}}, syntax, data, 1)
    assert (caught.value.reason, caught.value.tag) == (Reason.DOES_NOT_MATCH_SOP_CLASS, tag)
    assert "4711" not in caught.value.message


def test_octets_and_rle_tell_nothing() -> None:
    whole: dict[str, Any] = {f"{tag:08X}": {"Value": [1]} for tag in (0x00280002, 0x00280010, 0x00280011, 0x00280100)}
    whole["00280004"] = {"Value": ["MONOCHROME2"]}
    assert described(whole, syntaxes.EXPLICIT, None, 1) == described(whole, syntaxes.RLE, b"\1\0\0\0", 0) == {}
    for key in whole:
        with pytest.raises(InstanceError, match="is missing") as caught:
            described({name: attribute for name, attribute in whole.items() if name != key}, syntaxes.RLE, b"\1\0\0\0", 1)
        assert caught.value.tag == int(key, 16)


def test_signed_pixels_say_so() -> None:
    data = bytes(imagecodecs.jpeg2k_encode(GREY.astype(np.int16), codecformat="j2k", reversible=True))
    assert value(described({}, syntaxes.J2K_LOSSLESS, data, 1), 0x00280103) == 1


def test_a_jp2_file_holds_a_codestream() -> None:
    boxed = bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="jp2", reversible=True))
    start, end = codestream_in(boxed, len(boxed))
    assert (boxed[start : start + 4], boxed[end - 2 : end]) == (b"\xff\x4f\xff\x51", b"\xff\xd9")
    after = boxed + struct.pack(">L4s", 16, b"uuid") + bytes(8)
    at = start - 8
    sized = after[:at] + struct.pack(">L", end - at) + after[at + 4 :]
    assert codestream_in(sized, len(sized)) == (start, end)
    wide = after[:at] + struct.pack(">L4sQ", 1, b"jp2c", end - at + 8) + after[start:]
    assert codestream_in(wide, len(wide)) == (start + 8, end + 8)
    assert codestream_in(boxed[start:end], end - start) == (0, end - start)
    assert syntax_of("image/jp2", boxed) == syntaxes.J2K_LOSSLESS


@pytest.mark.parametrize("cut", [12, 20, 40, 60])
def test_a_jp2_file_without_one_is_refused(cut: int) -> None:
    boxed = bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="jp2", reversible=True))
    with pytest.raises(InstanceError, match="cannot be found"):
        codestream_in(boxed[:cut] + bytes(16), 1 << 20)


def test_every_media_type_of_a_frame_is_known_on_its_way_in() -> None:
    for syntax, media in CODEC_TYPES.items():
        assert syntax in FAMILIES[media] and family_of(syntax)
    assert not family_of(syntaxes.EXPLICIT) and not family_of(syntaxes.ENCAPSULATED)


def test_a_frame_may_or_must_be_of_a_syntax() -> None:
    jpeg, rle = STREAMS["baseline"][2], b"\1\0\0\0" + bytes(60)
    assert holds(syntaxes.JPEG_BASELINE, jpeg) and is_codestream(syntaxes.JPEG_BASELINE, jpeg)
    assert not holds(syntaxes.J2K, jpeg) and not is_codestream(syntaxes.J2K, jpeg)
    assert holds(syntaxes.RLE, rle) and not is_codestream(syntaxes.RLE, rle)
    assert (syntax_of("image/dicom-rle", rle), syntax_of("image/jpeg", b"")) == (syntaxes.RLE, None)
    assert syntax_of("video/mp4", b"") in FAMILIES["video/mp4"] and syntax_of("video/mpeg", b"") in FAMILIES["video/mpeg"]
